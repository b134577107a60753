"""The text format where there is something to show: code frames, tables, colours. Needs rich."""

from __future__ import annotations

from typing import TYPE_CHECKING, TextIO

from rich.console import Console
from rich.text import Text

from ddplint.findings import Counterexample, Finding
from ddplint.reporters import repairs
from ddplint.reporters.console import COLORS, console_for
from ddplint.reporters.counterexample import table
from ddplint.reporters.frame import frame
from ddplint.reporters.wording import location, printable, shown, statistics, summary

if TYPE_CHECKING:
    from ddplint.linter import Report
    from ddplint.reporters import Style

# Where the output is a file or a pipe, sentences are not wrapped, but a line of minified code is still cut.
_PIPED_CODE = 160
_WIDEST_PROSE = 110


def write(report: Report, stream: TextIO, style: Style) -> None:
    """Write the findings, of which there is at least one, and a summary unless quiet."""
    console = console_for(stream, style.color, style.width)
    page = _Page(console, wraps=style.width is not None or stream.isatty())
    findings = shown(report.findings)
    for finding in findings:
        page.finding(finding, report.texts.get(finding.path), repairs.mark(finding, style))
    if style.statistics:
        for line in statistics(report):
            page.line(Text(line))
        page.line(Text())
    if not style.quiet:
        page.line(Text(summary(report), style="bold"))
        for line in repairs.lines(report, style):
            page.line(Text(line))
        page.line(Text(f"Why, and what to do: ddplint rule {_most_severe(findings).code}", style="dim"))


class _Page:
    """Where to write and how wide: ``wraps`` is False for files and pipes, whose lines are as long as they are."""

    def __init__(self, console: Console, wraps: bool) -> None:
        self.console = console
        self.wraps = wraps
        # A console that knows no box characters shows them as escapes.
        unicode = console.encoding.lower().startswith("utf")
        self.bar, self.arrow = ("│", "←") if unicode else ("|", "<-")

    def line(self, text: Text) -> None:
        """Something that is never broken, such as a path that a terminal makes a link of."""
        self.console.print(text, soft_wrap=True)

    def row(self, text: Text) -> None:
        """A line of a figure: on a terminal it is cut rather than broken."""
        if self.wraps:
            self.console.print(text, no_wrap=True, overflow="ellipsis", crop=True)
        else:
            self.line(text)

    def prose(self, text: Text, label: Text | None = None) -> None:
        """A sentence; on a terminal it is wrapped, and hangs to the right of its label."""
        head = Text.assemble("  ", label or "")
        if not self.wraps:
            self.line(Text.assemble(head, text))
            return
        # The last cell stays free: some terminals break a line that fills it.
        width = max(min(self.console.width - 1, _WIDEST_PROSE) - head.cell_len, 20)
        hanging = Text(" " * head.cell_len)
        for number, line in enumerate(text.wrap(self.console, width, overflow="fold")):
            line.rstrip()
            self.line(Text.assemble(hanging if number else head, line))

    def finding(self, finding: Finding, text: str | None, mark: str) -> None:
        """The whole of one finding, with an empty line after it; ``mark`` stands behind its name."""
        color = COLORS[finding.severity]
        place, kind = f"{location(finding)}: ", f"{finding.severity.value} {finding.code} "
        self.line(Text.assemble((place, "bold"), (kind, color), (finding.name, "dim"), mark))
        self.prose(_sentence(finding.message))
        if text is not None:
            self.code(text, finding, color)
        if finding.notes or finding.counterexample or finding.help:
            self.line(Text())
        for note in finding.notes:
            where = f" ({printable(note.path)}:{note.line})"
            self.prose(_sentence(note.message).append(where, style="dim"), Text("from: ", style="bold"))
        if finding.counterexample:
            self.counterexample(finding.counterexample)
        if finding.help:
            self.prose(_sentence(finding.help), Text("help: ", style="bold green"))
        self.line(Text())

    def code(self, text: str, finding: Finding, color: str) -> None:
        """The code frame, with an empty line above it."""
        gutter = len(str(finding.span.start.line + 1)) + 4
        width = (self.console.width - 1 if self.wraps else _PIPED_CODE) - gutter - 3
        lines = frame(text, finding.span, max(width, 20))
        if lines:
            self.line(Text())
        for line in lines:
            self.row(Text.assemble((f"{line.number:>{gutter}} {self.bar} ", "dim"), line.text))
            if line.width:
                blank = f"{'':>{gutter}} {self.bar} "
                self.row(Text.assemble((blank, "dim"), " " * line.caret, ("^" * line.width, color)))

    def counterexample(self, example: Counterexample) -> None:
        """What goes wrong on the first topology that fails, process by process."""
        self.prose(_sentence(example.summary), Text("when: ", style="bold"))
        heading, rows = table(example)
        self.row(Text(f"        {heading}", style="dim"))
        for row in rows:
            trouble = f"  {self.arrow} {row.trouble}" if row.trouble else ""
            self.row(Text(f"        {row.cells}{trouble}", style="red" if trouble else ""))


def _sentence(text: str) -> Text:
    return Text(printable(text))


def _most_severe(findings: list[Finding]) -> Finding:
    return max(findings, key=lambda finding: finding.severity.rank)
