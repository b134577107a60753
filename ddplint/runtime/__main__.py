"""``python -m ddplint.runtime``: who is this process, who says so, and what is wrong with it.

Needs nothing but the standard library, so it runs on a login node too. Exit code 1 when a start would fail.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from ddplint.runtime import machine, recording
from ddplint.runtime.files import file_text
from ddplint.runtime.launchers import BY_NAME
from ddplint.runtime.launchers.launcher import unreadable
from ddplint.runtime.report import as_json, as_text, report


def main(argv: list[str] | None = None) -> int:
    """Print the report on this process or on a recorded environment."""
    arguments = parser().parse_args(argv)
    try:
        return show(arguments.source, arguments.launcher, arguments.output_format)
    except OSError as error:
        print(f"cannot read {arguments.source}: {error.strerror}", file=sys.stderr)
        return 2


def show(source: str | None, launcher: str | None, output_format: str) -> int:
    """Print the report on this process (``source`` None) or on a recorded environment, and return the exit code.

    Raises:
        OSError: the recorded environment cannot be read.
    """
    if source is None:
        result = report(os.environ, file_text, launcher, machine.seen_here)
    else:
        text = sys.stdin.read() if source == "-" else _read(Path(source))
        result = report(recording.parse(text), unreadable, launcher)
    sys.stdout.write(as_json(result) + "\n" if output_format == "json" else as_text(result))
    return 1 if result.fails else 0


def parser() -> argparse.ArgumentParser:
    """The command line."""
    command = argparse.ArgumentParser(
        prog="python -m ddplint.runtime",
        description="Show the rank, world size, hosts and master address of this process, which variable gives each, "
        "and what is wrong with them.",
        allow_abbrev=False,
    )
    add_arguments(command)
    return command


def add_arguments(command: argparse.ArgumentParser) -> None:
    """The options, which are those of ``ddplint env`` too."""
    command.add_argument(
        "--from", dest="source", metavar="FILE", help='a recorded environment (what "env" printed); "-": standard input'
    )
    command.add_argument("--launcher", choices=BY_NAME, metavar="NAME", help=f"believe this one: {', '.join(BY_NAME)}")
    command.add_argument("--output-format", choices=("text", "json"), default="text", help="default: text")


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


if __name__ == "__main__":
    raise SystemExit(main())
