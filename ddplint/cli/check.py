"""``ddplint check``: lint files and folders."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, TextIO

from ddplint.cli import ISSUES, CommandError
from ddplint.cli.fixing import add_fixes, added, mode_of, repair, save, summary, write_diff, write_text
from ddplint.cli.options import add_color, add_settings, command, settings_of

if TYPE_CHECKING:
    from ddplint.linter import Progress, Report
    from ddplint.settings import Settings


def parser() -> argparse.ArgumentParser:
    """The command line of ``ddplint check``."""
    check = command(
        "check",
        "[PATH ...]",
        "Lint PyTorch training scripts for what goes wrong on more than one process, GPU or node, and repair them.",
        epilog="exit code: 0 nothing found (or left), 1 findings, 2 wrong usage, settings or paths",
    )
    check.add_argument("paths", nargs="*", metavar="PATH", help='files and folders; "-" is standard input; default: .')
    check.add_argument("--stdin-filename", metavar="NAME", help="what to call standard input")
    add_fixes(check)
    add_settings(check)
    output = check.add_argument_group("output")
    output.add_argument("--output-format", metavar="FORMAT", help="text (default), concise, json, json-lines or github")
    output.add_argument("--output-file", metavar="FILE", help="write the findings there")
    output.add_argument("--statistics", action="store_true", help="count the findings of each rule")
    add_color(output)
    output.add_argument("--exit-zero", action="store_true", help="exit 0 whatever is found")
    output.add_argument("--show-settings", action="store_true", help="print the settings and end; see ddplint config")
    output.add_argument(
        "-v", "--verbose", action="store_true", help="say what was read, and details of internal errors"
    )
    output.add_argument("-q", "--quiet", action="store_true", help="nothing but findings and errors")
    check.add_argument("--no-cache", action="store_true", help="do not use or write the cache")
    return check


def run(args: argparse.Namespace) -> int:
    """Lint, repair if asked, report, and return the exit code."""
    paths: list[str] = args.paths or ["."]
    piped = "-" in paths
    named = [path for path in paths if path != "-"]
    if args.stdin_filename is not None and not piped:
        raise CommandError('--stdin-filename: there is no "-" among the paths')
    mode = mode_of(args)
    settings = settings_of(args, named or ([args.stdin_filename] if args.stdin_filename else []))
    if args.show_settings:
        from ddplint.reporters.settings import write_text as write_settings

        write_settings(settings, sys.stdout)
        return 0
    content = sys.stdin.buffer.read() if piped else None
    if mode is None:
        from ddplint.linter import lint

        with _bar(args) as progress:
            report = lint(named, settings, stdin=content, stdin_filename=args.stdin_filename, progress=progress)
        _write(report, settings, args, sys.stdout)
        _complain(report, settings, args)
        return _exit_code(report, settings, args)
    from ddplint.linter import examine

    with _bar(args) as progress:
        examined = examine(named, settings, stdin=content, stdin_filename=args.stdin_filename, progress=progress)
    outcome = repair(examined, args)
    if mode == "diff":
        return _show_diff(examined.report(outcome), settings, args)
    failed: Mapping[str, str] = {}
    if content is None:
        outcome, failed = save(outcome)
    else:
        write_text(outcome, content)
    report = examined.report(outcome)
    _write(report, settings, args, sys.stdout if content is None else sys.stderr)
    _complain(report, settings, args, failed)
    return 2 if failed else _exit_code(report, settings, args)


def _exit_code(report: Report, settings: Settings, args: argparse.Namespace) -> int:
    if report.problems or report.errors:
        return 2
    worst = max((finding.severity.rank for finding in report.findings if not finding.suppressed), default=-1)
    return 1 if worst >= settings.fail_on.rank and not (args.exit_zero or args.fix_only) else 0


def _show_diff(report: Report, settings: Settings, args: argparse.Namespace) -> int:
    if args.output_file is None:
        sys.stdout.flush()
        changes = write_diff(report.fixes, sys.stdout.buffer)
    else:
        try:
            with open(args.output_file, "wb") as stream:
                changes = write_diff(report.fixes, stream)
        except OSError as error:
            raise CommandError(f"--output-file: {args.output_file}: {error.strerror or error}") from None
    if not args.quiet:
        print("\n".join(summary(report.fixes, args, "Would fix")), file=sys.stderr)
    _complain(report, settings, args)
    if report.problems or report.errors:
        return 2
    return 1 if changes and not args.exit_zero else 0


def _bar(args: argparse.Namespace) -> AbstractContextManager[Progress | None]:
    if args.quiet or not sys.stderr.isatty():
        return nullcontext()
    from ddplint.cli.progress import Bar

    return Bar()


def _write(report: Report, settings: Settings, args: argparse.Namespace, stdout: TextIO) -> None:
    if args.output_file is None:
        _print(report, settings, args, stdout)
        stdout.flush()
        return
    try:
        with open(args.output_file, "w", encoding="utf-8", errors="backslashreplace") as stream:
            _print(report, settings, args, stream)
    except OSError as error:
        raise CommandError(f"--output-file: {args.output_file}: {error.strerror or error}") from None


def _print(report: Report, settings: Settings, args: argparse.Namespace, stream: TextIO) -> None:
    from dataclasses import replace

    from ddplint.reporters import Style, reporter

    tail: Sequence[str] = ()
    if args.add_ignore:
        tail = [added(report.fixes)]
        report = replace(report, fixes=None)
    elif args.fix_only:
        tail = summary(report.fixes, args)
        report = replace(report, findings=())
    structured = settings.output_format.startswith("json")
    if structured or not args.fix_only:
        style = Style(
            args.color, args.statistics, args.quiet, unsafe_fixes=args.unsafe_fixes, show_fixes=args.show_fixes
        )
        reporter(settings.output_format)(report, stream, style)
    if not (structured or args.quiet):
        stream.write("".join(f"{line}\n" for line in tail))


def _complain(
    report: Report, settings: Settings, args: argparse.Namespace, failed: Mapping[str, str] | None = None
) -> None:
    """What is not a finding goes to standard error, so that no format is spoilt by it."""
    lines = [f"error: {problem}" for problem in report.problems]
    lines += [f"error: {path}: {reason}" for path, reason in (failed or {}).items()]
    if report.fixes is not None and report.fixes.stuck:
        rules = ", ".join(report.fixes.stuck)
        lines.append(f"warning: the fixes of {rules} came to no end, and were stopped. Please report this: {ISSUES}")
    if not args.quiet:
        lines += [f"warning: {folder}: no Python files there" for folder in report.empty]
    for fault in report.errors:
        where = f"rule {fault.rule} on {fault.path}" if fault.rule else fault.path
        lines.append(f"internal error in {where}: {fault.error}")
        if args.verbose:
            lines.append(fault.traceback.rstrip())
    if report.errors:
        hint = "the output of the same command with -v" if not args.verbose else "the lines above"
        lines.append(f"the rest was linted. Please report {hint}, and the script if you can: {ISSUES}")
    if args.verbose:
        lines.append(f"settings: {settings.file or 'no settings file'}")
        lines.append(f"files: {report.files} found, {report.checked} distributed, {report.skipped} skipped")
    for line in lines:
        print(f"ddplint: {line}", file=sys.stderr)
