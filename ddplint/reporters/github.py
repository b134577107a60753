"""GitHub Actions workflow commands: each finding becomes an annotation on the line of the pull request."""

from __future__ import annotations

from typing import TYPE_CHECKING, TextIO

from ddplint.findings import Finding, Severity
from ddplint.reporters import repairs
from ddplint.reporters.wording import shown, statistics, summary

if TYPE_CHECKING:
    from ddplint.linter import Report
    from ddplint.reporters import Style

_COMMANDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "notice"}


def write(report: Report, stream: TextIO, style: Style) -> None:
    """Write the annotations; what follows them is plain text in the job's log."""
    lines = [_annotation(finding) for finding in shown(report.findings)]
    if style.statistics:
        lines += statistics(report)
    if not style.quiet:
        lines += [summary(report), *repairs.lines(report, style)]
    stream.write("".join(f"{line}\n" for line in lines))


def _annotation(finding: Finding) -> str:
    start, end = finding.span.start, finding.span.end
    place = {
        "file": finding.path,
        "line": str(start.line),
        "endLine": str(end.line),
        "col": str(start.column),
    }
    if start.line == end.line:
        # GitHub drops the columns of an annotation that spans several lines; its last column is inclusive.
        place["endColumn"] = str(max(start.column, end.column - 1))
    place["title"] = f"{finding.code} {finding.name}"
    properties = ",".join(f"{key}={_property(value)}" for key, value in place.items())
    parts = [finding.message]
    if finding.counterexample:
        parts.append(finding.counterexample.summary)
    parts += [f"{note.message} ({note.path}:{note.line})" for note in finding.notes]
    if finding.help:
        parts.append(f"help: {finding.help}")
    return f"::{_COMMANDS[finding.severity]} {properties}::{_data(chr(10).join(parts))}"


def _data(text: str) -> str:
    # The runner decodes exactly these (actions/toolkit, core/src/command.ts).
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
