"""``ddplint run``: a script, unmodified, with the start of its process group corrected."""

from __future__ import annotations

import argparse

from ddplint.cli import CommandError
from ddplint.cli.options import command


def parser() -> argparse.ArgumentParser:
    """The command line of ``ddplint run``."""
    from ddplint.runtime.run import add_arguments

    run = command(
        "run",
        "SCRIPT [ARGUMENT ...]",
        "Run a script, unmodified, on one process or many. Under a launcher (torchrun, srun, mpirun, ...) each process "
        "runs the script with the rank, world size, address and device that the launcher says; alone, torchrun starts "
        "one process for each GPU of this machine. What the script says otherwise is overruled, and its line named.",
        epilog="exit code: the script's; 1 if its start is refused; 2 wrong usage or environment",
    )
    add_arguments(run)
    return run


def run(args: argparse.Namespace) -> int:
    """Run the script."""
    from ddplint.runtime.run import RunError, main

    try:
        return main(args)
    except RunError as error:
        raise CommandError(str(error)) from None
