"""The rules' pages (``rules/*.md``): what ``ddplint rule`` shows and the documentation is built from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent / "rules"

SECTIONS = (
    "What it does",
    "Why is this bad?",
    "Example",
    "Fix safety",
    "Known problems",
    "References",
    "Cases",
)
"""The headings of every page, in this order; "Use instead:" stands inside "Example"."""

_TITLE = re.compile(r"# (?P<name>[a-z0-9-]+) \((?P<code>DDP\d{3})\)")
_GRADE = re.compile(r"\*Severity: (?P<severity>[^.]+)\. Fix: (?P<fix>[^.]+)\. Since (?P<since>\d+\.\d+\.\d+)\.\*")


class PageError(ValueError):
    """A page without the fixed form; the text says what is missing."""


@dataclass(frozen=True, slots=True)
class Page:
    """A rule's page. ``severity`` and ``fix`` are words for people; ``sections`` holds the text below each heading."""

    code: str
    name: str
    severity: str
    fix: str
    since: str
    sections: Mapping[str, str]

    @property
    def summary(self) -> str:
        """The first paragraph of "What it does", on one line."""
        return " ".join(self.sections["What it does"].split("\n\n", 1)[0].split())


def location(name: str) -> Path:
    """Where the page of the rule ``name`` (``global-rank``) is."""
    return FOLDER / f"{name.replace('-', '_')}.md"


def read(name: str) -> str:
    """The page of the rule ``name`` as it is written, without the tests at its end. Raises :class:`OSError`."""
    text = location(name).read_text(encoding="utf-8")
    return text.split("\n## Cases\n", 1)[0].rstrip() + "\n"


def load(name: str) -> Page:
    """The page of the rule ``name``. Raises :class:`OSError` or :class:`PageError`."""
    return parse(location(name).read_text(encoding="utf-8"))


def parse(text: str) -> Page:
    """A page from its Markdown. Raises :class:`PageError`."""
    front, sections = _split(text)
    title, grade = _TITLE.search(front), _GRADE.search(front)
    if title is None:
        raise PageError('the page must begin with "# rule-name (DDPnnn)"')
    if grade is None:
        raise PageError('there is no line "*Severity: ... Fix: ... Since 0.1.0.*" below the title')
    if tuple(sections) != SECTIONS:
        raise PageError(f"the sections must be {', '.join(SECTIONS)}; they are {', '.join(sections)}")
    return Page(title["code"], title["name"], grade["severity"], grade["fix"], grade["since"], sections)


def _split(text: str) -> tuple[str, dict[str, str]]:
    """What stands before the first heading of the second level, and the text below each of them."""
    front: list[str] = []
    sections: dict[str, list[str]] = {}
    current = front
    fenced = False
    for line in text.splitlines():
        if line.startswith("```"):
            fenced = not fenced
        # A comment in a script may look like a heading.
        if not fenced and line.startswith("## "):
            current = sections.setdefault(line[3:].strip(), [])
        else:
            current.append(line)
    return "\n".join(front), {title: "\n".join(lines).strip() for title, lines in sections.items()}
