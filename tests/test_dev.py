"""The developers' tools: a new rule's skeleton, and the table of rules in the README."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from rule_pages import cases

from ddplint import pages
from ddplint.dev import docs, new_rule
from ddplint.dev.__main__ import main
from ddplint.rules import registry

ROOT = Path(__file__).parents[1]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "CHANGELOG.md").write_text((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), encoding="utf-8")
    return tmp_path


def test_new_rule(checkout: Path) -> None:
    new_rule.write(checkout, "DDP199", "some-new-rule", "something is wrong")
    module = (checkout / "ddplint" / "rules" / "some_new_rule.py").read_text(encoding="utf-8")
    assert "class SomeNewRule(Rule):" in module
    ast.parse(module)
    page = checkout / "ddplint" / "rules" / "some_new_rule.md"
    assert pages.parse(page.read_text(encoding="utf-8")).name == "some-new-rule"
    assert [case.name for case in cases(page)] == ["todo"]
    assert (checkout / "tests" / "fixtures" / "some_new_rule" / "broken.py").exists()
    codes = [line.split("`")[1] for line in _rules(checkout)]
    assert "  - `DDP199` some-new-rule: something is wrong" in _rules(checkout)
    assert codes == sorted(codes)


@pytest.mark.parametrize(
    ("code", "name"),
    [("DDP99", "some-name"), ("DDP199", "Some_Name"), ("DDP101", "some-name"), ("DDP199", "global-rank")],
)
def test_new_rule_refused(code: str, name: str, checkout: Path) -> None:
    before = sorted(checkout.rglob("*"))
    with pytest.raises(new_rule.NewRuleError):
        new_rule.write(checkout, code, name, "something is wrong")
    assert sorted(checkout.rglob("*")) == before


def test_table_is_written_once(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(f"# x\n\n{docs.BEGIN}\n\nSTALE\n\n{docs.END}\n\nrest\n", encoding="utf-8")
    assert docs.update(readme, write=False)
    assert "STALE" in readme.read_text(encoding="utf-8")
    assert docs.update(readme, write=True)
    assert not docs.update(readme, write=True)
    text = readme.read_text(encoding="utf-8")
    assert "STALE" not in text
    assert text.endswith("\n\nrest\n")
    assert all(f"| {code} |" in text for code in registry())


def test_table_has_no_place(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("# x\n", encoding="utf-8")
    with pytest.raises(docs.DocsError):
        docs.update(readme, write=True)


def test_readme_is_up_to_date() -> None:
    assert main(["docs", "--check"]) == 0


def _rules(checkout: Path) -> list[str]:
    text = (checkout / "CHANGELOG.md").read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line.startswith("  - `DDP")]
