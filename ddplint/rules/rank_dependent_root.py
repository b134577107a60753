"""DDP305: src or dst differs between the ranks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ddplint.findings import Finding, Severity
from ddplint.rules import Rule

if TYPE_CHECKING:
    from ddplint.program import Program


class RankDependentRoot(Rule):
    """Every rank sends from itself, or wants the result for itself."""

    code = "DDP305"
    name = "rank-dependent-root"
    severity = Severity.ERROR
    summary = "src/dst differs between ranks"

    def check(self, program: Program) -> Iterable[Finding]:
        from ddplint.program import roots
        from ddplint.program.values import Origin

        for found in roots.roots(program):
            function = found.event.name.rpartition(".")[2]
            yield program.finding(
                self,
                Origin(found.event.module, found.argument.node),
                f"{found.name} of {function}() is {found.one[1]} on {found.one[0]} and {found.other[1]} on "
                f"{found.other[0]}: they do not agree on the root, and wait until the timeout or get wrong data",
                help=f"give the same {found.name} on every rank, such as {found.name}=0",
            )
