"""Comments that hide findings, and the ones among them that hide nothing (DDP001).

Read from comment tokens, so that text in a string never suppresses:

- ``# noqa: DDP101`` and ``# ddplint: ignore[global-rank]`` on any line of a statement, or alone above one;
- ``# ddplint: disable=global-rank`` up to ``# ddplint: enable=global-rank`` or the end of the file;
- ``# ddplint: skip-file`` anywhere.

Rules go by code, name, beginning of a code or ``ALL``; without any, ``ignore``, ``disable`` and ``enable`` mean all. A
``noqa`` without codes and the codes of other linters are none of ours.
"""

from __future__ import annotations

import re
import tokenize
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from ddplint.findings import Finding, Position, Severity, Span
from ddplint.settings.selectors import Named, Selector, UnknownRuleError, resolve, suggestion
from ddplint.sources import split_lines


@dataclass(frozen=True, slots=True)
class Item:
    """One rule as a comment names it; without a list, ``text`` is ``ALL`` and ``span`` that of the word before it."""

    text: str
    span: Span


@dataclass(frozen=True, slots=True)
class Suppression:
    """One directive. ``span`` reaches from its ``#`` to its end, which is not always that of the comment; ``lines``
    are the first and last line that it covers (for ``disable`` and ``enable``: from where, to the end)."""

    form: str
    span: Span
    items: tuple[Item, ...]
    lines: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Suppressions:
    """What the comments of one file say. ``misspelt`` are directives that do not exist, with what is wrong."""

    directives: tuple[Suppression, ...] = ()
    misspelt: tuple[tuple[Span, str], ...] = ()


def find(source_text: str) -> Suppressions:
    """Read the suppressions of a file; of one that does not tokenize, those before the place where it fails."""
    if not _MAYBE.search(source_text):
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
                directives.append(Suppression(form, span, items, reach))
    return Suppressions(tuple(directives), tuple(misspelt))


def apply(
    findings: Iterable[Finding],
    suppressions: Suppressions,
    rules: Mapping[str, Named],
    path: str,
    judged: Callable[[str], bool] = lambda code: True,
) -> list[Finding]:
    """The findings of the file shown as ``path``, marked where they are hidden, and DDP001 for what hides nothing.

    ``judged`` tells which rules ran: whether a suppression is needed cannot be said of the others.
    """
    known = _Resolved(suppressions, rules)
    result = [known.judge(finding) for finding in findings]
    unused = [
        (item, f'"{item.text}" suppresses nothing: {_nothing(selector, rules)}')
        for item, selector in known.unused()
        if selector != _OWN and any(code.startswith(selector) and judged(code) for code in rules)
    ]
    wrong = [(item, str(error)) for item, error in known.unknown]
    directives = [(Item("", span), text) for span, text in suppressions.misspelt]
    own = [_unused(item.span, message, path) for item, message in (*unused, *wrong, *directives)]
    result += [known.judge(finding, only=_OWN) for finding in own]
    if judged(_OWN):
        result += [
            _unused(item.span, f'"{item.text}" suppresses nothing: every suppression here is in use', path)
            for item, selector in known.unused()
            if selector == _OWN
        ]
    return result


_OWN = "DDP001"
_FORMS = ("noqa", "ignore", "disable", "enable", "skip-file")
# Most files have none, and the tokenizer takes as long as the parser.
_MAYBE = re.compile(r"ddplint|noqa", re.IGNORECASE)
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
    for word in re.finditer(r"[\w-]+", match[group]):
        if form != "noqa" or word[0].upper().startswith("DDP"):
            start = match.start(group)
            yield Item(word[0], place.span(start + word.start(), start + word.end()))


def _comments(lines: Sequence[str]) -> Iterator[tuple[tokenize.TokenInfo, tuple[int, int]]]:
    """Every comment and the lines of the statement that it is in, or that follows it.

    A statement is a logical line, of a compound one its header; decorators belong to what they decorate.
    """
    waiting: list[tokenize.TokenInfo] = []
    first = 0
    starting, decorator = True, False
    for token in _tokens(lines):
        if token.type == tokenize.COMMENT:
            waiting.append(token)
        elif token.type == tokenize.NEWLINE:
            starting = True
            if not decorator:
                yield from ((comment, (first, token.start[0])) for comment in waiting)
                waiting, first = [], 0
        elif token.type not in _LAYOUT and starting:
            first = first or token.start[0]
            starting, decorator = False, token.string == "@"
    # Nothing follows these, or the file ends in the middle of a statement.
    yield from ((comment, (first or comment.start[0], len(lines))) for comment in waiting)


_LAYOUT = (tokenize.NL, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)


def _tokens(lines: Sequence[str]) -> Iterator[tokenize.TokenInfo]:
    # The tokenizer of some versions takes a lone carriage return for a part of the line.
    ended = iter([line.rstrip("\r\n") + "\n" for line in lines])
    try:
        yield from tokenize.generate_tokens(lambda: next(ended, ""))
    except (tokenize.TokenError, SyntaxError):
        # The file is a DDP000 already.
        return


class _Resolved:
    """The suppressions of one file against the rules that there are, and which of them were of use."""

    def __init__(self, suppressions: Suppressions, rules: Mapping[str, Named]) -> None:
        self.known: list[tuple[Suppression, Item, Selector]] = []
        self.unknown: list[tuple[Item, UnknownRuleError]] = []
        self.used: set[Item] = set()
        self.skip = any(directive.form == "skip-file" for directive in suppressions.directives)
        for directive in suppressions.directives:
            for item in directive.items:
                try:
                    self.known.append((directive, item, resolve(item.text, rules)))
                except UnknownRuleError as error:
                    self.unknown.append((item, error))

    def judge(self, finding: Finding, only: Selector = "") -> Finding:
        """The finding, marked if it is hidden; with ``only``, by items that name just this."""
        line = finding.span.start.line
        hiding: list[Item] = []
        ranged: Item | None = None
        for directive, item, selector in self.known:
            first, last = directive.lines
            if not (first <= line <= last and finding.code.startswith(selector) and selector.startswith(only)):
                continue
            if directive.form in ("noqa", "ignore"):
                hiding.append(item)
            else:
                # In the order of the file: the last word on a line counts.
                ranged = item if directive.form == "disable" else None
        if ranged is not None:
            hiding.append(ranged)
        self.used.update(hiding)
        return replace(finding, suppressed=True) if hiding or self.skip else finding

    def unused(self) -> Iterator[tuple[Item, Selector]]:
        """What could have hidden a finding and did not."""
        for directive, item, selector in self.known:
            if directive.form != "enable" and item not in self.used and not self.skip:
                yield item, selector


def _nothing(selector: Selector, rules: Mapping[str, Named]) -> str:
    rule = rules.get(selector)
    return f"{rule.name} ({selector}) reports nothing here" if rule else "none of these rules reports anything here"


def _unused(span: Span, message: str, path: str) -> Finding:
    return Finding(
        _OWN, "unused-suppression", Severity.WARNING, message, path, span, help="remove it, or correct the name"
    )
