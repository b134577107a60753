"""DDP302: some ranks leave before a collective."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ddplint.findings import Finding, Severity
from ddplint.rules import Rule

if TYPE_CHECKING:
    from ddplint.program import Program


class RankDependentExit(Rule):
    """Where some processes leave a function, a loop or the program, and others wait for them."""

    code = "DDP302"
    name = "rank-dependent-exit"
    severity = Severity.ERROR
    summary = "some ranks leave before a collective"

    def check(self, program: Program) -> Iterable[Finding]:
        for parting in program.partings:
            if parting.kind == "exit":
                yield program.finding(
                    self,
                    parting.origin,
                    f"{parting.message} {parting.waits} until the timeout",
                    help="decide on one rank, broadcast the decision, and let every rank leave together",
                    notes=parting.notes,
                )
