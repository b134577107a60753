"""``ddplint env``: who is this process, who says so, and what is wrong with it."""

from __future__ import annotations

import argparse

from ddplint.cli import CommandError
from ddplint.cli.options import command


def parser() -> argparse.ArgumentParser:
    """The command line of ``ddplint env``."""
    from ddplint.runtime.__main__ import add_arguments

    env = command(
        "env",
        "",
        "Show the rank, world size, hosts and master address of this process, which variable gives each, and what is "
        "wrong with them.",
        epilog="exit code: 0 a start may go well, 1 it would fail, 2 wrong usage or a file that cannot be read",
    )
    add_arguments(env)
    return env


def run(args: argparse.Namespace) -> int:
    """Print the report."""
    from ddplint.runtime.__main__ import show

    try:
        return show(args.source, args.launcher, args.output_format)
    except OSError as error:
        raise CommandError(f"--from: {args.source}: {error.strerror or error}") from None
