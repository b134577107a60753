"""``ddplint ranks``: its command line, and what it says to scripts of which no table can be made."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from commands import Command

import ddplint.linter

BROKEN = Path(__file__).parents[1] / "fixtures" / "global_rank" / "broken.py"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--nnodes", "0"], "--nnodes: expected a number from 1 to 1024"),
        (["--nproc-per-node", "gpu"], "--nproc-per-node: expected a number"),
        (["--launcher", "ray"], "invalid choice"),
        (["--set", "node_rank"], "--set: expected NAME=VALUE"),
        (["--set", "node_rank=0,1,2"], "--set: node_rank has 3 values, but there are 2 nodes: give 1 or 2"),
    ],
)
def test_wrong_usage(options: list[str], message: str, command: Command) -> None:
    outcome = command("ranks", BROKEN, *options)
    assert (outcome.code, outcome.out) == (2, "")
    assert message in outcome.err


def test_unusable_scripts(command: Command) -> None:
    Path("broken.py").write_text("x = (\n")
    Path("deep.py").write_text("x = " + "(" * 2000)
    for script, message in [
        ("missing.py", "missing.py:1:1: cannot be read"),
        (".", ".: is a folder"),
        ("broken.py", "broken.py:"),
        ("deep.py", "deep.py:1:205: more than 200 nested brackets"),
    ]:
        outcome = command("ranks", script)
        assert (outcome.code, outcome.out) == (2, "")
        assert outcome.err.startswith(f"ddplint: error: {message}")


def test_what_the_model_is_asked(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def table(*words: object) -> object:
        asked.extend(words)
        return SimpleNamespace(launcher="srun", rows=(), remarks=())

    monkeypatch.setattr(ddplint.linter, "rank_table", table)
    options = [
        "--nnodes",
        "2",
        "--nproc-per-node",
        "8",
        "--launcher",
        "srun",
        "--set",
        "node-rank=0,1",
        "--set",
        "lr=1",
    ]
    outcome = command("ranks", BROKEN, *options, "--output-format", "json")
    assert outcome.code == 0
    assert asked == [str(BROKEN), 2, 8, "srun", {"node_rank": ["0", "1"], "lr": ["1"]}]
    assert json.loads(outcome.out)["launcher"] == "srun"


def test_table_of_a_broken_script(command: Command) -> None:
    pytest.importorskip("ddplint.program.ranks")
    outcome = command("ranks", BROKEN, "--nnodes", "2", "--nproc-per-node", "2", "--output-format", "json")
    assert outcome.code == 0
    processes = json.loads(outcome.out)["processes"]
    assert [(one["node"], one["process"]) for one in processes] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert any(one["values"]["rank"]["trouble"] for one in processes)
    assert "started by" in command("ranks", BROKEN).out
