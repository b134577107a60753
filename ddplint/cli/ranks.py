"""``ddplint ranks``: what every process of a run would get."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence

from ddplint.cli import CommandError
from ddplint.cli.options import add_color, add_format, command

LAUNCHERS = ("torchrun", "spawn", "srun", "mpirun")


def parser() -> argparse.ArgumentParser:
    """The command line of ``ddplint ranks``."""
    ranks = command(
        "ranks",
        "SCRIPT",
        "Show the rank, device, world size and master address that every process of a run would get. "
        "The script is read, not run.",
    )
    ranks.add_argument("script", metavar="SCRIPT", help="the script that is started")
    ranks.add_argument("--nnodes", type=_count, default=2, metavar="N", help="nodes; default: 2")
    ranks.add_argument(
        "--nproc-per-node", type=_count, default=4, metavar="N", help="processes, or GPUs, on each node; default: 4"
    )
    ranks.add_argument(
        "--launcher", choices=LAUNCHERS, help="what starts the processes; default: what the script is written for"
    )
    ranks.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE[,VALUE...]",
        help="what a person types for an option of the script or a variable; several values: one a node, or a process",
    )
    add_format(ranks)
    add_color(ranks)
    return ranks


def run(args: argparse.Namespace) -> int:
    """Evaluate the script and print the table."""
    from ddplint.linter import UnusableScriptError, rank_table
    from ddplint.reporters import ranks as reporter

    inputs = _inputs(args.set, args.nnodes, args.nproc_per_node)
    try:
        table = rank_table(args.script, args.nnodes, args.nproc_per_node, args.launcher, inputs)
    except UnusableScriptError as error:
        raise CommandError(str(error)) from None
    if args.output_format == "json":
        reporter.write_json(table, args.script, args.nnodes, args.nproc_per_node, sys.stdout)
    else:
        reporter.write_text(table, args.script, args.nnodes, args.nproc_per_node, sys.stdout, args.color)
    return 0


def _count(text: str) -> int:
    number = int(text) if text.isascii() and text.isdigit() else 0
    # A table of more processes than this is nothing that anybody reads.
    if not 1 <= number <= 1024:
        raise argparse.ArgumentTypeError(f"expected a number from 1 to 1024, not {text!r}")
    return number


def _inputs(words: Sequence[str], nnodes: int, nproc_per_node: int) -> Mapping[str, Sequence[str]]:
    inputs: dict[str, Sequence[str]] = {}
    for word in words:
        name, equals, value = word.partition("=")
        values = value.split(",")
        if not (equals and name):
            raise CommandError(f'--set: expected NAME=VALUE, such as node_rank=0,1, not "{word}"')
        processes = nnodes * nproc_per_node
        if len(values) not in (1, nnodes, processes):
            raise CommandError(
                f"--set: {name} has {len(values)} values: give 1, one for each of {nnodes} nodes, "
                f"or one for each of {processes} processes"
            )
        inputs[name.lstrip("-").replace("-", "_")] = values
    return inputs
