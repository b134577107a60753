"""``ddplint completion SHELL``: prints a script for the shell; hidden, packagers and README readers call it once."""

from __future__ import annotations

import argparse

from ddplint.cli import CommandError
from ddplint.cli.options import command


def parser() -> argparse.ArgumentParser:
    """The command line of ``ddplint completion``."""
    completion = command("completion", "{bash,zsh,fish}", "Print a completion script for a shell.")
    completion.add_argument("shell", choices=("bash", "zsh", "fish"))
    return completion


def run(args: argparse.Namespace) -> int:
    """Print the script."""
    try:
        import shtab
    except ImportError:
        raise CommandError('completion needs shtab: pip install "ddplint[completion]"') from None
    if args.shell not in shtab.SUPPORTED_SHELLS:
        raise CommandError(f"this version of shtab cannot write for {args.shell}: pip install --upgrade shtab")
    print(shtab.complete(_everything(shtab.FILE), shell=args.shell))
    return 0


def _everything(file: object) -> argparse.ArgumentParser:
    """One parser that knows all commands; the real ones are built one at a time, to keep the start fast."""
    from ddplint.cli import check, config, ranks, rule

    whole = argparse.ArgumentParser(prog="ddplint", parents=[_bare(check.parser())], conflict_handler="resolve")
    whole.add_argument("--version", action="store_true", help="print the version")
    commands = whole.add_subparsers()
    for name, module in {"check": check, "rule": rule, "ranks": ranks, "config": config}.items():
        full = module.parser()
        commands.add_parser(name, parents=[full], add_help=False, help=full.description, description=full.description)
    for parser in (whole, *commands.choices.values()):
        for action in parser._actions:
            if action.metavar in ("PATH", "FILE", "SCRIPT"):
                action.complete = file  # type: ignore[attr-defined]
    return whole


def _bare(check: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """The options of ``check`` without its positional argument, which would come before the name of a command."""
    for action in [action for action in check._actions if not action.option_strings]:
        check._remove_action(action)
        for group in check._action_groups:
            if action in group._group_actions:
                group._group_actions.remove(action)
    return check
