"""``ddplint rule``: the page of a rule, or the table of all of them."""

from __future__ import annotations

import argparse
import sys

from ddplint.cli import CommandError
from ddplint.cli.options import add_color, add_format, command


def parser() -> argparse.ArgumentParser:
    """The command line of ``ddplint rule``."""
    rule = command("rule", "[RULE]", "Explain a rule; without one, list them all.")
    which = rule.add_mutually_exclusive_group()
    which.add_argument("rule", nargs="?", metavar="RULE", help="a code (DDP101) or a name (global-rank)")
    which.add_argument("--all", action="store_true", help="explain every rule")
    add_format(rule)
    add_color(rule)
    return rule


def run(args: argparse.Namespace) -> int:
    """Print what was asked for."""
    from ddplint.reporters import rules as reporter
    from ddplint.rules import registry

    rules = list(registry().values())
    if args.rule is not None:
        from ddplint.settings import suggestion

        wanted = args.rule.lower().replace("_", "-")
        rules = [rule for rule in rules if wanted in (rule.code.lower(), rule.name)]
        if not rules:
            words = [word for rule in registry().values() for word in (rule.code, rule.name)]
            raise CommandError(f'there is no rule "{args.rule}"{suggestion(args.rule, words)}')
    pages = args.all or args.rule is not None
    if args.output_format == "json":
        reporter.write_json(rules, sys.stdout, one=args.rule is not None)
    elif pages:
        reporter.write_pages(rules, sys.stdout, args.color)
    else:
        reporter.write_table(rules, sys.stdout, args.color)
    return 0
