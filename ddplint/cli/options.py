"""The options that stand for settings, which several commands take, and the settings that result."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ddplint.cli import CommandError

if TYPE_CHECKING:
    from ddplint.rules import Rule
    from ddplint.settings import Settings

# Options whose name is that of the setting, with underscores.
_DIRECT = (
    "select",
    "ignore",
    "extend_select",
    "extend_ignore",
    "fixable",
    "unfixable",
    "extend_safe_fixes",
    "extend_unsafe_fixes",
    "exclude",
    "extend_exclude",
    "fail_on",
    "output_format",
    "target_torch",
    "preview",
    "respect_gitignore",
)


def command(name: str, arguments: str, description: str, epilog: str | None = None) -> argparse.ArgumentParser:
    """A parser for one command; options are never abbreviated, so that adding one breaks no script."""
    return argparse.ArgumentParser(
        prog=f"ddplint {name}",
        # The generated one takes ten lines, before every error message.
        usage=f"ddplint {name} [OPTION ...] {arguments}",
        description=description,
        epilog=epilog,
        allow_abbrev=False,
        formatter_class=_Formatter,
    )


class _Formatter(argparse.HelpFormatter):
    """The usual one; argparse makes one for every option, and its own way to the width of the terminal imports
    shutil and all compression modules behind it."""

    def __init__(self, prog: str) -> None:
        try:
            width = int(os.environ.get("COLUMNS", "")) or 80
        except ValueError:
            try:
                width = os.get_terminal_size().columns
            except OSError:
                width = 80
        super().__init__(prog, width=width - 2)


def add_format(parser: argparse.ArgumentParser) -> None:
    """``--output-format`` of the commands that print text or JSON."""
    parser.add_argument("--output-format", choices=("text", "json"), default="text", help="default: text")


def add_color(parser: argparse._ActionsContainer) -> None:
    """``--color``."""
    parser.add_argument(
        "--color",
        choices=("auto", "always", "never"),
        default="auto",
        help="auto (default): on a terminal, unless NO_COLOR is set or TERM is dumb; FORCE_COLOR turns it on",
    )


def add_settings(parser: argparse.ArgumentParser) -> None:
    """The options that override the settings file."""
    rules = parser.add_argument_group(
        "rules", "RULES: codes (DDP101), beginnings of codes (DDP1), names, or ALL; with commas"
    )
    for name, text in (
        ("--select", "these rules only"),
        ("--ignore", "all rules but these"),
        ("--extend-select", "these rules too"),
        ("--extend-ignore", "leave out these rules too"),
        ("--fixable", "repair findings of these rules only"),
        ("--unfixable", "repair findings of all rules but these"),
        ("--extend-safe-fixes", "take fixes of these rules for safe"),
        ("--extend-unsafe-fixes", "take fixes of these rules for unsafe"),
    ):
        rules.add_argument(name, metavar="RULES", action="append", help=text)
    rules.add_argument(
        "--per-file-ignores", metavar="PATTERN:RULES", action="append", help="leave out these rules in these files"
    )
    rules.add_argument("--preview", action="store_true", default=None, help="also rules that are still being tried")
    files = parser.add_argument_group("files", "PATTERN: as in a .gitignore file")
    files.add_argument(
        "--exclude", metavar="PATTERN", action="append", help="instead of the usual ones (.git, venv, ...)"
    )
    files.add_argument("--extend-exclude", metavar="PATTERN", action="append", help="and these")
    files.add_argument(
        "--no-respect-gitignore",
        action="store_false",
        default=None,
        dest="respect_gitignore",
        help="lint ignored files",
    )
    settings = parser.add_argument_group("settings")
    one = settings.add_mutually_exclusive_group()
    one.add_argument(
        "--config", metavar="FILE", help="this settings file, not the nearest pyproject.toml or ddplint.toml"
    )
    one.add_argument("--isolated", action="store_true", help="no settings file")
    settings.add_argument(
        "--multi-node",
        choices=("true", "false", "auto"),
        help="whether the scripts run on several nodes; auto (default): judged by what they do",
    )
    settings.add_argument("--target-torch", metavar="VERSION", help="the oldest torch that the scripts must run with")
    settings.add_argument(
        "--fail-on", choices=("error", "warning", "note"), help="exit 1 for these and worse; default: warning"
    )


def settings_of(args: argparse.Namespace, paths: Sequence[str] = ()) -> Settings:
    """The settings file that is nearest to ``paths``, and the command line over it.

    Raises:
        CommandError: a setting cannot be used.
    """
    from ddplint.settings import Settings, SettingsError, load, override
    from ddplint.settings.options import OPTIONS

    given: dict[str, object] = {name: getattr(args, name, None) for name in _DIRECT}
    if args.multi_node is not None:
        given["multi_node"] = {"true": True, "false": False, "auto": "auto"}[args.multi_node]
    try:
        if args.per_file_ignores:
            given["per_file_ignores"] = _per_file(args.per_file_ignores)
        if args.isolated:
            base = Settings(origins=dict.fromkeys(OPTIONS, "default"))
        else:
            base = load(_start(paths), args.config, registry)
        return override(base, registry, **given)
    except SettingsError as error:
        raise CommandError(str(error)) from None


def registry() -> Mapping[str, Rule]:
    """The rules, imported only if a setting names one."""
    from ddplint import rules

    return rules.registry()


def _per_file(words: Sequence[str]) -> Mapping[str, Sequence[str]]:
    table: dict[str, list[str]] = {}
    for word in words:
        pattern, colon, rules = word.rpartition(":")
        if not (pattern and colon and rules):
            raise CommandError(f'--per-file-ignores: expected PATTERN:RULES, such as "tests/*:DDP103", not "{word}"')
        table.setdefault(pattern, []).append(rules)
    return table


def _start(paths: Sequence[str]) -> str:
    """The folder from which to look for a settings file: the innermost that holds all paths."""
    try:
        common = os.path.commonpath([os.path.abspath(path) for path in paths])
    except ValueError:
        # No path; paths on different drives; a NUL byte in one.
        return os.getcwd()
    while not os.path.isdir(common):
        common = os.path.dirname(common)
    return common
