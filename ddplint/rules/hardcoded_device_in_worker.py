"""DDP211: all processes of a machine use the GPU that a literal names."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ddplint.findings import Finding, Severity
from ddplint.rules import Rule

if TYPE_CHECKING:
    from ddplint.program import Program


class HardcodedDeviceInWorker(Rule):
    """One GPU for all, while the others are idle."""

    code = "DDP211"
    name = "hardcoded-device-in-worker"
    severity = Severity.WARNING
    summary = "cuda:0 in code that every rank runs"

    def check(self, program: Program) -> Iterable[Finding]:
        from ddplint.program import fixed_devices

        for found in fixed_devices.shared(program):
            used = found.way.origin
            far = program.span(used).start.line != program.span(found.place).start.line or used[0] is not found.place[0]
            yield program.finding(
                self,
                found.place,
                f"Every process of a machine uses cuda:{found.index}: that GPU holds the memory of all of them, or its "
                "tensors meet those on the GPU that is the process's own",
                help='use the GPU of the process: torch.device("cuda", local_rank)',
                notes=(program.note("it is used", used),) if far else (),
            )
