"""DDP001: a suppression that suppresses nothing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ddplint.findings import Applicability, Finding, Severity
from ddplint.rules import Rule

if TYPE_CHECKING:
    from ddplint.program import Program


class UnusedSuppression(Rule):
    """Comments that hide a rule where it reports nothing, or that name a rule that does not exist."""

    code = "DDP001"
    name = "unused-suppression"
    severity = Severity.WARNING
    summary = "a suppression that suppresses nothing"
    fix = Applicability.SAFE

    def check(self, program: Program) -> Iterable[Finding]:
        """Yields nothing: what is unused is known only after all rules have run, so the pipeline reports it."""
        return ()
