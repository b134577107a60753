"""How files look: indentation, quotes, line ends, encodings, and comments wherever Python allows them."""

from __future__ import annotations

import io
import random
import tokenize
from codecs import BOM_UTF8
from collections.abc import Iterator
from dataclasses import dataclass

from hypothesis import strategies as st

_SAID = (
    "# said",
    "#said twice",
    "# 4 GPUs",
    "# TODO: rank = 0",
    "#",
    "# größer als gedacht",
    "# noqa: E501",
    '# "quoted"',
)
_OTHER_QUOTES = str.maketrans("\"'", "'\"")


@dataclass(frozen=True)
class Layout:
    """``comments`` is how many of a hundred places have one; ``seed`` decides which, and what it says."""

    indent: str = "    "
    newline: str = "\n"
    quote: str = '"'
    docstring: bool = False
    future: bool = False
    form_feeds: bool = False
    last_newline: bool = True
    encoding: str = "utf-8"  # or "utf-8-sig", "latin-1"
    comments: int = 0
    seed: int = 0


PLAIN = Layout()


def layouts() -> st.SearchStrategy[Layout]:
    """All of them."""
    flags = st.booleans()
    return st.builds(
        Layout,
        indent=st.sampled_from(["    ", "    ", "  ", "\t"]),
        newline=st.sampled_from(["\n", "\n", "\r\n"]),
        quote=st.sampled_from(['"', '"', "'"]),
        docstring=flags,
        future=flags,
        form_feeds=flags,
        last_newline=st.sampled_from([True, True, False]),
        encoding=st.sampled_from(["utf-8", "utf-8", "utf-8-sig", "latin-1"]),
        comments=st.sampled_from([0, 10, 50, 100]),
        seed=st.integers(0, 1000),
    )


def laid_out(text: str, layout: Layout) -> bytes:
    """A plain script in a layout."""
    lines = [_indented(line, layout.indent) for line in text.splitlines()]
    if layout.form_feeds:
        lines = ["\f" if above == line == "" else line for above, line in zip(["-", *lines], lines)]  # noqa: B905
    if layout.future:
        lines = ["from __future__ import annotations", "", *lines]
    if layout.docstring:
        lines = ['"""Train', "", '    it # on several nodes."""', *lines]
    text = "\n".join([*lines, ""])
    if layout.comments:
        text = _commented(text, layout)
    if layout.encoding == "latin-1":
        text = "# -*- coding: latin-1 -*-\n# für alle\n" + text
    text = text.translate(_OTHER_QUOTES) if layout.quote == "'" else text
    text = text if layout.last_newline else text.rstrip("\n")
    return text.replace("\n", layout.newline).encode(layout.encoding)


def decoded(data: bytes) -> str:
    """What Python reads there, line ends as they are."""
    encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
    return data.decode(encoding)


def comments(text: str) -> list[str]:
    """All comments of a script, in order."""
    tokens = tokenize.generate_tokens(io.StringIO(text.replace("\r\n", "\n")).readline)
    return [token.string for token in tokens if token.type == tokenize.COMMENT]


def marks(data: bytes) -> tuple[bool, bool, set[bytes]]:
    """What a repair must leave alone: a byte order mark, a break at the end, the kinds of line ends."""
    ends = {
        end for end in (b"\r\n", b"\n", b"\r") if end in data.replace(b"\r\n", b"") or (end == b"\r\n" and end in data)
    }
    return data.startswith(BOM_UTF8), data.endswith((b"\n", b"\r")), ends


def _indented(line: str, indent: str) -> str:
    bare = line.lstrip(" ")
    return indent * ((len(line) - len(bare)) // 4) + bare


def _commented(text: str, layout: Layout) -> str:
    """Comments behind lines, and on lines of their own above them."""
    chosen = random.Random(layout.seed)
    lines = text.split("\n")
    ends = set(_line_ends(text))
    found: list[str] = []
    for number, line in enumerate(lines, start=1):
        free = number in ends
        # The line above ends where a comment may stand, too: this one does not begin inside a string.
        if (number == 1 or number - 1 in ends) and chosen.randrange(300) < layout.comments and line.strip("\f"):
            found.append(line[: len(line) - len(line.lstrip())] + chosen.choice(_SAID))
        if free and line.strip("\f") and chosen.randrange(100) < layout.comments:
            line += chosen.choice(["  ", " ", ""]) + chosen.choice(_SAID)
        found.append(line)
    return "\n".join(found)


def _line_ends(text: str) -> Iterator[int]:
    """The lines that end outside of strings."""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type in (tokenize.NEWLINE, tokenize.NL):
            yield token.start[0]
