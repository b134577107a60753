"""A repair of ours that breaks takes no finding with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ddplint.linter import lint
from ddplint.repairs import topology
from ddplint.settings import Settings

SCRIPT = Path(__file__).parents[1] / "fixtures" / "global_rank" / "broken.py"


def test_the_finding_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: object) -> None:
        raise LookupError("no such place")

    before = lint([str(SCRIPT)], Settings())
    monkeypatch.setattr(topology, "fix", broken)
    after = lint([str(SCRIPT)], Settings())
    assert [(one.code, one.span) for one in after.findings] == [(one.code, one.span) for one in before.findings]
    assert any(one.fix for one in before.findings if one.code == "DDP101")
    assert all(one.fix is None for one in after.findings if one.code == "DDP101")
    assert [error.rule for error in after.errors] == ["DDP101"]
    assert "no such place" in after.errors[0].error
