"""DDP304: asynchronous work that nobody waits for."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

from ddplint.findings import Applicability, Finding, Severity
from ddplint.rules import Rule

if TYPE_CHECKING:
    from ddplint.program import Program


class UnwaitedAsync(Rule):
    """The work that an asynchronous call hands out is dropped."""

    code = "DDP304"
    name = "unwaited-async"
    severity = Severity.WARNING
    summary = "asynchronous work never waited for"
    fix = Applicability.UNSAFE

    def check(self, program: Program) -> Iterable[Finding]:
        from ddplint import repairs
        from ddplint.program import works
        from ddplint.program.values import Origin

        for found in works.unwaited(program):
            call = found.event.name.rpartition(".")[2]
            what = f"is kept in {found.name}, which nothing reads" if found.name else "is dropped"
            yield program.finding(
                self,
                Origin(found.event.module, found.event.node),
                f"{call}() returns at once, and the work that it hands out {what}: nothing waits until the tensor may "
                "be used again, so that stale or half-written data are read",
                help=f"call {found.name or 'work'}.wait() before the tensor is used",
                fix=partial(repairs.works.waited, program, found),
            )
