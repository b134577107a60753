"""DDP202: a process group that is never destroyed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ddplint.findings import Finding, Severity
from ddplint.rules import Rule

if TYPE_CHECKING:
    from ddplint.program import Program


class MissingDestroy(Rule):
    """One finding for each script, at the start of its group."""

    code = "DDP202"
    name = "missing-destroy"
    severity = Severity.NOTE
    summary = "process group never destroyed"

    def check(self, program: Program) -> Iterable[Finding]:
        from ddplint.program import endings
        from ddplint.program.values import Origin

        event = endings.never_destroyed(program)
        if event is not None:
            yield program.finding(
                self,
                Origin(event.module, event.node),
                "The process group that starts here is destroyed nowhere: every process ends with a warning (torch 2.4 "
                "on), and NCCL may hang there",
                help="call dist.destroy_process_group() in every process when the training has ended",
            )
