"""DDP000: a file that cannot be read or parsed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ddplint.findings import Finding, Severity
from ddplint.rules import Rule

if TYPE_CHECKING:
    from ddplint.program import Program


class UnparsableFile(Rule):
    """Files of which nothing is known because Python would not take them either."""

    code = "DDP000"
    name = "syntax-error"
    severity = Severity.ERROR
    summary = "file cannot be read or parsed"

    def check(self, program: Program) -> Iterable[Finding]:
        """Yields nothing: such a file has no program to ask, so the pipeline reports it."""
        return ()
