"""The table of ``ddplint ranks``."""

from __future__ import annotations

import io
import json
from types import SimpleNamespace as Made

import pytest

from ddplint.reporters import ranks

NODE_RANK = "--node_rank is typed by hand"


def cell(value: str | None = None, why: str | None = None, trouble: str | None = None) -> Made:
    return Made(value=value, why=why, trouble=trouble)


def table() -> Made:
    rows = tuple(
        Made(
            node=node,
            local_rank=local,
            values={
                "rank": cell(str(local), trouble=f"also rank of node {1 - node}"),
                "local_rank": cell(str(local)),
                "device": cell(f"cuda:{local}"),
                "world_size": cell("4"),
                "master_addr": cell(why=NODE_RANK),
            },
        )
        for node in (0, 1)
        for local in (0, 1)
    )
    return Made(launcher="spawn", rows=rows, remarks=("ranks 2 and 3 are missing",))


TEXT = """\
train.py: 2 nodes x 2 processes, started by spawn

  node  local rank  rank  device  world size  master addr  master port
     0           0     0  cuda:0           4        ? (1)            -  ← also rank of node 1
     0           1     1  cuda:1           4        ? (1)            -  ← also rank of node 1
     1           0     0  cuda:0           4        ? (1)            -  ← also rank of node 0
     1           1     1  cuda:1           4        ? (1)            -  ← also rank of node 0

  ? (1) unknown: --node_rank is typed by hand
  ranks 2 and 3 are missing
"""

NARROW = """\
train.py: 2 nodes x 2 processes, started by spawn

  node  local rank  rank  device  world size  master addr  master port
     0           0     0  cuda:0           4        ? (1)            -  ← 1
     0           1     1  cuda:1           4        ? (1)            -  ← 1
     1           0     0  cuda:0           4        ? (1)            -  ← 2
     1           1     1  cuda:1           4        ? (1)            -  ← 2

  ← 1 also rank of node 1
  ← 2 also rank of node 0
  ? (1) unknown: --node_rank is typed by hand
  ranks 2 and 3 are missing
"""


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_text() -> None:
    stream = io.StringIO()
    ranks.write_text(table(), "train.py", 2, 2, stream, "never")  # type: ignore[arg-type]
    assert stream.getvalue() == TEXT


def test_what_does_not_fit_the_terminal_stands_below(monkeypatch: pytest.MonkeyPatch) -> None:
    for columns, text in [("80", NARROW), ("120", TEXT)]:
        monkeypatch.setenv("COLUMNS", columns)
        stream = Terminal()
        ranks.write_text(table(), "train.py", 2, 2, stream, "never")  # type: ignore[arg-type]
        assert stream.getvalue() == text


def test_what_is_to_be_typed_is_not_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    advice = "ranks and world size are right with --set nnodes=2 --set node_rank=0,1"
    stream = Terminal()
    made = Made(launcher="spawn", rows=(), remarks=(advice,))
    ranks.write_text(made, "train.py", 2, 2, stream, "never")  # type: ignore[arg-type]
    assert stream.getvalue().splitlines()[2:] == [
        "  ranks and world size are right with --set nnodes=2",
        "    --set node_rank=0,1",
    ]


def test_trouble_of_every_process_is_said_once() -> None:
    rows = tuple(
        Made(node=node, local_rank=0, values={"local_rank": cell(), "world_size": cell("1", trouble="2 processes run")})
        for node in (0, 1)
    )
    stream = io.StringIO()
    made = Made(launcher="hand", rows=rows, remarks=())
    ranks.write_text(made, "train.py", 2, 1, stream, "never")  # type: ignore[arg-type]
    assert (
        stream.getvalue()
        == """\
train.py: 2 nodes x 1 process, started by hand

  node  process  rank  device  world size  master addr  master port
     0        0     -       -           1            -            -
     1        0     -       -           1            -            -

  ← every process: 2 processes run
"""
    )


def test_no_rows() -> None:
    stream = io.StringIO()
    made = Made(launcher="torchrun", rows=(), remarks=("the script starts no process group",))
    ranks.write_text(made, "train.py", 2, 1, stream, "never")  # type: ignore[arg-type]
    assert stream.getvalue().splitlines()[1:] == ["", "  the script starts no process group"]


def test_json() -> None:
    stream = io.StringIO()
    ranks.write_json(table(), "train.py", 2, 2, stream)  # type: ignore[arg-type]
    document = json.loads(stream.getvalue())
    processes = document.pop("processes")
    assert document == {
        "version": 1,
        "script": "train.py",
        "launcher": "spawn",
        "nnodes": 2,
        "nproc_per_node": 2,
        "remarks": ["ranks 2 and 3 are missing"],
    }
    assert [(one["node"], one["process"]) for one in processes] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert processes[3]["values"]["rank"] == {"value": "1", "why": None, "trouble": "also rank of node 0"}
    assert processes[0]["values"]["master_addr"] == {"value": None, "why": NODE_RANK, "trouble": None}
