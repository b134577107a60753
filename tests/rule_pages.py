"""The tests in the rules' pages: fenced scripts whose comments say which findings are expected on their line.

A case is one file (``train.py`` if it has no name) or several blocks with the same name and ``file="..."``. A block
with the word ``fixed`` is what a file of the case looks like after the repair.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ddplint import pages

DEFAULT_FILE = "train.py"

_OPENING = re.compile(r"```python(?P<about>[^`]*)$")
_ATTRIBUTE = re.compile(r'(?P<key>case|file)="(?P<value>[^"]+)"')
# At the end of a line, several if the line has several findings.
_EXPECTED = re.compile(r'[ \t]*# (?P<severity>error|warning|note): (?P<code>DDP\d{3})(?: "(?P<message>[^"]*)")?[ \t]*$')


@dataclass(frozen=True, slots=True, order=True)
class Expected:
    """A finding that a comment asks for; ``message`` is a part of its message, or empty."""

    path: str
    line: int
    severity: str
    code: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced script: ``text`` without the comments that speak of findings, ``line`` in the page for messages."""

    case: str | None
    file: str
    fixed: bool
    text: str
    expected: tuple[Expected, ...]
    line: int


@dataclass(frozen=True, slots=True)
class Case:
    """One test of a rule: the files of a small project, and what is to be found in them."""

    code: str
    name: str
    files: dict[str, str]
    expected: tuple[Expected, ...]
    line: int
    fixed: dict[str, str] = field(default_factory=dict)


def cases(page: Path) -> list[Case]:
    """The tests of a page, in its order."""
    text = page.read_text(encoding="utf-8")
    code = pages.parse(text).code
    found: dict[str, Case] = {}
    for block in blocks(text):
        if block.case is None:
            continue
        assert not block.fixed or block.case in found, f"{page.name}:{block.line}: repaired before it is broken"
        case = found.setdefault(block.case, Case(code, block.case, {}, (), block.line))
        files = case.fixed if block.fixed else case.files
        assert block.file not in files, f"{page.name}:{block.line}: two blocks for {block.file} in case {block.case}"
        assert not (block.fixed and block.expected), f"{page.name}:{block.line}: a repaired script has findings"
        files[block.file] = block.text
        found[block.case] = Case(code, case.name, case.files, case.expected + block.expected, case.line, case.fixed)
    return list(found.values())


def example(page: Path) -> tuple[str, str]:
    """The two scripts of the section "Example": the one at fault, and the one to use instead."""
    fault, instead = blocks(pages.parse(page.read_text(encoding="utf-8")).sections["Example"])
    return fault.text, instead.text


def write(files: dict[str, str], folder: Path) -> None:
    """Put the files of a case into ``folder``."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def blocks(text: str) -> Iterator[Block]:
    """The Python fences of a Markdown text."""
    lines: list[str] | None = None
    start = 0
    about = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if lines is None:
            opening = _OPENING.match(line)
            if opening is not None:
                lines, start, about = [], number, opening["about"]
        elif line == "```":
            yield _block(about, lines, start)
            lines = None
        else:
            lines.append(line)
    assert lines is None, f"the fence of line {start} has no end"


def _block(about: str, lines: Sequence[str], start: int) -> Block:
    attributes = {match["key"]: match["value"] for match in _ATTRIBUTE.finditer(about)}
    rest = _ATTRIBUTE.sub("", about).split()
    assert rest in ([], ["fixed"]), f"line {start}: unknown words on the fence: {' '.join(rest)}"
    file = attributes.get("file", DEFAULT_FILE)
    expected: list[Expected] = []
    plain: list[str] = []
    for number, line in enumerate(lines, start=1):
        while (match := _EXPECTED.search(line)) is not None:
            expected.append(Expected(file, number, match["severity"], match["code"], match["message"] or ""))
            line = line[: match.start()]
        plain.append(line + "\n")
    return Block(attributes.get("case"), file, bool(rest), "".join(plain), tuple(sorted(expected)), start)
