"""The table of rules in the README, made from the registry and the rules' pages."""

from __future__ import annotations

from pathlib import Path

from ddplint import pages
from ddplint.rules import registry

BEGIN = "<!-- rules: begin (python -m ddplint.dev docs) -->"
END = "<!-- rules: end -->"


class DocsError(Exception):
    """The README has no place for the table."""


def table() -> str:
    """Every rule in a Markdown table, in the order of the codes."""
    lines = ["| code | name | what is wrong | severity | fix |", "|---|---|---|---|---|"]
    for rule in registry().values():
        page = pages.load(rule.name)
        link = f"[{rule.name}](ddplint/rules/{pages.location(rule.name).name})"
        fix = "-" if page.fix == "none" else page.fix
        preview = " (preview)" if rule.preview else ""
        lines.append(f"| {rule.code} | {link}{preview} | {rule.summary} | {page.severity} | {fix} |")
    return "\n".join(lines)


def update(readme: Path, *, write: bool) -> bool:
    """Whether the table between the two marks in ``readme`` is out of date; put a new one there if ``write``."""
    text = readme.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise DocsError(f"{readme.name} has no lines {BEGIN!r} and {END!r} for the table to stand between")
    wanted = f"{before}{BEGIN}\n\n{table()}\n\n{END}{after}"
    if write and wanted != text:
        readme.write_text(wanted, encoding="utf-8")
    return wanted != text
