"""The counterexample as a small table: one row for each process, with columns only for what is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len

from ddplint.findings import Counterexample, Process
from ddplint.reporters.wording import printable

_COLUMNS = ("node", "local_rank", "rank", "device", "world_size", "master_addr")
# Two nodes of four, three of two: what a reader takes in at a glance. More are cut to those that matter.
_MOST_ROWS = 10


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: its cells padded to a common width, and what is wrong with this process."""

    cells: str
    trouble: str | None = None


def table(example: Counterexample) -> tuple[str, list[Row]]:
    """The heading and the rows."""
    processes = example.processes
    columns = [name for name in _COLUMNS if any(getattr(process, name) is not None for process in processes)]
    kept = _kept(processes)
    values = [[_cell(process, name) for name in columns] for process in kept]
    heads = [name.replace("_", " ") for name in columns]
    widths = [max(cell_len(text) for text in column) for column in zip(heads, *values, strict=True)]
    rows = [
        Row(_row(cells, widths), printable(process.trouble) if process.trouble else None)
        for process, cells in zip(kept, values, strict=True)
    ]
    if len(kept) < len(processes):
        rows.append(Row(f"and {len(processes) - len(kept)} more"))
    return _row(heads, widths), rows


def _kept(processes: Sequence[Process]) -> Sequence[Process]:
    if len(processes) <= _MOST_ROWS:
        return processes
    troubled = [process for process in processes if process.trouble][:_MOST_ROWS]
    fine = [process for process in processes if not process.trouble][: _MOST_ROWS - len(troubled)]
    chosen = {id(process) for process in (*troubled, *fine)}
    return [process for process in processes if id(process) in chosen]


def _cell(process: Process, name: str) -> str:
    value = getattr(process, name)
    return "?" if value is None else printable(str(value))


def _row(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(" " * (width - cell_len(cell)) + cell for cell, width in zip(cells, widths, strict=True))
