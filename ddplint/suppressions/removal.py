"""What DDP001 repairs: a comment without what suppresses nothing in it. Everything else in it stays."""

from __future__ import annotations

from collections.abc import Collection

from ddplint.findings import Applicability, Edit, Fix, Position, Span
from ddplint.suppressions.comments import Item, Suppression, Suppressions

TITLE = "Remove what suppresses nothing"


def removals(unneeded: Collection[Item], suppressions: Suppressions) -> dict[Item, Fix]:
    """The fix for each of these items; items of one comment share theirs, so that it is rewritten once."""
    by_comment: dict[Span, list[Suppression]] = {}
    for directive in suppressions.directives:
        by_comment.setdefault(directive.comment, []).append(directive)
    fixes: dict[Item, Fix] = {}
    for comment, directives in by_comment.items():
        gone = {item for directive in directives for item in directive.items if item in unneeded}
        if gone:
            line = suppressions.lines[comment.start.line - 1]
            edit = _edit(line, comment, directives, {item.span for item in gone})
            fixes.update(dict.fromkeys(gone, Fix(Applicability.SAFE, TITLE, (edit,))))
    return fixes


def _edit(line: str, comment: Span, directives: list[Suppression], gone: set[Span]) -> Edit:
    begin = comment.start.column - 1
    code, text = line[:begin], line[begin:].rstrip("\r\n")
    for directive in sorted(directives, key=lambda directive: directive.span, reverse=True):
        text = _without(text, directive, gone, begin)
    number = comment.start.line
    if text.strip("# \t\f"):
        return Edit(comment, text)
    if code.strip():
        return Edit(Span(Position(number, len(code.rstrip()) + 1), Position(number, len(line.rstrip("\r\n")) + 1)), "")
    ended = line.endswith(("\r", "\n"))
    return Edit(Span(Position(number, 1), Position(number + 1, 1) if ended else Position(number, len(line) + 1)), "")


def _without(text: str, directive: Suppression, gone: set[Span], begin: int) -> str:
    """The comment without the items of one directive; without all of it if nothing is left in its list."""
    words = directive.words or tuple(item.span for item in directive.items)
    kept = [word for word in words if word not in gone]
    if len(kept) == len(words):
        return text
    if not kept:
        start, end = _bounds(directive.span, begin)
        before, after = text[:start].rstrip(), text[end:]
        if before:
            return before + after
        after = after.lstrip()
        return after if after.startswith("#") else f"# {after}"
    first = words.index(kept[0])
    for place in reversed(range(len(words))):
        if words[place] not in gone:
            continue
        # With the comma behind it, or where something stays in front, with the one before it.
        start, end = _bounds(words[place], begin)
        if place < first:
            end = _bounds(words[place + 1], begin)[0]
        else:
            start = _bounds(words[place - 1], begin)[1]
        text = text[:start] + text[end:]
    return text


def _bounds(span: Span, begin: int) -> tuple[int, int]:
    return span.start.column - 1 - begin, span.end.column - 1 - begin
