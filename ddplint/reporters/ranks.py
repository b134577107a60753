"""The table of ``ddplint ranks``: one row for each process, and what is wrong with it."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TextIO

from ddplint.reporters.wording import counted, printable

if TYPE_CHECKING:
    from rich.text import Text

    from ddplint.program.ranks import Cell, RankTable, Row

_COLUMNS = ("rank", "device", "world_size", "master_addr", "master_port")
_SHORTEST = 40


def write_text(table: RankTable, script: str, nnodes: int, nproc_per_node: int, stream: TextIO, color: str) -> None:
    """A table; below it why a value is unknown, and what is wrong with the run as a whole.

    What is wrong with a process stands behind its row where that fits the terminal, else below the table.
    """
    from rich.text import Text

    from ddplint.reporters.console import console_for

    console = console_for(stream, color)
    width = max(console.width, _SHORTEST) if stream.isatty() else None
    arrow = "←" if console.encoding.lower().startswith("utf") else "<-"
    topology = f"{counted(nnodes, 'node')} x {counted(nproc_per_node, 'process').replace('processs', 'processes')}"
    lines = [Text.assemble((printable(script), "bold"), f": {topology}, started by {table.launcher}"), Text()]
    notes: list[tuple[str, str, str]] = []
    if table.rows:
        grid, whys = _grid(table.rows)
        everywhere, single = _troubles(table.rows)
        beside = [line.copy().append("".join(f"  {arrow} {one}" for one in row), style="red")
                  for line, row in zip(grid[1:], single, strict=True)]  # fmt: skip
        numbers = {one: number for number, one in enumerate(dict.fromkeys(one for row in single for one in row), 1)}
        fits = width is None or all(line.cell_len <= width for line in beside)
        if not fits:
            beside = [
                line.copy().append(
                    f"  {arrow} " * bool(row) + " ".join(map(str, sorted(numbers[one] for one in row))), style="red"
                )
                for line, row in zip(grid[1:], single, strict=True)
            ]
            notes += [(f"{arrow} {number}", one, "red") for one, number in numbers.items()]
        lines += [grid[0], *beside, Text()]
        notes += [(f"{arrow} every process:", one, "red") for one in everywhere]
        notes += [(f"? ({number})", f"unknown: {why}", "yellow") for why, number in whys.items()]
    notes += [("", remark, "") for remark in table.remarks]
    for mark, text, style in notes:
        lead = f"  {mark} " if mark else "  "
        lines += [Text(line, style=style) for line in _wrapped(lead, printable(text), width)]
    while not lines[-1].plain:
        lines.pop()
    for line in lines:
        console.print(line, soft_wrap=True)


def write_json(table: RankTable, script: str, nnodes: int, nproc_per_node: int, stream: TextIO) -> None:
    """Every cell as ``{"value", "why", "trouble"}``; "why" says why a value is not known."""
    document = {
        "version": 1,
        "script": script,
        "launcher": table.launcher,
        "nnodes": nnodes,
        "nproc_per_node": nproc_per_node,
        "processes": [_process(row) for row in table.rows],
        "remarks": list(table.remarks),
    }
    json.dump(document, stream, indent=2)
    stream.write("\n")


def _process(row: Row) -> dict[str, Any]:
    values = {
        name: {"value": cell.value, "why": cell.why, "trouble": cell.trouble} for name, cell in row.values.items()
    }
    return {"node": row.node, "process": row.local_rank, "values": values}


def _grid(rows: Sequence[Row]) -> tuple[list[Text], dict[str, int]]:
    """The head and one line for each process, columns aligned; and the reasons, numbered as they come up."""
    from rich.cells import cell_len
    from rich.text import Text

    whys: dict[str, int] = {}
    # The local rank tells the processes of a node apart; where nobody counts them, their order here does.
    place = "local rank" if all(_local(row) is not None for row in rows) else "process"
    heads = ["node", place, *(name.replace("_", " ") for name in _COLUMNS)]
    cells = [
        [
            (str(row.node), ""),
            (_local(row) or str(row.local_rank), "") if place == "local rank" else (str(row.local_rank), ""),
            *(_cell(row.values.get(name), whys) for name in _COLUMNS),
        ]
        for row in rows
    ]
    widths = [max(cell_len(line[i][0]) for line in ([(head, "") for head in heads], *cells)) for i in range(len(heads))]
    lines: list[Text] = []
    for line in ([(head, "dim") for head in heads], *cells):
        text = Text("  ")
        for column, (word, style) in enumerate(line):
            text.append("  " * bool(column) + " " * (widths[column] - cell_len(word)))
            text.append(word, style=style)
        lines.append(text)
    return lines, whys


def _local(row: Row) -> str | None:
    cell = row.values.get("local_rank")
    return cell.value if cell is not None else None


def _cell(cell: Cell | None, whys: dict[str, int]) -> tuple[str, str]:
    if cell is not None and cell.value is not None:
        return printable(cell.value), "bold red" if cell.trouble else ""
    if cell is None or cell.why is None:
        return "-", "dim"
    return f"? ({whys.setdefault(cell.why, len(whys) + 1)})", "yellow"


def _troubles(rows: Sequence[Row]) -> tuple[list[str], list[list[str]]]:
    """What is wrong with every process, and what else is wrong with each."""
    each = [
        list(dict.fromkeys(printable(cell.trouble) for cell in row.values.values() if cell.trouble)) for row in rows
    ]
    everywhere = [one for one in each[0] if len(rows) > 1 and all(one in row for row in each)]
    return everywhere, [[one for one in row if one not in everywhere] for row in each]


def _wrapped(lead: str, text: str, width: int | None) -> list[str]:
    """A note on as many lines as the terminal needs, the later ones indented like the first."""
    if width is None:
        return [lead + text]
    # What is to be typed stays in one piece: a no-break space holds it together while the lines are cut.
    lines = textwrap.wrap(
        text.replace("--set ", "--set\u00a0"),
        width,
        initial_indent=lead,
        subsequent_indent=" " * (len(lead) if lead.strip() else 4),
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [line.replace("\u00a0", " ") for line in lines]
