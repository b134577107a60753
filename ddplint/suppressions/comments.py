"""Reading the directives in the comments of a file."""

from __future__ import annotations

import re
import tokenize
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ddplint.findings import Position, Span
from ddplint.settings.selectors import suggestion
from ddplint.sources import may_suppress, split_lines


@dataclass(frozen=True, slots=True)
class Item:
    """One rule as a comment names it; without a list, ``text`` is ``ALL`` and ``span`` that of the word before it."""

    text: str
    span: Span


@dataclass(frozen=True, slots=True)
class Suppression:
    """One directive. ``span`` reaches from its ``#`` to its end, which is not always that of the ``comment``; ``lines``
    are the first and last line that it covers (for ``disable`` and ``enable``: from where, to the end). ``words`` are
    the places of all that it lists, codes of other linters too."""

    form: str
    span: Span
    items: tuple[Item, ...]
    lines: tuple[int, int]
    comment: Span
    words: tuple[Span, ...] = ()


@dataclass(frozen=True, slots=True)
class Suppressions:
    """What the comments of one file say. ``misspelt`` are directives that do not exist, with what is wrong; ``lines``
    are those of the file if there is anything."""

    directives: tuple[Suppression, ...] = ()
    misspelt: tuple[tuple[Span, str], ...] = ()
    lines: tuple[str, ...] = ()


def find(source_text: str) -> Suppressions:
    """Read the suppressions of a file; of one that does not tokenize, those before the place where it fails."""
    # The tokenizer takes as long as the parser.
    if not may_suppress(source_text):
        return Suppressions()
    lines = split_lines(source_text)
    directives: list[Suppression] = []
    misspelt: list[tuple[Span, str]] = []
    for comment, covered in _comments(lines):
        for match in _DIRECTIVE.finditer(comment.string):
            place = _Place(comment.start[0], comment.start[1] + 1)
            form = "noqa" if match["codes"] else match["form"].lower()
            if form not in _FORMS:
                near = suggestion(form, _FORMS)
                if near or match["rules"] is not None:
                    misspelt.append((place.span(*match.span("form")), f'unknown directive "{form}"{near}'))
                continue
            items = tuple(_items(form, match, place))
            if items or form == "skip-file":
                span = place.span(*match.span())
                reach = covered if form in ("noqa", "ignore") else (comment.start[0], len(lines))
                whole = place.span(0, len(comment.string))
                directives.append(Suppression(form, span, items, reach, whole, tuple(_words(form, match, place))))
    return Suppressions(tuple(directives), tuple(misspelt), tuple(lines))


_FORMS = ("noqa", "ignore", "disable", "enable", "skip-file")
_WORD = re.compile(r"[\w-]+")
_CODE = r"[A-Z]+[0-9]+"
_DIRECTIVE = re.compile(
    rf"\#[ \t]*(?:noqa[ \t]*:[ \t]*(?P<codes>{_CODE}(?:(?:[ \t]*,[ \t]*|[ \t]+){_CODE}\b)*)"
    r"|ddplint[ \t]*:[ \t]*(?P<form>[a-z-]+)"
    r"(?P<rules>[ \t]*\[[^\]#]*\]?|[ \t]*=[ \t]*[\w-]*(?:[ \t]*,[ \t]*[\w-]+)*)?)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a comment starts."""

    line: int
    column: int

    def span(self, start: int, end: int) -> Span:
        return Span(Position(self.line, self.column + start), Position(self.line, self.column + end))


def _items(form: str, match: re.Match[str], place: _Place) -> Iterator[Item]:
    group = "codes" if form == "noqa" else "rules"
    if match[group] is None:
        if form != "skip-file":
            yield Item("ALL", place.span(*match.span("form")))
        return
    for word in _WORD.finditer(match[group]):
        if form != "noqa" or word[0].upper().startswith("DDP"):
            start = match.start(group)
            yield Item(word[0], place.span(start + word.start(), start + word.end()))


def _words(form: str, match: re.Match[str], place: _Place) -> Iterator[Span]:
    group = "codes" if form == "noqa" else "rules"
    if match[group] is not None:
        start = match.start(group)
        yield from (place.span(start + word.start(), start + word.end()) for word in _WORD.finditer(match[group]))


def _comments(lines: Sequence[str]) -> Iterator[tuple[tokenize.TokenInfo, tuple[int, int]]]:
    """Every comment and the lines of the statement that it is in, or that follows it, its own line among them.

    A statement is a logical line, of a compound one its header; decorators belong to what they decorate.
    """
    waiting: list[tokenize.TokenInfo] = []
    first = 0
    starting, decorator = True, False
    for token in tokens(lines):
        if token.type == tokenize.COMMENT:
            waiting.append(token)
        elif token.type == tokenize.NEWLINE:
            starting = True
            if not decorator:
                yield from ((comment, (min(first, comment.start[0]), token.start[0])) for comment in waiting)
                waiting, first = [], 0
        elif token.type not in LAYOUT and starting:
            first = first or token.start[0]
            starting, decorator = False, token.string == "@"
    # Nothing follows these, or the file ends in the middle of a statement.
    yield from ((comment, (min(first or len(lines), comment.start[0]), len(lines))) for comment in waiting)


# Tokens that are nothing of a statement.
LAYOUT = (tokenize.NL, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)


def tokens(lines: Sequence[str]) -> Iterator[tokenize.TokenInfo]:
    """The tokens of a file, up to the place where it does not tokenize."""
    # The tokenizer of some versions takes a lone carriage return for a part of the line.
    ended = iter([line.rstrip("\r\n") + "\n" for line in lines])
    try:
        yield from tokenize.generate_tokens(lambda: next(ended, ""))
    except (tokenize.TokenError, SyntaxError):
        # The file is a DDP000 already.
        return
