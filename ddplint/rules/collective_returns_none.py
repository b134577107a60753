"""DDP307: the result of a collective that works in place is used, and is None."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

from ddplint.findings import Applicability, Finding, Severity
from ddplint.rules import Rule

if TYPE_CHECKING:
    from ddplint.program import Program


class CollectiveReturnsNone(Rule):
    """``x = dist.all_reduce(x)``, and then x is used."""

    code = "DDP307"
    name = "collective-returns-none"
    severity = Severity.ERROR
    summary = "result of a collective that works in place is used"
    fix = Applicability.SAFE

    def check(self, program: Program) -> Iterable[Finding]:
        from ddplint import repairs
        from ddplint.program import results
        from ddplint.program.values import Origin

        for found in results.used(program):
            event = found.event
            name = event.name.rpartition(".")[2]
            written = results.WRITTEN[event.name]
            does = f"writes into its argument {written}" if written else "only waits"
            here = found.place.node is event.node
            consequence = "is used here" if here else f"{found.target} is used as a value later"
            message = f"{name} {does} and returns None, which {consequence}"
            if not here:
                message = f"{name} {does} and returns None: {consequence}"
            yield program.finding(
                self,
                Origin(event.module, event.node),
                message,
                help=f"call {name} in a statement of its own"
                + (", and go on with what it has written to" if written else ""),
                notes=[] if here else [program.note("used as a value", found.place)],
                fix=partial(repairs.collectives.alone, program, found),
            )
