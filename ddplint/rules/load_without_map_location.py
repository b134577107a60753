"""DDP602: all processes load a checkpoint onto the GPU that it was saved from."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

from ddplint.findings import Applicability, Finding, Severity
from ddplint.rules import Rule

if TYPE_CHECKING:
    from ddplint.program import Program


class LoadWithoutMapLocation(Rule):
    """The copies of every process appear on one GPU before they go where they belong."""

    code = "DDP602"
    name = "load-without-map-location"
    severity = Severity.WARNING
    summary = "every process loads onto one GPU"
    fix = Applicability.SAFE

    def check(self, program: Program) -> Iterable[Finding]:
        from ddplint import repairs
        from ddplint.program import checkpoints

        for way in checkpoints.on_one_gpu(program):
            without = checkpoints.is_missing(way.event)
            yield program.finding(
                self,
                way.origin,
                f"torch.load() {'without map_location' if without else 'with this map_location'} puts the checkpoint "
                "of every process on the same GPU, usually cuda:0, which may run out of memory",
                help='load with map_location="cpu": load_state_dict() copies it to where the model is',
                fix=partial(repairs.load_devices.on_cpu, program, way.event),
            )
