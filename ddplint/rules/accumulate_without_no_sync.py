"""DDP504: every micro-batch is averaged between the processes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ddplint.findings import Finding, Severity
from ddplint.rules import Rule

if TYPE_CHECKING:
    from ddplint.program import Program

_ENDINGS = {2: "nd", 3: "rd"}


class AccumulateWithoutNoSync(Rule):
    """Gradients that are added up need to be averaged once, before the optimizer steps."""

    code = "DDP504"
    name = "accumulate-without-no-sync"
    severity = Severity.NOTE
    summary = "every micro-batch is averaged between the processes"
    preview = True

    def check(self, program: Program) -> Iterable[Finding]:
        from ddplint.program import accumulating
        from ddplint.program.values import Origin

        if program.evidence.test:
            return
        for found in accumulating.accumulated(program):
            event, step = found.backward, found.step
            which = f"each {found.count}{_ENDINGS.get(found.count, 'th')}" if found.count else "each n-th"
            yield program.finding(
                self,
                Origin(event.module, event.node),
                f"The optimizer steps on {which} of these micro-batches, and every one of them averages all gradients "
                "between the processes: all but the last of them wait for the network for nothing",
                help="run the forward and backward pass of the others in `with model.no_sync()`",
                notes=[program.note("the optimizer steps here", Origin(step.module, step.node))],
            )
