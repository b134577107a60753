"""``ddplint ranks``: its command line, and what it says to scripts of which no table can be made."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from commands import Command

import ddplint.linter

SCRIPTS = Path(__file__).parents[1] / "fixtures"
BROKEN = SCRIPTS / "global_rank" / "broken.py"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--nnodes", "0"], "--nnodes: expected a number from 1 to 1024"),
        (["--nproc-per-node", "gpu"], "--nproc-per-node: expected a number"),
        (["--launcher", "ray"], "invalid choice"),
        (["--set", "node_rank"], "--set: expected NAME=VALUE"),
        (
            ["--set", "node_rank=0,1,2"],
            "--set: node_rank has 3 values: give 1, one for each of 2 nodes, or one for each of 8 processes",
        ),
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


def test_deep_code(command: Command) -> None:
    Path("deep.py").write_text(
        f"import torch.distributed as dist\nx = {'(' * 190}1{')' * 190}\ny = {' + '.join(['x'] * 1500)}\n"
        "dist.init_process_group('nccl', rank=x, world_size=y)\n"
    )
    outcome = command("ranks", "deep.py", "--nnodes", "1", "--nproc-per-node", "1")
    assert (outcome.code, outcome.err) == (0, "")


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


def test_spawn_with_a_forgotten_node_rank(command: Command) -> None:
    outcome = command("ranks", SCRIPTS / "manual_node_rank" / "broken.py", "--nproc-per-node", "2")
    assert (outcome.code, outcome.err) == (0, "")
    assert (
        outcome.out.partition("\n")[2]
        == """
  node  local rank  rank  device  world size  master addr  master port
     0           0     0  cuda:0           2        ? (1)        29561  ← also rank of node 1
     0           1     1  cuda:1           2        ? (1)        29561  ← also rank of node 1
     1           0     0  cuda:0           2        ? (1)        29561  ← also rank of node 0
     1           1     1  cuda:1           2        ? (1)        29561  ← also rank of node 0

  ← every process: world size 2, but 4 processes run
  ? (1) unknown: --master-addr was not given: use --set master_addr=...
  no process has ranks 2 and 3
  ranks and world size are right with --set nnodes=2 --set node_rank=0,1
"""
    )


def test_the_advice_is_right(command: Command) -> None:
    advice = ["--set", "nnodes=2", "--set", "node_rank=0,1", "--set", "master-addr=host7"]
    outcome = command("ranks", SCRIPTS / "manual_node_rank" / "broken.py", "--nproc-per-node", "2", *advice)
    assert (
        outcome.out.partition("\n")[2]
        == """
  node  local rank  rank  device  world size  master addr  master port
     0           0     0  cuda:0           4        host7        29561
     0           1     1  cuda:1           4        host7        29561
     1           0     2  cuda:0           4        host7        29561
     1           1     3  cuda:1           4        host7        29561
"""
    )


def test_torchrun_in_json(command: Command) -> None:
    script = SCRIPTS / "right" / "torchrun_minimal.py"
    outcome = command("ranks", script, "--nnodes", "1", "--nproc-per-node", "2", "--output-format", "json")
    document = json.loads(outcome.out)
    processes = document.pop("processes")
    assert document == {
        "version": 1,
        "script": str(script),
        "launcher": "torchrun",
        "nnodes": 1,
        "nproc_per_node": 2,
        "remarks": [],
    }
    assert [one["process"] for one in processes] == [0, 1]
    assert {name: cell["value"] for name, cell in processes[1]["values"].items()} == {
        "rank": "1",
        "local_rank": "1",
        "device": "cuda:1",
        "world_size": "2",
        "master_addr": "node0",
        "master_port": "29500",
    }
    assert not any(cell["why"] or cell["trouble"] for one in processes for cell in one["values"].values())


def test_srun_branch_of_a_launcher_chain(command: Command) -> None:
    script = SCRIPTS / "incomplete_rendezvous_env" / "broken_slurm.py"
    outcome = command("ranks", script, "--nproc-per-node", "1", "--launcher", "srun")
    assert (
        outcome.out.partition("\n")[2]
        == """
  node  local rank  rank  device  world size  master addr  master port
     0           0     0  cuda:0           2        ? (1)        ? (2)
     1           0     1  cuda:0           2        ? (1)        ? (2)

  ? (1) unknown: MASTER_ADDR is not set: use --set MASTER_ADDR=node0
  ? (2) unknown: MASTER_PORT is not set: use --set MASTER_PORT=29500
"""
    )
    exported = ["--set", "MASTER_ADDR=node7", "--set", "MASTER_PORT=6000"]
    outcome = command("ranks", script, "--nproc-per-node", "1", "--launcher", "srun", *exported)
    assert outcome.out.count("node7         6000\n") == 2


def test_device_that_no_node_has(command: Command) -> None:
    script = SCRIPTS / "device_from_global_rank" / "broken.py"
    outcome = command("ranks", script, "--nproc-per-node", "2", "--output-format", "json")
    cells = [one["values"]["device"] for one in json.loads(outcome.out)["processes"]]
    assert [cell["value"] for cell in cells] == ["cuda:0", "cuda:1", "cuda:2", "cuda:3"]
    assert [cell["trouble"] for cell in cells] == [
        None,
        None,
        *(f"no GPU {index}: a node has 0 to 1" for index in (2, 3)),
    ]


def test_a_helper_in_another_file(command: Command) -> None:
    typed = ("--set", "NNODES=2", "--set", "NODE_RANK=0,1", "--set", "MASTER_ADDR=host7")
    command_line = ("--nproc-per-node", "2", "--output-format", "json", *typed)
    for folder, troubled in (("cross_file", False), ("cross_file_broken", True)):
        outcome = command("ranks", SCRIPTS / folder / "train.py", *command_line)
        ranks = [one["values"]["rank"] for one in json.loads(outcome.out)["processes"]]
        assert any(cell["trouble"] for cell in ranks) is troubled, folder


def test_a_framework_starts_the_group(command: Command) -> None:
    outcome = command("ranks", SCRIPTS / "right" / "accelerate_app.py")
    assert outcome.out.splitlines()[2:] == [
        "  the script starts no process group itself, a framework does: accelerate.Accelerator() in line 59"
    ]


@pytest.mark.parametrize("script", sorted(SCRIPTS.rglob("*.py")), ids=lambda path: str(path.relative_to(SCRIPTS)))
@pytest.mark.parametrize("launcher", [None, "torchrun", "spawn", "srun", "mpirun"])
def test_every_script_gets_a_table_or_a_reason(script: Path, launcher: str | None, command: Command) -> None:
    if script.parent.name == "syntax_error":
        return
    chosen = ["--launcher", launcher] if launcher else []
    outcome = command("ranks", script, "--nproc-per-node", "2", "--output-format", "json", *chosen)
    assert (outcome.code, outcome.err) == (0, "")
    document = json.loads(outcome.out)
    assert document["processes"] or document["remarks"]
    for one in document["processes"]:
        assert list(one["values"]) == ["rank", "local_rank", "device", "world_size", "master_addr", "master_port"]
        assert all(cell["value"] is None or cell["why"] is None for cell in one["values"].values())
