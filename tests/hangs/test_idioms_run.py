"""The scripts in fixtures/idioms look suspicious and are right: they run to the end, and nothing is found in them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from ranks_server import Server

from ddplint.linter import lint
from ddplint.settings import Settings

IDIOMS = sorted((Path(__file__).parents[1] / "fixtures" / "idioms").glob("*.py"))

# The rules on which ranks reach a collective.
FAMILIES = ("DDP3", "DDP8")


@pytest.mark.torch
@pytest.mark.parametrize("script", IDIOMS, ids=lambda path: path.stem)
def test_runs(script: Path, server: Server, runnable: Callable[[Path], Path], tmp_path: Path) -> None:
    outcome = server.run(runnable(script), tmp_path / "job")
    assert outcome.succeeded, str(outcome)


@pytest.mark.parametrize("script", IDIOMS, ids=lambda path: path.stem)
def test_nothing_is_found(script: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Under a path without the word "tests".
    shutil.copy(script, tmp_path / "train.py")
    monkeypatch.chdir(tmp_path)
    report = lint(["train.py"], Settings(preview=True))
    assert report.errors == ()
    assert [finding for finding in report.findings if finding.code.startswith(FAMILIES)] == []
