"""The rules on which ranks reach a collective find every planted hang, in its line, and nothing in the repaired twin.

That the scripts do hang, or fail, is shown in tests/hangs. What is marked:

- a collective that only some ranks reach at its own call; if functions lie between it and the test of the rank, at the
  call in the function that tests, because the others are right in themselves. A decorator's test belongs to the
  function below it;
- where one collective meets another, that of rank 0;
- a process that leaves at the statement with which it does.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from ddplint.findings import Finding
from ddplint.linter import lint
from ddplint.settings import Settings

FIXTURES = Path(__file__).parent / "fixtures"
HANGS = sorted((FIXTURES / "hangs").glob("*.py"))
IDIOMS = sorted((FIXTURES / "idioms").glob("*.py"))

FAMILIES = ("DDP3", "DDP8")
_COMMENT = re.compile(r"# expect: (?P<code>DDP\d{3}) (?P<severity>\w+)$")


def marked(script: Path) -> list[tuple[int, str, str]]:
    lines = script.read_text(encoding="utf-8").splitlines()
    found = ((number, _COMMENT.search(line)) for number, line in enumerate(lines, start=1))
    return [(number, mark["code"], mark["severity"]) for number, mark in found if mark]


def findings(script: Path) -> list[Finding]:
    """What the rules say, by line. The script is in the working directory: not below a folder called tests."""
    shutil.copy(script, script.name)
    report = lint([script.name], Settings(preview=True))
    assert report.errors == ()
    assert report.problems == ()
    found = [one for one in report.findings if one.code.startswith(FAMILIES) and not one.suppressed]
    return sorted(found, key=lambda one: (one.span.start.line, one.code))


@pytest.mark.parametrize("script", HANGS, ids=lambda path: path.stem)
def test_is_found(script: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = findings(script)
    assert [(one.span.start.line, one.code, one.severity.value) for one in found] == marked(script)
    for one in found:
        # One sentence: who calls what, who does not, and until when it waits.
        assert one.message.count(": ") <= 1
        assert "until the timeout" in one.message
        assert re.search(r"\w\(\)|constructor|forward pass", one.message), "no collective is named"
        assert re.search(r"rank", one.message, re.IGNORECASE), "nobody is named"


@pytest.mark.parametrize("script", HANGS, ids=lambda path: path.stem)
def test_nothing_is_found_in_the_repaired_twin(script: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert findings(FIXTURES / "hangs_repaired" / script.name) == []


@pytest.mark.parametrize("script", IDIOMS, ids=lambda path: path.stem)
def test_nothing_is_found_in_what_is_legal(script: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert findings(script) == []
