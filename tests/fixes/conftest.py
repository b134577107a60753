"""A folder to repair files in, and a choice of rules."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

import ddplint.rules
from ddplint.rules import Rule

Choose = Callable[..., None]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory: an empty folder."""
    monkeypatch.chdir(tmp_path)
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def rules(monkeypatch: pytest.MonkeyPatch) -> Choose:
    """Replace all rules but DDP000 and DDP001 by those given."""
    real = ddplint.rules.registry()

    def replace(*given: Rule) -> None:
        kept = {code: rule for code, rule in real.items() if code in ("DDP000", "DDP001")}
        registry: Mapping[str, Rule] = {**kept, **{rule.code: rule for rule in given}}
        monkeypatch.setattr(ddplint.rules, "registry", lambda: registry)

    return replace
