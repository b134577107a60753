"""The lines of source around a finding, and the carets under what is at fault.

Columns of a finding count characters; columns of a terminal do not: a tab is up to four cells, a CJK letter two, a
combining accent none. Everything here is about getting the carets under the right cells all the same.
"""

from __future__ import annotations

from dataclasses import dataclass

from rich.cells import cell_len

from ddplint.findings import Span
from ddplint.reporters.wording import printable
from ddplint.sources import split_lines

_TAB = 4


@dataclass(frozen=True, slots=True)
class FrameLine:
    """One line of source, ready to print. ``caret`` and ``width`` are in cells; no width, no mark."""

    number: int
    text: str
    caret: int = 0
    width: int = 0


def frame(text: str, span: Span, width: int, *, before: int = 1, after: int = 1) -> list[FrameLine]:
    """The line where ``span`` starts with ``before`` and ``after`` lines around it, none wider than ``width`` cells.

    Blank lines at the edges are left out, and so is the indentation that all lines share. A place that the file does
    not have (it changed during the run) gives no lines.
    """
    lines = split_lines(text)
    fault = span.start.line
    if not 1 <= fault <= len(lines):
        # The parser puts "unexpected end of file" after the last line.
        if not lines or fault != len(lines) + 1:
            return []
        lines.append("")
    numbers = list(range(max(1, fault - before), min(len(lines), fault + after) + 1))
    while numbers[0] != fault and not lines[numbers[0] - 1].strip():
        del numbers[0]
    while numbers[-1] != fault and not lines[numbers[-1] - 1].strip():
        del numbers[-1]
    bodies = {number: lines[number - 1].rstrip("\r\n") for number in numbers}
    begin = span.start.column - 1
    stop = span.end.column - 1 if span.end.line == fault else len(bodies[fault].rstrip())
    # A mark of no width, or one beyond the end of the line, still gets a caret.
    head, marked = bodies[fault][:begin], bodies[fault][begin:stop]
    column = cell_len(_flat(head))
    wide = max(1, cell_len(_flat(head + marked)) - column)
    texts = {number: _flat(body).rstrip() for number, body in bodies.items()}
    indent = min(_shared_indent(texts), column)
    left = _window(column - indent, wide, max(cell_len(texts[fault]) - indent, 1), width)
    result = []
    for number, body in texts.items():
        cropped = _crop(body[indent:], left, width)
        if number == fault:
            at = column - indent - left
            result.append(FrameLine(number, cropped, at, max(1, min(wide, width - at))))
        else:
            result.append(FrameLine(number, cropped))
    return result


def _flat(text: str) -> str:
    """Tabs as spaces, control codes as escapes."""
    if text.isprintable():
        return text
    cells: list[str] = []
    column = 0
    for piece in text.split("\t"):
        piece = printable(piece.replace("\f", ""))
        column += cell_len(piece)
        filler = _TAB - column % _TAB
        cells += (piece, " " * filler)
        column += filler
    return "".join(cells[:-1])


def _shared_indent(texts: dict[int, str]) -> int:
    return min((len(text) - len(text.lstrip(" ")) for text in texts.values() if text.strip()), default=0)


def _window(column: int, wide: int, total: int, width: int) -> int:
    """The first cell to show, so that the mark is seen: 0 wherever the line or the mark fits from the start."""
    if total <= width or column + min(wide, width // 2) < width - 1:
        return 0
    return max(0, column - width // 3)


def _crop(text: str, left: int, width: int) -> str:
    """The cells ``left .. left + width`` of ``text``, with an ellipsis where something was cut off."""
    if not left and cell_len(text) <= width:
        return text
    kept: list[str] = []
    cell = 0
    for char in text:
        size = cell_len(char)
        if cell >= left and cell + size <= left + width:
            kept.append(char)
        elif cell < left < cell + size:
            kept.append(" ")  # half of a wide character
        elif cell >= left + width:
            break
        cell += size
    if left and kept:
        kept[0] = "…" + " " * (cell_len(kept[0]) - 1)
    if cell_len(text) > left + width and kept:
        kept[-1] = "…"
    return "".join(kept)
