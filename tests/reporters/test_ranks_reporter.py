"""The table of ``ddplint ranks``."""

from __future__ import annotations

import io
import json
from types import SimpleNamespace as Made

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

  node  process  rank  local rank  device  world size  master addr  master port
     0        0     0           0  cuda:0           4        ? (1)            -  ← also rank of node 1
     0        1     1           1  cuda:1           4        ? (1)            -  ← also rank of node 1
     1        0     0           0  cuda:0           4        ? (1)            -  ← also rank of node 0
     1        1     1           1  cuda:1           4        ? (1)            -  ← also rank of node 0

  ? (1) unknown: --node_rank is typed by hand
  ranks 2 and 3 are missing
"""


def test_text() -> None:
    stream = io.StringIO()
    ranks.write_text(table(), "train.py", 2, 2, stream, "never")  # type: ignore[arg-type]
    assert stream.getvalue() == TEXT


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
