"""Every script in the rules' pages through the pipeline: the findings are exactly those that its comments name."""

from __future__ import annotations

import os
import posixpath
import re
from pathlib import Path

import pytest
from rule_pages import Case, Expected, cases, example, write

from ddplint import pages
from ddplint.findings import Finding
from ddplint.fixes import repair
from ddplint.linter import examine, lint
from ddplint.settings import Settings

PAGES = sorted(pages.FOLDER.glob("*.md"))
CASES = [case for page in PAGES for case in cases(page)]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.code}-{case.name}")
def test_case(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = findings(case.code, case.files, tmp_path, monkeypatch)
    assert [_plain(finding) for finding in found] == [_without_message(expected) for expected in case.expected]
    for finding, expected in zip(found, case.expected, strict=True):
        assert expected.message in finding.message
        assert _style(finding) == []


@pytest.mark.parametrize("case", [case for case in CASES if case.fixed], ids=lambda case: f"{case.code}-{case.name}")
def test_repaired_case(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert findings(case.code, {**case.files, **case.fixed}, tmp_path, monkeypatch) == []


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.code}-{case.name}")
def test_fix(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``--fix --unsafe-fixes`` gives the blocks that are marked as fixed, and a second run changes nothing."""
    write(case.files, tmp_path)
    monkeypatch.chdir(tmp_path)
    select = "" if case.code == "DDP001" else case.code
    check = examine([os.curdir], Settings(select=(select,), fixable=(case.code,))).check
    if check is None:
        assert not case.fixed
        return
    outcome = repair(check, unsafe=True)
    assert [refused.reason for refused in outcome.refused] == []
    assert not repair(outcome.check, unsafe=True).changed
    after = {posixpath.normpath(path): text.text for path, (_, text) in outcome.changed.items()}
    if case.fixed or case.code == "DDP001":
        assert {**case.files, **after} == {**case.files, **case.fixed}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_rule_with_a_fix_shows_it(page: Path) -> None:
    has_fix = pages.load(page.stem).fix != "none"
    assert any(case.fixed for case in cases(page)) == has_fix


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_example(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = pages.load(page.stem).code
    fault, instead = example(page)
    assert findings(code, {"fault.py": fault}, tmp_path / "fault", monkeypatch)
    assert findings(code, {"instead.py": instead}, tmp_path / "instead", monkeypatch) == []


def findings(code: str, files: dict[str, str], folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[Finding]:
    """What the rule ``code`` finds in ``files``, sorted by place."""
    folder.mkdir(exist_ok=True)
    write(files, folder)
    monkeypatch.chdir(folder)
    # A suppression can only be judged where the rule that it names is on.
    select = "" if code == "DDP001" else code
    report = lint([os.curdir], Settings(select=(select,)))
    assert not report.errors, report.errors[0].traceback
    assert not report.problems
    assert report.files == len(files)
    return [finding for finding in report.findings if finding.code == code and not finding.suppressed]


def _style(finding: Finding) -> list[str]:
    """What is wrong with the words of a finding: one sentence without a full stop, and nobody "should"."""
    complaints: list[str] = []
    for what, text in (("message", finding.message), ("help", finding.help or "")):
        if text != text.strip() or "\n" in text or text.endswith((".", "!", ":")):
            complaints.append(f"the {what} does not end properly: {text!r}")
        if re.search(r"\bshould\b", text, re.IGNORECASE):
            complaints.append(f"the {what} says should: {text!r}")
    # A name (torchrun, rank) keeps its small letter.
    if not finding.message or re.match(r"(the|a|an|this|that|each|every|two|no|nothing|nobody)\b", finding.message):
        complaints.append(f"the message does not begin with a capital letter: {finding.message!r}")
    return complaints


def _plain(finding: Finding) -> Expected:
    path = posixpath.normpath(finding.path)
    return Expected(path, finding.span.start.line, finding.severity.value, finding.code)


def _without_message(expected: Expected) -> Expected:
    return Expected(expected.path, expected.line, expected.severity, expected.code)
