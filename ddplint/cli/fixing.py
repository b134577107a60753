"""The options of ``ddplint check`` that change files, and what they do with the outcome."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from typing import IO, TYPE_CHECKING

from ddplint.cli import CommandError

if TYPE_CHECKING:
    from ddplint.fixes import Repair
    from ddplint.linter import Examined


def add_fixes(check: argparse.ArgumentParser) -> None:
    """``--fix`` and its kin."""
    fixes = check.add_argument_group("fixes")
    fixes.add_argument(
        "--fix",
        action="store_true",
        help='repair what can be repaired safely ("-": write the result to standard output)',
    )
    fixes.add_argument(
        "--unsafe-fixes",
        action="store_true",
        help="also fixes that need a look; without --fix: count them as fixable",
    )
    fixes.add_argument(
        "--diff", action="store_true", help="print what --fix would change, for patch -p1; exit 1 if that is anything"
    )
    fixes.add_argument("--fix-only", action="store_true", help="--fix, and say nothing of what is left; exit 0")
    fixes.add_argument("--show-fixes", action="store_true", help="list what was repaired")
    fixes.add_argument(
        "--add-ignore", action="store_true", help="write a suppression for every finding that there is today"
    )


def mode_of(args: argparse.Namespace) -> str | None:
    """``"fix"``, ``"diff"``, ``"ignore"``, or None for a lint that changes nothing.

    Raises:
        CommandError: the options do not go together.
    """
    fixing = args.fix or args.fix_only
    if args.add_ignore:
        for name, given in (
            ("--fix", args.fix),
            ("--fix-only", args.fix_only),
            ("--diff", args.diff),
            ("--unsafe-fixes", args.unsafe_fixes),
            ("--show-fixes", args.show_fixes),
        ):
            if given:
                raise CommandError(f"--add-ignore and {name}: one repairs findings, the other hides them")
        if "-" in args.paths:
            raise CommandError("--add-ignore: standard input is no file to write suppressions into")
        return "ignore"
    if args.show_fixes and not (fixing or args.diff):
        raise CommandError("--show-fixes: nothing is repaired without --fix, --fix-only or --diff")
    if (fixing or args.diff) and "-" in args.paths and len(args.paths) > 1:
        raise CommandError('"-" and other paths: only one text can be written to standard output')
    # Both together show what would be done, as with ruff.
    return "diff" if args.diff else "fix" if fixing else None


def repair(examined: Examined, args: argparse.Namespace) -> Repair | None:
    """Repair, or hide, in memory; None where nothing was linted."""
    if examined.check is None:
        return None
    from ddplint import fixes

    if args.add_ignore:
        return fixes.hide(examined.check)
    return fixes.repair(examined.check, unsafe=args.unsafe_fixes)


def write_diff(outcome: Repair | None, stream: IO[bytes]) -> bool:
    """Print what would change; whether that is anything."""
    if outcome is None:
        return False
    from ddplint.fixes import diff

    for _, (before, after) in sorted(outcome.changed.items()):
        stream.write(diff(before, after))
    stream.flush()
    return bool(outcome.changed)


def save(outcome: Repair | None) -> tuple[Repair | None, Mapping[str, str]]:
    """Write the files; what holds now, and the files that were left alone with the reason."""
    if outcome is None:
        return None, {}
    from ddplint import fixes

    return fixes.save(outcome)


def write_text(outcome: Repair | None, content: bytes) -> None:
    """Standard input as it is now, to standard output."""
    changed = list(outcome.changed.values()) if outcome else []
    sys.stdout.flush()
    sys.stdout.buffer.write(changed[0][1].data if changed else content)
    sys.stdout.buffer.flush()


def added(outcome: Repair | None) -> str:
    """How much ``--add-ignore`` has hidden."""
    from ddplint.reporters.wording import counted

    findings = sum(len(fix.findings) for fix in outcome.applied) if outcome else 0
    if not outcome or not findings:
        return "Added no suppression."
    return f"Added suppressions for {counted(findings, 'finding')} in {counted(len(outcome.changed), 'file')}."


def summary(outcome: Repair | None, args: argparse.Namespace, verb: str = "Fixed") -> Sequence[str]:
    """What was done, and with ``--show-fixes`` each of it."""
    if outcome is None:
        return [f"{verb} nothing."]
    from ddplint.reporters import repairs

    listed = repairs.applied(outcome) if args.show_fixes else []
    return [repairs.done(outcome, verb), *listed, *repairs.left_out(outcome)]
