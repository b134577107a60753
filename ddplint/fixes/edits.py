"""Edits on a text: which of them can be made together, and the text after them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from ddplint.findings import Edit, Position
from ddplint.sources import split_lines

_BREAK = re.compile(r"\r\n|\r|\n")


class UnusableEditError(ValueError):
    """An edit outside of the file, or edits of one fix that get into each other's way: the rule that made them is
    wrong."""


@dataclass(frozen=True, slots=True)
class Replacement:
    """An edit by offsets: ``text`` instead of the characters from ``start`` to ``end``; an insertion if both agree."""

    start: int
    end: int
    text: str


class Lines:
    """Where the lines of a text begin, and how they end."""

    def __init__(self, text: str, newline: str = "\n") -> None:
        self.text = text
        self.newline = newline
        self._lines = split_lines(text)
        self._starts = [0]
        for line in self._lines:
            self._starts.append(self._starts[-1] + len(line))

    def replacement(self, edit: Edit) -> Replacement:
        """The edit by offsets, its line breaks those of the file at that place.

        Raises:
            UnusableEditError: the file has no such place.
        """
        start, end = self._offset(edit.span.start), self._offset(edit.span.end)
        if end < start:
            raise UnusableEditError(f"line {edit.span.start.line}: the edit ends before it begins")
        text = edit.text
        if start == end and edit.span.start.line > max(len(self._lines), 1) and not self._ends_with_break:
            # A line to be added below a last line that does not end: the break comes first.
            text = "\n" + text.removesuffix("\n")
        return Replacement(start, end, _BREAK.sub(self._break_near(edit.span.start.line), text))

    @property
    def _ends_with_break(self) -> bool:
        return self.text.endswith(("\n", "\r"))

    def _offset(self, place: Position) -> int:
        # The place after the last line break is a line too, to which text may be added.
        if 1 <= place.line <= len(self._starts) and place.column >= 1:
            line = self._lines[place.line - 1] if place.line <= len(self._lines) else ""
            if place.column <= len(line.rstrip("\r\n")) + 1:
                return self._starts[place.line - 1] + place.column - 1
        raise UnusableEditError(f"there is no line {place.line} with a column {place.column}")

    def _break_near(self, number: int) -> str:
        for line in (number, number - 1):
            if 1 <= line <= len(self._lines) and (found := _BREAK.search(self._lines[line - 1])):
                return found[0]
        return self.newline


class Taken:
    """The edits of one file that are already chosen."""

    def __init__(self) -> None:
        self.replacements: list[Replacement] = []

    def fits(self, more: Iterable[Replacement]) -> bool:
        """Whether these can be made as well."""
        return not any(_clash(old, new) for old in self.replacements for new in more)

    def add(self, more: Iterable[Replacement]) -> None:
        """Choose these. A whole line that another fix inserts there too, such as an import, is inserted once."""
        known = set(self.replacements)
        self.replacements += [new for new in more if not (new in known and _is_line(new))]


def applied(text: str, replacements: Sequence[Replacement]) -> str:
    """The text after all of these; insertions at one place keep their order."""
    pieces: list[str] = []
    done = 0
    for replacement in sorted(replacements, key=lambda edit: (edit.start, edit.end)):
        pieces += (text[done : replacement.start], replacement.text)
        done = replacement.end
    pieces.append(text[done:])
    return "".join(pieces)


def consistent(replacements: Sequence[Replacement]) -> bool:
    """Whether the edits of one fix leave each other alone."""
    ordered = sorted(replacements, key=lambda edit: (edit.start, edit.end))
    return all(first.end <= second.start for first, second in pairwise(ordered))


def _clash(old: Replacement, new: Replacement) -> bool:
    if old.start == old.end == new.start == new.end:
        # Two closing brackets at one place are two, and only their fixes know which is whose.
        return old == new and not _is_line(new)
    if old.start == old.end:
        return new.start < old.start < new.end
    if new.start == new.end:
        return old.start < new.start < old.end
    return old.start < new.end and new.start < old.end


def _is_line(replacement: Replacement) -> bool:
    insertion = replacement.start == replacement.end
    return insertion and _BREAK.search(replacement.text) is not None
