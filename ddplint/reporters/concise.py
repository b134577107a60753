"""One line for each finding, ``path:line:col: CODE severity message``: for editors, grep and diffs."""

from __future__ import annotations

from typing import TYPE_CHECKING, TextIO

from ddplint.reporters import repairs
from ddplint.reporters.wording import location, printable, shown, statistics, summary

if TYPE_CHECKING:
    from ddplint.linter import Report
    from ddplint.reporters import Style


def write(report: Report, stream: TextIO, style: Style) -> None:
    """Write the findings, and a summary unless quiet."""
    lines = [
        f"{location(finding)}: {finding.code} {finding.severity.value}{repairs.mark(finding, style)} "
        f"{printable(finding.message)}"
        for finding in shown(report.findings)
    ]
    if style.statistics:
        lines += statistics(report)
    if not style.quiet:
        lines += [summary(report), *repairs.lines(report, style)]
    stream.write("".join(f"{line}\n" for line in lines))
