"""DDP506: nn.DataParallel, where DistributedDataParallel is meant for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ddplint.findings import Finding, Severity
from ddplint.rules import Rule

if TYPE_CHECKING:
    from ddplint.program import Program


class DataParallel(Rule):
    """One process with threads for all GPUs, in a script that knows processes."""

    code = "DDP506"
    name = "data-parallel"
    severity = Severity.NOTE
    summary = "nn.DataParallel"

    def check(self, program: Program) -> Iterable[Finding]:
        from ddplint.program.values import Origin

        if program.evidence.test:
            return
        seen: set[int] = set()
        for event in program.events("call"):
            if event.name != "torch.nn.parallel.DataParallel" or id(event.node) in seen:
                continue
            seen.add(id(event.node))
            yield program.finding(
                self,
                Origin(event.module, event.node),
                "DataParallel drives all GPUs from the threads of one process: it is slow, fills the first GPU most, "
                "and never leaves the machine",
                help="use DistributedDataParallel with one process for each GPU, on one machine too",
            )
