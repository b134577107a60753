"""``python -m ddplint.dev new-rule DDP999 some-name`` and ``python -m ddplint.dev docs [--check]``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ddplint.dev import docs, new_rule

ROOT = Path(__file__).parents[2]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one tool; 0 if all is well, 1 if something drifted, 2 if it cannot be done."""
    parser = argparse.ArgumentParser(prog="python -m ddplint.dev", description="Tools for working on ddplint itself.")
    commands = parser.add_subparsers(dest="command", required=True)
    rule = commands.add_parser("new-rule", help="write the skeleton of a rule: module, page, fixture, changelog line")
    rule.add_argument("code", help="such as DDP999")
    rule.add_argument("name", help="such as some-name; it names the pattern that is wrong")
    rule.add_argument("--summary", default="TODO: what is wrong, in half a sentence")
    table = commands.add_parser("docs", help="write the table of rules into README.md")
    table.add_argument("--check", action="store_true", help="change nothing, and fail if the table is not up to date")
    given = parser.parse_args(arguments)

    try:
        if given.command == "new-rule":
            for path in new_rule.write(ROOT, given.code, given.name, given.summary):
                print(path.relative_to(ROOT).as_posix())
            return 0
        changed = docs.update(ROOT / "README.md", write=not given.check)
    except (new_rule.NewRuleError, docs.DocsError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if changed and given.check:
        print(
            "error: the table of rules in README.md is not up to date: run python -m ddplint.dev docs", file=sys.stderr
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
