"""docs/fixes.md names every fix, its level, and every script that proves it by running."""

from __future__ import annotations

import re
from pathlib import Path

from cases import CASES

from ddplint.rules import registry

PAGE = Path(__file__).parents[2] / "docs" / "fixes.md"
ROW = re.compile(r"^\| (DDP\d+) \| \[([\w-]+)\]\(([^)]+)\) \| (\w+) \| [^|]+ \| ([^|]+) \|$", re.MULTILINE)


def test_every_fix_is_in_the_table() -> None:
    rows = {row[1]: row for row in ROW.finditer(PAGE.read_text(encoding="utf-8"))}
    fixes = {code: rule for code, rule in registry().items() if rule.fix is not None}
    assert list(rows) == list(fixes)
    for code, rule in fixes.items():
        assert rule.fix is not None
        _, name, page, level, proof = rows[code].groups()
        assert (name, level) == (rule.name, rule.fix.value)
        assert (PAGE.parent / page).is_file()
        assert re.findall(r"\[(\w+)\]", proof) == [case.script for case in CASES if case.code == code]


def test_links_lead_somewhere() -> None:
    for link in re.findall(r"\]\(([^)#]+)\)", PAGE.read_text(encoding="utf-8")):
        assert (PAGE.parent / link).exists(), link
