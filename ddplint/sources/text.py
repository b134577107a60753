"""From bytes to text, by Python's own rules: byte order mark, then encoding declaration (PEP 263), then UTF-8."""

from __future__ import annotations

import enum
import os
import re
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE, BOM_UTF32_BE, BOM_UTF32_LE, lookup
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from ddplint.findings import Position


class SourceKind(enum.Enum):
    """What a file holds. The place where notebooks and launch files will come in."""

    PYTHON = "python"


@dataclass(frozen=True, slots=True)
class Source:
    """One file, decoded.

    ``path`` is how people see it: relative to the working directory with ``/``, or as it was given when it lies
    outside. ``file`` is the absolute real path (None for standard input). ``text`` has no byte order mark and keeps
    the line breaks of the file, so ``text.encode(encoding)``, after the mark where ``bom`` is set, gives ``data``
    again. ``newline`` is the line break that the file mostly uses: the one to write in a repair.
    """

    path: str
    file: Path | None
    kind: SourceKind
    data: bytes
    encoding: str
    bom: bool
    newline: str
    text: str


class SourceError(Exception):
    """A file that cannot be read as Python source; ``position`` is where (1:1 when no byte is at fault)."""

    def __init__(self, path: str, message: str, position: Position | None = None) -> None:
        super().__init__(f"{path}: {message}")
        self.path = path
        self.message = message
        # imported only for a file at fault: a tree without one starts faster
        from ddplint.findings import Position

        self.position = position or Position(1, 1)


def read_bytes(file: str | Path, display: str) -> bytes:
    """The raw content of ``file``. Raises :class:`SourceError`, also for one that vanished since it was found."""
    try:
        with open(file, "rb", buffering=0) as stream:
            # The read below may return less than everything from a pipe; readall() loops until the end.
            return stream.readall()
    except FileNotFoundError:
        # Discovery saw it a moment ago.
        raise SourceError(display, "cannot be read: the file is gone") from None
    except (OSError, ValueError) as error:
        raise SourceError(display, f"cannot be read: {getattr(error, 'strerror', None) or error}") from None


def read(path: str | Path, display: str) -> Source:
    """Read and decode one file. Raises :class:`SourceError`."""
    from pathlib import Path  # not needed for a file that the prefilter drops

    return from_bytes(read_bytes(path, display), display, Path(os.path.realpath(path)))


def from_bytes(data: bytes, display: str, file: Path | None) -> Source:
    """Decode the content of one file. Raises :class:`SourceError` where Python would refuse the file too."""
    for mark, name in _UNSUPPORTED_MARKS:
        if data.startswith(mark):
            raise SourceError(display, f"is {name} text, which Python does not read: save it as UTF-8")
    bom = data.startswith(BOM_UTF8)
    body = data[len(BOM_UTF8) :] if bom else data
    if (nul := body.find(b"\0")) >= 0:
        raise SourceError(display, "is not text: it holds a NUL byte", _position(body, nul, "latin-1"))
    encoding = _encoding(body, bom, display)
    try:
        text = body.decode(encoding)
    except UnicodeDecodeError as error:
        raise SourceError(
            display,
            f"byte 0x{body[error.start]:02x} is not {_spoken(encoding)}: save the file as UTF-8, "
            "or declare its encoding in the first line (# -*- coding: ... -*-)",
            _position(body, error.start, encoding),
        ) from None
    except (UnicodeError, LookupError, ValueError) as error:
        # LookupError: a codec that is known but does not give text (rot13, hex).
        raise SourceError(display, f"cannot be decoded as {encoding}: {error}", _declared_at(body)) from None
    return Source(display, file, SourceKind.PYTHON, data, encoding, bom, _newline(text), text)


def split_lines(text: str) -> list[str]:
    r"""The lines of ``text`` with their ends, broken at ``\n``, ``\r\n`` and a lone ``\r`` as Python does it.

    ``str.splitlines`` also breaks at form feeds and Unicode separators, which would shift every line below them.
    """
    lines = _LINE.findall(text)
    return lines if lines and lines[-1] else lines[:-1]


# UTF-32 first: its little-endian mark begins with that of UTF-16.
_UNSUPPORTED_MARKS = (
    (BOM_UTF32_LE, "UTF-32"),
    (BOM_UTF32_BE, "UTF-32"),
    (BOM_UTF16_LE, "UTF-16"),
    (BOM_UTF16_BE, "UTF-16"),
)
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n|\Z)")
_BREAK = re.compile(r"\r\n|\r|\n")
_HEAD = re.compile(rb"([^\r\n]*)(?:(?:\r\n|\r|\n)([^\r\n]*))?")
_DECLARATION = re.compile(rb"[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)")
_BLANK_OR_COMMENT = re.compile(rb"[ \t\f]*(?:#.*)?\Z")


def _declaration(body: bytes) -> tuple[str, int] | None:
    """The declared encoding and the offset of its name; only the first two lines count, the second after a comment."""
    head = _HEAD.match(body)
    if head is None:
        return None
    for index in (1, 2):
        line = head[index]
        if line is None:
            return None
        if found := _DECLARATION.match(line):
            return found[1].decode("ascii"), head.start(index) + found.start(1)
        if not _BLANK_OR_COMMENT.match(line):
            return None
    return None


def _encoding(body: bytes, bom: bool, display: str) -> str:
    declared = _declaration(body)
    if declared is None:
        return "utf-8"
    name, _ = declared
    try:
        known = lookup(name).name
    except LookupError:
        raise SourceError(display, f"declares an unknown encoding: {name}", _declared_at(body)) from None
    if known in ("utf-8", "utf-8-sig"):
        return "utf-8"
    if bom:
        raise SourceError(display, f"declares {name} but begins with the mark of UTF-8", _declared_at(body))
    if known.startswith(("utf-16", "utf-32")):
        raise SourceError(display, f"declares {name}, which Python does not read: save it as UTF-8", _declared_at(body))
    return known


def _declared_at(body: bytes) -> Position:
    from ddplint.findings import Position

    declared = _declaration(body)
    return _position(body, declared[1], "latin-1") if declared else Position(1, 1)


def _position(body: bytes, offset: int, encoding: str) -> Position:
    """Where the byte at ``offset`` shows in an editor; everything before it decodes."""
    from ddplint.findings import Position

    before = body[:offset].decode(encoding, "replace")
    breaks = list(_BREAK.finditer(before))
    return Position(len(breaks) + 1, len(before) - (breaks[-1].end() if breaks else 0) + 1)


def _newline(text: str) -> str:
    pairs = text.count("\r\n")
    counts = {"\n": text.count("\n") - pairs, "\r\n": pairs, "\r": text.count("\r") - pairs}
    return max(counts, key=counts.__getitem__)


def _spoken(encoding: str) -> str:
    return "UTF-8" if encoding == "utf-8" else encoding
