"""``ddplint env`` on recorded environments; what it finds in them is tested in tests/runtime."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from commands import Command

TORCHRUN = {
    "RANK": "3",
    "LOCAL_RANK": "1",
    "GROUP_RANK": "1",
    "WORLD_SIZE": "4",
    "LOCAL_WORLD_SIZE": "2",
    "GROUP_WORLD_SIZE": "2",
    "MASTER_ADDR": "node0",
    "MASTER_PORT": "29500",
    "TORCHELASTIC_RUN_ID": "none",
}


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    file = tmp_path / "rank3.env"
    file.write_text("".join(f"{name}={value}\n" for name, value in TORCHRUN.items()), encoding="utf-8")
    return file


def test_json(recorded: Path, command: Command) -> None:
    outcome = command("env", "--from", str(recorded), "--output-format", "json")
    document = json.loads(outcome.out)
    assert (outcome.code, document["version"], document["launcher"]) == (0, 1, "torchrun")
    assert document["fields"]["rank"]["value"] == 3
    assert document["fields"]["rank"]["source"] == "RANK"
    assert document["fields"]["nnodes"]["value"] == 2
    assert document["problems"] == []


def test_text(recorded: Path, command: Command) -> None:
    outcome = command("env", "--from", str(recorded))
    assert outcome.code == 0
    assert "torchrun" in outcome.out
    assert "RANK" in outcome.out


def test_a_start_that_would_fail(recorded: Path, command: Command) -> None:
    recorded.write_text(recorded.read_text(encoding="utf-8").replace("RANK=3", "RANK=9", 1), encoding="utf-8")
    outcome = command("env", "--from", str(recorded), "--output-format", "json")
    assert outcome.code == 1
    assert json.loads(outcome.out)["problems"][0]["severity"] == "error"


def test_file_that_is_not_there(command: Command) -> None:
    outcome = command("env", "--from", "nowhere.env")
    assert outcome.code == 2
    assert outcome.err.startswith("ddplint: error: --from: nowhere.env: ")
