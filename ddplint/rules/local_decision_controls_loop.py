"""DDP308: every rank decides by itself when to leave a loop with collectives."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ddplint.findings import Finding, Severity
from ddplint.rules import Rule

if TYPE_CHECKING:
    from ddplint.program import Program


class LocalDecisionControlsLoop(Rule):
    """Early stopping by the loss of one rank's share of the data, a file, a clock."""

    code = "DDP308"
    name = "local-decision-controls-loop"
    severity = Severity.WARNING
    summary = "rank-local data decides a loop with collectives"
    preview = True

    def check(self, program: Program) -> Iterable[Finding]:
        from ddplint.program import local_decisions
        from ddplint.program.library import collectives
        from ddplint.program.values import Origin
        from ddplint.program.words import code

        for found in local_decisions.decisions(program):
            yield program.finding(
                self,
                Origin(found.mark.module, found.mark.node),
                f"Every rank decides `{code(found.condition.origin)}` by what it knows alone: the first one to leave "
                f"this loop lets the others wait in {collectives.phrase(found.event)} until the timeout",
                help="let the ranks agree first: all_reduce the number, or broadcast the decision of rank 0",
                notes=[program.note("the loop holds a collective", Origin(found.event.module, found.event.node))],
            )
