"""Words and signs that several formats share."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ddplint.findings import Finding, Severity

if TYPE_CHECKING:
    from ddplint.linter import Report

# The documentation has one page for each rule, named like the rule.
_PAGES = "https://ddplint.readthedocs.io/en/stable/rules/"

_ESCAPES = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def rule_url(name: str) -> str:
    """Where the page of a rule is on the web; ``ddplint rule NAME`` shows the same page."""
    return f"{_PAGES}{name}/"


def shown(findings: Iterable[Finding]) -> list[Finding]:
    """The findings that people are to see."""
    return [finding for finding in findings if not finding.suppressed]


def printable(text: str) -> str:
    """``text`` on one line, without anything that a terminal would obey.

    A script may hold escape codes, and a file name a line break.
    """
    if text.isprintable():
        return text
    return "".join(char if not _steers(char) else _ESCAPES.get(char) or f"\\x{ord(char):02x}" for char in text)


def _steers(char: str) -> bool:
    # Cc: control codes. Zl, Zp: separators that some terminals break at. Cf: marks that reverse the reading order
    # (CVE-2021-42574); the joiners of emoji and of Indic scripts are harmless and stay.
    kind = unicodedata.category(char)
    return kind in ("Cc", "Zl", "Zp", "Cs") or (kind == "Cf" and char not in "\u200c\u200d\u00ad")


def location(finding: Finding) -> str:
    """``train.py:41:5``: the form that terminals and editors make a link of."""
    start = finding.span.start
    return f"{printable(finding.path)}:{start.line}:{start.column}"


def summary(report: Report) -> str:
    """One line: ``Found 3 findings (1 error, 2 warnings) in 2 of 12 files.``"""
    findings = shown(report.findings)
    hidden = len(report.findings) - len(findings)
    suppressed = f" {counted(hidden, 'finding')} suppressed." if hidden else ""
    if not findings:
        return f"No findings in {counted(report.files, 'file')} ({report.checked} distributed).{suppressed}"
    kinds = Counter(finding.severity for finding in findings)
    parts = ", ".join(
        counted(kinds[severity], severity.value)
        for severity in (Severity.ERROR, Severity.WARNING, Severity.NOTE)
        if kinds[severity]
    )
    files = len({finding.path for finding in findings})
    # A finding may lie in a helper that was not named on the command line.
    among = f"{files} of {counted(max(report.files, files), 'file')}"
    return f"Found {counted(len(findings), 'finding')} ({parts}) in {among}.{suppressed}"


def statistics(report: Report) -> list[str]:
    """How often each rule fired, most often first: ``  3  DDP101  global-rank``."""
    counts = Counter((finding.code, finding.name) for finding in shown(report.findings))
    width = max((len(str(count)) for count in counts.values()), default=0)
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [f"{count:>{width}}  {code}  {name}" for (code, name), count in ordered]


def counted(number: int, noun: str) -> str:
    """``1 file``, ``2 files``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
