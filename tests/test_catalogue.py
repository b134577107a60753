"""One rule, one name: module, page, changelog, fixtures and registry agree, and the pages have the fixed form."""

from __future__ import annotations

import ast
import pkgutil
import re
from pathlib import Path

import pytest
from rule_pages import blocks, cases, example

import ddplint.rules
from ddplint import pages
from ddplint.rules import Rule, registry

ROOT = Path(__file__).parents[1]
RULES = list(registry().values())
every_rule = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)


def test_modules_pages_and_registry_agree() -> None:
    names = {rule.name.replace("-", "_") for rule in RULES}
    assert len(names) == len(RULES)
    assert {module.name for module in pkgutil.iter_modules(ddplint.rules.__path__)} == names
    assert {page.stem for page in pages.FOLDER.glob("*.md")} == names


@every_rule
def test_rule_is_where_its_name_says(rule: Rule) -> None:
    assert type(rule).__module__ == f"ddplint.rules.{rule.name.replace('-', '_')}"
    assert re.fullmatch(r"DDP\d{3}", rule.code)
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", rule.name)


@every_rule
def test_page_speaks_of_the_rule(rule: Rule) -> None:
    page = pages.load(rule.name)
    assert (page.code, page.name, page.since) == (rule.code, rule.name, rule.since)
    assert page.severity.startswith(rule.severity.value)
    assert page.fix in ("none", "safe", "unsafe", "display")
    if rule.fix is not None:
        assert page.fix == rule.fix.value
    assert all(page.sections[section] for section in pages.SECTIONS)
    assert "https://" in page.sections["References"]


@every_rule
def test_page_has_firing_and_silent_cases(rule: Rule) -> None:
    found = cases(pages.location(rule.name))
    firing = [case for case in found if case.expected]
    assert len(firing) >= 3
    assert len(found) - len(firing) >= 3
    others = {expected.code for case in found for expected in case.expected} - {rule.code}
    assert not others, "a case expects findings of its own rule only"


@every_rule
def test_scripts_are_python(rule: Rule) -> None:
    page = pages.location(rule.name)
    scripts = [block.text for block in blocks(page.read_text(encoding="utf-8"))]
    assert len(example(page)) == 2
    if rule.code != "DDP000":
        for script in scripts:
            ast.parse(script)


@every_rule
def test_changelog_names_the_rule(rule: Rule) -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(rf"^ *- `{rule.code}` {rule.name}: \S", changelog, re.MULTILINE)


@every_rule
def test_fixtures_exist(rule: Rule) -> None:
    folder = ROOT / "tests" / "fixtures" / rule.name.replace("-", "_")
    assert sorted(folder.glob("*.py"))


@every_rule
def test_words(rule: Rule) -> None:
    """No rule says "should"; the page tells what happens."""
    assert rule.summary
    assert rule.summary[0] != rule.summary[0].upper() or rule.summary.split()[0].isupper()
    assert not rule.summary.endswith(".")
    assert not re.search(r"\bshould\b", rule.summary + pages.read(rule.name), re.IGNORECASE)
    source = pages.location(rule.name).with_suffix(".py").read_text(encoding="utf-8")
    texts = [node.value for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Constant)]
    assert not [text for text in texts if isinstance(text, str) and re.search(r"\bshould\b", text, re.IGNORECASE)]
