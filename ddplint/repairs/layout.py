"""How a file is laid out, so that generated code looks like the rest of it."""

from __future__ import annotations

import re
from functools import cached_property

from ddplint.program.module import Module
from ddplint.sources import split_lines

_STRING = re.compile(r"""'[^'"\n]*'|"[^'"\n]*\"""")
# Comments and docstrings have no say in which quotes a file uses, and no string inside an f-string has a choice.
_WRITTEN = re.compile(r"""\"{3}|'{3}|#.*|'[^'\n]*'|"[^"\n]*\"""")
_SHORTEST = 88  # what formatters use today; many files with shorter lines have no limit in mind at all


class Layout:
    """The lines of one file, its quotes, its indentation and the length of its lines."""

    def __init__(self, module: Module) -> None:
        self.text = module.source.text
        self.lines = [line.rstrip("\r\n") for line in split_lines(self.text)]
        self.indent = module.tree.default_indent

    @cached_property
    def quote(self) -> str:
        """The quote that most strings of the file are written in."""
        firsts = [found[0] for found in _WRITTEN.findall(self.text) if found not in ('"""', "'''")]
        return "'" if firsts.count("'") > firsts.count('"') else '"'

    @cached_property
    def width(self) -> int:
        """The longest line of code that may be generated, in characters."""
        longest = max((len(line) for line in self.lines), default=0)
        return min(max(longest, _SHORTEST), 120)

    def quoted(self, text: str) -> str:
        """``text`` as a string literal."""
        quote = self.quote
        if quote in text:
            other = "'" if quote == '"' else '"'
            quote = quote if other in text else other
        escaped = text.replace("\\", "\\\\").replace(quote, f"\\{quote}").replace("\n", "\\n")
        return f"{quote}{escaped}{quote}"

    def requoted(self, code: str) -> str:
        """Generated code, written with double quotes, in the quotes of the file."""
        if self.quote == '"':
            return code
        return _STRING.sub(lambda found: self.quoted(found[0][1:-1]) if "\\" not in found[0] else found[0], code)

    def indentation(self, line: int) -> str | None:
        """The white space before the code of a line (1-based); None if the line has nothing else."""
        code = self.lines[line - 1].lstrip(" \t\f")
        return self.lines[line - 1][: len(self.lines[line - 1]) - len(code)] if code else None

    def folded(self, line: str) -> list[str]:
        """A generated line, broken at its outermost brackets if it is too long; as it is if that does not help."""
        if len(line) <= self.width:
            return [line]
        start = len(line) - len(line.lstrip())
        opened = _last_bracket(line)
        if opened is None:
            return [line]
        first, last = opened
        inner = line[:start] + self.indent
        inside = line[first + 1 : last]
        body = [inner + inside]
        if len(body[0]) > self.width:
            parts = _split(inside)
            body = [f"{inner}{part}," for part in parts] if len(parts) > 1 else body
        return [line[: first + 1], *body, line[:start] + line[last:].lstrip()]


def _last_bracket(line: str) -> tuple[int, int] | None:
    """The outermost bracket pair that ends the line, or its last one."""
    depth, first, found = 0, 0, None
    for at, char in _code(line):
        if char in "([{":
            if depth == 0:
                first = at
            depth += 1
        elif char in ")]}":
            depth -= 1
            if depth == 0:
                found = first, at
    return found


def _split(text: str) -> list[str]:
    """The parts between the commas that stand in no bracket."""
    depth, start, parts = 0, 0, []
    for at, char in _code(text):
        if char in "([{":
            depth += 1
        elif char in ")]}":
            depth -= 1
        elif char == "," and depth == 0:
            parts.append(text[start:at].strip())
            start = at + 1
    return [*parts, text[start:].strip()]


def _code(text: str) -> list[tuple[int, str]]:
    """The characters outside of string literals, with their places."""
    found: list[tuple[int, str]] = []
    quote = ""
    for at, char in enumerate(text):
        if quote:
            quote = "" if char == quote and text[at - 1] != "\\" else quote
        elif char in "'\"":
            quote = char
        else:
            found.append((at, char))
    return found
