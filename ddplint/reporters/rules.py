"""Rules for people: the table of all of them, and their pages."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Sequence
from typing import TextIO

from ddplint.findings import Severity
from ddplint.pages import read
from ddplint.reporters import colored
from ddplint.reporters.wording import rule_url
from ddplint.rules import Rule


def write_table(rules: Sequence[Rule], stream: TextIO, color: str) -> None:
    """One line a rule; on a terminal the summaries are wrapped beside or below."""
    rows = [(rule.code, rule.name, _severity(rule), _fix(rule), _summary(rule)) for rule in rules]
    heads = ("code", "name", "severity", "fix", "what it finds")
    widths = [max(len(row[column]) for row in (heads, *rows)) for column in range(4)]
    if not stream.isatty():
        for row in rows:
            stream.write(
                "  ".join((*(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=False)), row[4])) + "\n"
            )
        return
    from rich.text import Text

    from ddplint.reporters.console import COLORS, console_for

    console = console_for(stream, color)
    indent = sum(widths) + 8
    width = console.width - 1 - indent
    # On a narrow terminal the summary goes below.
    below = width < 30
    console.print(
        Text("  ".join(f"{head:<{size}}" for head, size in zip(heads, (*widths, 0), strict=True)).rstrip(), "dim")
    )
    for rule, row in zip(rules, rows, strict=True):
        first, *rest = textwrap.wrap(row[4], max(console.width - 11, 20) if below else width) or [""]
        cells = [f"{cell:<{size}}" for cell, size in zip(row, widths, strict=False)]
        line = Text.assemble(
            (cells[0], "bold"), "  ", cells[1], "  ", (cells[2], COLORS[rule.severity]), "  ", cells[3]
        )
        if below:
            console.print(line, soft_wrap=True)
            rest = [first, *rest]
        else:
            console.print(line.append("  " + first), soft_wrap=True)
        for text in rest:
            console.print(Text(" " * (10 if below else indent) + text), soft_wrap=True)


def write_pages(rules: Sequence[Rule], stream: TextIO, color: str) -> None:
    """The pages, rendered on a terminal and as they are in a pipe."""
    if not (stream.isatty() or colored(color, stream)):
        stream.write("\n".join(read(rule.name) for rule in rules))
        return
    from rich.markdown import Markdown

    from ddplint.reporters.console import console_for

    console = console_for(stream, color)
    for rule in rules:
        # Wider than this, prose is hard to read.
        console.print(Markdown(read(rule.name), code_theme="ansi_dark"), width=min(console.width, 100))


def write_json(rules: Sequence[Rule], stream: TextIO, *, one: bool) -> None:
    """A list of objects; a single object where one rule was named."""
    objects = [
        {
            "code": rule.code,
            "name": rule.name,
            "severity": rule.severity.value,
            "fix": rule.fix.value if rule.fix else None,
            "preview": rule.preview,
            "since": rule.since,
            "summary": _summary(rule),
            "url": rule_url(rule.name),
            "page": read(rule.name),
        }
        for rule in rules
    ]
    json.dump(objects[0] if one else objects, stream, indent=2)
    stream.write("\n")


def _summary(rule: Rule) -> str:
    return rule.summary + (" (preview)" if rule.preview else "")


def _severity(rule: Rule) -> str:
    return Severity(rule.severity).value


def _fix(rule: Rule) -> str:
    return rule.fix.value if rule.fix else "-"
