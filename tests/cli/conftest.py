"""A folder to run the command in, and a choice of rules."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from commands import Command, Outcome, rule

import ddplint.rules
from ddplint.cli import main
from ddplint.rules import Rule


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """The command, run in an empty folder; usage errors become their exit code."""
    monkeypatch.chdir(tmp_path)
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)

    def run(*words: str | Path) -> Outcome:
        try:
            code = main([str(word) for word in words])
        except SystemExit as error:
            code = int(error.code or 0)
        out, err = capsys.readouterr()
        return Outcome(code, out, err)

    return run


@pytest.fixture
def only_rules(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Replace all rules but DDP000 and DDP001 by those given."""
    real = ddplint.rules.registry()

    def replace(*rules: Rule) -> None:
        kept = {code: found for code, found in real.items() if code in ("DDP000", "DDP001")}
        registry: Mapping[str, Rule] = {**kept, **{found.code: found for found in rules}}
        monkeypatch.setattr(ddplint.rules, "registry", lambda: registry)

    return replace


@pytest.fixture
def one_rule(only_rules: Callable[..., None]) -> None:
    """One rule, DDP103 localhost-master-addr, a warning in the first line of every distributed script."""
    only_rules(rule("DDP103", "localhost-master-addr"))
