"""Scripts before and after the fixes of one rule, applied until nothing is left to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from ddplint.findings import Edit, Finding
from ddplint.linter import lint
from ddplint.settings import Settings
from ddplint.sources import split_lines


def findings(code: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[Finding]:
    """What the rules ``code`` (separated by commas) find in the files of ``folder``."""
    monkeypatch.chdir(folder)
    report = lint(["."], Settings(select=tuple(code.split(","))))
    assert not report.errors, report.errors[0].traceback
    assert not report.problems
    return list(report.findings)


def repaired(code: str, before: str, folder: Path, monkeypatch: pytest.MonkeyPatch, newline: str = "\n") -> str:
    """``train.py`` after all fixes of the rules ``code``, which have nothing more to say where they had one."""
    script = folder / "train.py"
    script.write_bytes(before.replace("\n", newline).encode())
    for _ in range(10):
        found = findings(code, folder, monkeypatch)
        fixes = list(dict.fromkeys(finding.fix for finding in found if finding.fix is not None))
        if not fixes:
            break
        edits = [edit for fix in fixes[:1] for edit in fix.edits]
        text = script.read_bytes().decode()
        text = applied(text, edits, newline)
        compile(text, "train.py", "exec", dont_inherit=True)
        script.write_bytes(text.encode())
    else:
        pytest.fail("the fixes never end")
    text = script.read_bytes().decode()
    assert text.count(newline) == text.count("\n")
    return text.replace(newline, "\n")


def applied(text: str, edits: list[Edit], newline: str) -> str:
    """``text`` with the edits of one fix made."""
    starts = [0]
    for line in split_lines(text):
        starts.append(starts[-1] + len(line))
    for edit in sorted(edits, key=lambda edit: edit.span, reverse=True):
        start = starts[edit.span.start.line - 1] + edit.span.start.column - 1
        end = starts[edit.span.end.line - 1] + edit.span.end.column - 1
        new = edit.text.replace("\r\n", "\n").replace("\n", newline)
        text = text[:start] + new + text[end:]
    return text
