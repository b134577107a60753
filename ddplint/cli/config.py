"""``ddplint config``: the settings, and where each of them comes from."""

from __future__ import annotations

import argparse
import sys

from ddplint.cli.options import add_format, add_settings, command, settings_of


def parser() -> argparse.ArgumentParser:
    """The command line of ``ddplint config``."""
    config = command(
        "config", "[PATH ...]", "Print the settings that hold for PATH, and where each of them comes from."
    )
    config.add_argument("paths", nargs="*", metavar="PATH", help="files and folders to be linted; default: .")
    add_settings(config)
    add_format(config)
    return config


def run(args: argparse.Namespace) -> int:
    """Print them."""
    from ddplint.reporters import settings as reporter

    form = args.output_format
    # Here it is the format of this command, not the setting of that name.
    del args.output_format
    settings = settings_of(args, args.paths)
    write = reporter.write_json if form == "json" else reporter.write_text
    write(settings, sys.stdout)
    return 0
