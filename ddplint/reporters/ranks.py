"""The table of ``ddplint ranks``: one row for each process, and what is wrong with it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TextIO

from ddplint.reporters.wording import counted, printable

if TYPE_CHECKING:
    from ddplint.program.ranks import Cell, RankTable, Row

_COLUMNS = ("rank", "local_rank", "device", "world_size", "master_addr", "master_port")


def write_text(table: RankTable, script: str, nnodes: int, nproc_per_node: int, stream: TextIO, color: str) -> None:
    """A table; below it why a value is unknown, and what is wrong with the run as a whole."""
    from rich.cells import cell_len
    from rich.text import Text

    from ddplint.reporters.console import console_for

    console = console_for(stream, color)
    heads = ["node", "process", *(name.replace("_", " ") for name in _COLUMNS)]
    whys: dict[str, int] = {}
    rows = [_row(row, whys) for row in table.rows]
    widths = [max(cell_len(line[column][0]) for line in ([(head, "") for head in heads], *rows)) for column in range(8)]

    def pad(text: str, column: int) -> str:
        return " " * (widths[column] - cell_len(text)) + text

    topology = f"{counted(nnodes, 'node')} x {counted(nproc_per_node, 'process').replace('processs', 'processes')}"
    lines = [Text.assemble((printable(script), "bold"), f": {topology}, started by {table.launcher}"), Text()]
    lines.append(Text("  " + "  ".join(pad(head, column) for column, head in enumerate(heads)), style="dim"))
    arrow = "←" if console.encoding.lower().startswith("utf") else "<-"
    for row, cells in zip(table.rows, rows, strict=True):
        line = Text("  ")
        for column, (text, style) in enumerate(cells):
            line.append(("  " if column else "") + pad(text, column), style=style)
        for trouble in dict.fromkeys(cell.trouble for cell in row.values.values() if cell.trouble):
            line.append(f"  {arrow} {printable(trouble)}", style="red")
        lines.append(line)
    lines += [Text()] if whys or table.remarks else []
    lines += [Text(f"  ? ({number}) unknown: {printable(why)}", style="yellow") for why, number in whys.items()]
    lines += [Text(f"  {printable(remark)}") for remark in table.remarks]
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


def _row(row: Row, whys: dict[str, int]) -> list[tuple[str, str]]:
    """The texts of one row and how to colour them; reasons are numbered, each the first time it comes up."""
    cells = [(str(row.node), ""), (str(row.local_rank), "")]
    for name in _COLUMNS:
        cell = row.values.get(name)
        cells.append(("-", "dim") if cell is None else _cell(cell, whys))
    return cells


def _cell(cell: Cell, whys: dict[str, int]) -> tuple[str, str]:
    if cell.value is not None:
        return printable(cell.value), "bold red" if cell.trouble else ""
    if cell.why is None:
        return "-", "dim"
    return f"? ({whys.setdefault(cell.why, len(whys) + 1)})", "yellow"
