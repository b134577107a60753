"""DDP301: a collective that only some ranks reach."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ddplint.findings import Finding, Severity
from ddplint.rules import Rule

if TYPE_CHECKING:
    from ddplint.program import Program


class RankDependentCollective(Rule):
    """Where some processes go to a collective, and others go on without it."""

    code = "DDP301"
    name = "rank-dependent-collective"
    severity = Severity.ERROR
    summary = "collective reached by only some ranks"

    def check(self, program: Program) -> Iterable[Finding]:
        for parting in program.partings:
            if parting.kind in ("branch", "loop"):
                yield program.finding(
                    self,
                    parting.origin,
                    f"{parting.message}: {parting.waits} until the timeout",
                    help="call it on every rank, outside the branch or in both of its sides",
                    notes=parting.notes,
                )
