"""``ddplint preflight``: are all processes of this job there, and fit to start?"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ddplint.cli.options import command

if TYPE_CHECKING:
    from ddplint.runtime.problem import Problem
    from ddplint.runtime.rollcall import Attendance


def parser() -> argparse.ArgumentParser:
    """The command line of ``ddplint preflight``."""
    from ddplint.runtime.preflight import add_arguments

    preflight = command(
        "preflight",
        "",
        "Call the roll of a job before it trains: start this with the job's own launcher, in place of the script. "
        "Rank 0 prints who is there, and every process says who is missing, comes twice or has the wrong GPU.",
        epilog="exit code: 0 all processes are there, 1 the start would fail, 2 wrong usage",
    )
    add_arguments(preflight)
    return preflight


def run(args: argparse.Namespace) -> int:
    """Call the roll."""
    from ddplint.runtime.preflight import main

    return main(args.launcher, show)


def show(present: Sequence[Attendance], warnings: Sequence[Problem]) -> None:
    """The table of all processes."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("rank", "local", "node"):
        table.add_column(name, justify="right")
    for name in ("host", "pid", "device", "launcher", "torch", "cuda", "nccl"):
        table.add_column(name, overflow="fold")
    for one in sorted(present, key=lambda found: found.rank):
        versions = [one.versions.get(name, "-") for name in ("torch", "cuda", "nccl")]
        numbers = [_shown(value) for value in (one.rank, one.local_rank, one.node_rank)]
        table.add_row(*numbers, one.host, str(one.pid), one.device or "cpu", one.launcher, *versions)
    console = Console(width=None if sys.stdout.isatty() else 120)
    console.print(table)
    for problem in warnings:
        console.print(f"{problem.severity}\n{problem}\n", markup=False)


def _shown(value: int | None) -> str:
    return "-" if value is None else str(value)
