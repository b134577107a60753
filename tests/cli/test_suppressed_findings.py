"""Comments that hide findings, through the whole command."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from commands import Command, rule

from ddplint.findings import Finding, Position, Severity, Span
from ddplint.program import Program

pytestmark = pytest.mark.usefixtures("one_rule")

HIDDEN = "import torch.distributed as dist  # noqa: DDP103\n"
UNUSED = "import torch.distributed as dist  # ddplint: ignore[localhost-master-addr]\nx = 1  # noqa: DDP103\n"


def codes(command: Command, *words: str) -> list[tuple[str, int, bool]]:
    document = json.loads(command(*words, "--output-format", "json").out)
    return [(found["code"], found["start"]["line"], found["suppressed"]) for found in document["findings"]]


def test_hidden_finding_is_in_json_and_fails_nothing(command: Command) -> None:
    Path("train.py").write_text(HIDDEN)
    outcome = command("train.py")
    assert (outcome.code, outcome.out) == (0, "No findings in 1 file (1 distributed). 1 finding suppressed.\n")
    assert codes(command, "train.py") == [("DDP103", 1, True)]
    assert command("train.py", "--output-format", "github", "-q").out == ""


def test_suppression_that_hides_nothing(command: Command) -> None:
    Path("train.py").write_text(UNUSED)
    assert codes(command, "train.py") == [("DDP103", 1, True), ("DDP001", 2, False)]
    assert command("train.py").code == 1
    assert codes(command, "train.py", "--ignore", "DDP001") == [("DDP103", 1, True)]


def test_suppression_of_a_rule_that_did_not_run_is_not_unused(command: Command) -> None:
    Path("train.py").write_text(UNUSED)
    assert codes(command, "train.py", "--ignore", "DDP103") == []


def test_suppression_in_a_file_that_does_not_parse_is_not_unused(command: Command) -> None:
    Path("train.py").write_text(UNUSED + "x = (\n")
    assert [code for code, _, _ in codes(command, "train.py")] == ["DDP000"]


def test_suppression_of_a_rule_that_broke_is_not_unused(command: Command, only_rules: Callable[..., None]) -> None:
    def broken(program: Program) -> Iterable[Finding]:
        raise ZeroDivisionError

    only_rules(rule("DDP103", "localhost-master-addr", broken))
    Path("train.py").write_text(UNUSED)
    assert codes(command, "train.py") == []
    assert command("train.py").code == 2


def test_finding_in_a_helper_is_hidden_and_shown_there(command: Command, only_rules: Callable[..., None]) -> None:
    def in_helper(program: Program) -> Iterable[Finding]:
        place = Span(Position(1, 1), Position(1, 5))
        found = Finding("DDP103", "localhost-master-addr", Severity.WARNING, "a message", "helper.py", place)
        yield found
        yield replace(found, span=Span(Position(2, 1), Position(2, 6)))

    only_rules(rule("DDP103", "localhost-master-addr", in_helper))
    Path("helper.py").write_text("first = 1  # noqa: DDP103\nsecond = 2  # noqa: DDP101\n")
    for name in ("a.py", "b.py"):
        Path(name).write_text("import torch.distributed\n")
    # Once, not once for each script; and what is unused in a file that nobody asked about is nobody's business.
    assert codes(command, "a.py", "b.py") == [("DDP103", 1, True), ("DDP103", 2, False)]
    assert "2 │ second = 2" in command("a.py").out
