"""Where to write a comment that hides a finding: into a list that is there, behind the line, or above the statement."""

from __future__ import annotations

import re
import tokenize
from collections.abc import Iterable

from ddplint.findings import Edit, Position, Span
from ddplint.sources import split_lines
from ddplint.suppressions.comments import LAYOUT, Suppression, find, tokens

# Formatters obey these only where nothing follows them.
_ALONE = re.compile(r"#\s*(fmt|yapf|isort)\s*:")
# A replacement field of an f-string may go over several lines, where a comment is none before Python 3.12.
_STRING_STARTS = tuple(getattr(tokenize, name, -1) for name in ("FSTRING_START", "TSTRING_START"))
_STRING_ENDS = tuple(getattr(tokenize, name, -1) for name in ("FSTRING_END", "TSTRING_END"))


def placed(text: str, wanted: Iterable[tuple[int, str]]) -> list[Edit]:
    """The edits that hide findings of rules, by name, each on its line: one comment for each statement."""
    statements = _Statements(text)
    lists = [directive for directive in find(text).directives if directive.form == "ignore" and directive.words]
    extended: dict[Suppression, list[str]] = {}
    added: dict[tuple[int, int], tuple[int, list[str]]] = {}
    for line, name in wanted:
        known = next((one for one in lists if one.lines[0] <= line <= one.lines[1]), None)
        if known is not None:
            names = extended.setdefault(known, [])
        else:
            _, names = added.setdefault(statements.around(line), (line, []))
        if name not in names:
            names.append(name)
    edits = [_insertion(known.words[-1].end, f", {', '.join(names)}") for known, names in extended.items()]
    edits += [statements.comment(first, line, names) for (first, _), (line, names) in added.items()]
    return sorted(edits, key=lambda edit: edit.span)


class _Statements:
    """The statements of a file by their lines, and the lines that a comment can follow."""

    def __init__(self, text: str) -> None:
        self.lines = split_lines(text)
        self.spans: list[tuple[int, int]] = []
        self.open: set[int] = set()
        first = depth = 0
        alone = False
        for token in tokens(self.lines):
            depth += (token.type in _STRING_STARTS) - (token.type in _STRING_ENDS)
            row = token.start[0]
            if token.type == tokenize.COMMENT:
                alone = _ALONE.match(token.string) is not None
            elif token.type in (tokenize.NL, tokenize.NEWLINE):
                if not (depth or alone):
                    self.open.add(row)
                alone = False
            if token.type == tokenize.NEWLINE:
                self.spans.append((first or row, row))
                first = 0
            elif token.type not in (*LAYOUT, tokenize.COMMENT):
                first = first or row

    def around(self, line: int) -> tuple[int, int]:
        """The first and last line of the statement on a line; of a comment, of its own line."""
        return next((span for span in self.spans if span[0] <= line <= span[1]), (line, line))

    def comment(self, first: int, line: int, names: list[str]) -> Edit:
        """A new comment for the statement that begins on line ``first``, behind ``line`` if that can be."""
        directive = f"# ddplint: ignore[{', '.join(names)}]"
        if line in self.open:
            return _insertion(Position(line, len(self.lines[line - 1].rstrip()) + 1), f"  {directive}")
        text = self.lines[first - 1]
        indentation = text[: len(text) - len(text.lstrip())]
        return _insertion(Position(first, 1), f"{indentation}{directive}\n")


def _insertion(place: Position, text: str) -> Edit:
    return Edit(Span(place, place), text)
