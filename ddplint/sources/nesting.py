"""Code that is nested too deeply to parse.

The parser recurses on the C stack, several frames for each level: 1,500 nested brackets, or a sum of 5,000 terms,
end the process with a segmentation fault that no ``except`` can catch (LibCST 1.8, 8 MiB of stack). Python itself
refuses both, 200 brackets and some 3,000 levels of expressions, so a file is lost here only if it could not run.
The screen in front of the exact count costs microseconds on an ordinary file.
"""

from __future__ import annotations

import re

from ddplint.findings import Position

# CPython, Parser/tokenizer: MAXLEVEL.
BRACKETS = 200
# CPython stops between 2,500 and 3,500 levels of expressions or elif branches, depending on its version.
LEVELS = 2500

_OPENING, _CLOSING = b"([{", b")]}"
_ONE_KIND = bytes.maketrans(_OPENING + _CLOSING, b"((()))")
_NO_BRACKET = bytes(set(range(256)) - set(_OPENING + _CLOSING))
_OPERATOR_BYTES = b".+-*/%@&|^~<>=!"
_WORDS = (b"not ", b"else ", b"lambda", b"await ", b"and ", b"or ")
_NO_OPERATOR = bytes(set(range(256)) - set(_OPERATOR_BYTES + _OPENING))

_TOKEN = re.compile(
    r"""(?P<skip>\#[^\r\n]*
      |'''(?:[^\\]|\\.)*?(?:'''|\Z) | \"\"\"(?:[^\\]|\\.)*?(?:\"\"\"|\Z)
      |'(?:[^'\\\r\n]|\\.)*'? | "(?:[^"\\\r\n]|\\.)*"?
      |\\(?:\r\n?|\n))
      |(?P<open>[(\[{]) | (?P<close>[)\]}]) | (?P<next>[,;]) | (?P<line>\r\n?|\n)
      |(?P<level>[.+\-*/%@&|^~<>=!] | \b(?:not|and|or|if|else|lambda|await)\b)
    """,
    re.VERBOSE | re.DOTALL,
)
_LINE_HEAD = re.compile(r"^([ \t]*)(?:(elif)\b|[^\s#])", re.MULTILINE)


def too_deep(text: str) -> tuple[Position, str] | None:
    """Where and why ``text`` is too deep for the parser; None where it is safe to parse."""
    data = text.encode("utf-8", "replace")
    if _many_brackets(data) or _many_levels(data):
        found = _deep_expression(text)
        if found is not None:
            return found
    if data.count(b"elif") > LEVELS:
        return _long_chain(text)
    return None


def _many_brackets(data: bytes) -> bool:
    """False only if brackets are surely not nested deeper than allowed."""
    marks = data.translate(_ONE_KIND, _NO_BRACKET)
    for level in range(BRACKETS + 1):
        if level + marks.count(b"(") <= BRACKETS:
            return False
        # Each round takes off the innermost level; what stays at the end is unbalanced, from strings mostly.
        marks = marks.replace(b"()", b"")
    return True


def _many_levels(data: bytes) -> bool:
    operators = len(data.translate(None, _NO_OPERATOR))
    return operators > LEVELS or operators + sum(data.count(word) for word in _WORDS) > LEVELS


def _deep_expression(text: str) -> tuple[Position, str] | None:
    # Levels of expression seen since the last comma, in each open bracket; siblings do not add up, levels do.
    stack = [0]
    total = 0
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup
        if kind == "level" or kind == "open":
            stack[-1] += 1
            total += 1
            if kind == "open":
                stack.append(0)
                if len(stack) - 1 > BRACKETS:
                    return _place(text, match.start()), f"more than {BRACKETS} nested brackets"
            if total > LEVELS:
                return _place(text, match.start()), f"an expression of more than {LEVELS:,} levels"
        elif kind == "close":
            if len(stack) > 1:
                total -= stack.pop()
        elif kind == "next" or (kind == "line" and len(stack) == 1):
            total -= stack[-1]
            stack[-1] = 0
    return None


def _long_chain(text: str) -> tuple[Position, str] | None:
    chains: dict[int, int] = {}
    for match in _LINE_HEAD.finditer(text):
        indent = len(match[1])
        chains = {width: count for width, count in chains.items() if width < indent or (width == indent and match[2])}
        if match[2]:
            chains[indent] = chains.get(indent, 0) + 1
            if chains[indent] > LEVELS:
                return _place(text, match.start(2)), f"more than {LEVELS:,} elif branches"
    return None


def _place(text: str, offset: int) -> Position:
    before = re.split(r"\r\n|\r|\n", text[:offset])
    return Position(len(before), len(before[-1]) + 1)
