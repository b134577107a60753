"""Findings -> what people and other programs read. One module a format; only :mod:`.text` needs rich."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TextIO

if TYPE_CHECKING:
    from ddplint.linter import Report

FORMATS = ("text", "concise", "json", "json-lines", "github")


@dataclass(frozen=True, slots=True)
class Style:
    """How to write. ``color`` is "auto", "always" or "never"; ``quiet`` leaves out everything but the findings;
    ``unsafe_fixes`` counts unsafe fixes among those that can be applied, ``show_fixes`` lists those that were."""

    color: str = "auto"
    statistics: bool = False
    quiet: bool = False
    width: int | None = None
    unsafe_fixes: bool = False
    show_fixes: bool = False


class Reporter(Protocol):
    """Every format's module has a ``write`` like this."""

    def __call__(self, report: Report, stream: TextIO, style: Style) -> None: ...


def reporter(output_format: str) -> Reporter:
    """The reporter of a format, one of :data:`FORMATS`; each is imported only when it is the one asked for."""
    if output_format == "text":
        from ddplint.reporters.text import write
    elif output_format == "concise":
        from ddplint.reporters.concise import write
    elif output_format == "json":
        from ddplint.reporters.structured import write_json as write
    elif output_format == "json-lines":
        from ddplint.reporters.structured import write_json_lines as write
    elif output_format == "github":
        from ddplint.reporters.github import write
    else:
        raise ValueError(f"unknown output format: {output_format!r}")
    return write


def colored(color: str, stream: TextIO) -> bool:
    """Whether to write escape codes: ``--color`` first, then NO_COLOR and FORCE_COLOR, then what the stream is."""
    if color != "auto":
        return color == "always"
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return stream.isatty() and os.environ.get("TERM") != "dumb"
