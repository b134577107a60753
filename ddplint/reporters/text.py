"""For people: each finding with the code at fault, where its value comes from, and the topology that proves it."""

from __future__ import annotations

from typing import TYPE_CHECKING, TextIO

from ddplint.reporters import colored
from ddplint.reporters.wording import shown, summary

if TYPE_CHECKING:
    from ddplint.linter import Report
    from ddplint.reporters import Style


def write(report: Report, stream: TextIO, style: Style) -> None:
    """Write the findings, and a summary unless quiet."""
    if shown(report.findings):
        from ddplint.reporters.page import write as write_page

        write_page(report, stream, style)
    elif not style.quiet:
        # The usual outcome is one line: importing rich for it would cost more than the run.
        line = summary(report)
        stream.write(f"\x1b[32m{line}\x1b[0m\n" if colored(style.color, stream) else f"{line}\n")
        if report.fixes is not None:
            from ddplint.reporters.repairs import lines

            stream.write("".join(f"{line}\n" for line in lines(report, style)))
