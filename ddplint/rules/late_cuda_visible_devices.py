"""DDP209: CUDA_VISIBLE_DEVICES is set too late, or hides the GPU that is asked for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ddplint.findings import Finding, Severity
from ddplint.rules import Rule

if TYPE_CHECKING:
    from ddplint.program import Program


class LateCudaVisibleDevices(Rule):
    """CUDA reads the variable once, when it is initialised, and numbers what is left from 0."""

    code = "DDP209"
    name = "late-cuda-visible-devices"
    severity = Severity.WARNING
    summary = "CUDA_VISIBLE_DEVICES set too late or combined with a device index"

    def check(self, program: Program) -> Iterable[Finding]:
        from ddplint.program import forking
        from ddplint.program.values import Origin

        for found in forking.late_choices(program):
            yield program.finding(
                self,
                Origin(found.later.module, found.later.node),
                "CUDA is initialised before CUDA_VISIBLE_DEVICES is set here: the process keeps all GPUs that it saw",
                help="set it before anything goes to a GPU",
                notes=[program.note("CUDA is initialised", Origin(found.first.module, found.first.node))],
            )
        for found in forking.narrowed(program):
            yield program.finding(
                self,
                Origin(found.later.module, found.later.node),
                "CUDA_VISIBLE_DEVICES leaves each process one GPU, which is number 0 there, and this asks for the "
                "number of the local rank: 'invalid device ordinal' in all processes but the first",
                help="use GPU 0, or leave CUDA_VISIBLE_DEVICES alone",
                notes=[program.note("CUDA_VISIBLE_DEVICES is set", Origin(found.first.module, found.first.node))],
            )
