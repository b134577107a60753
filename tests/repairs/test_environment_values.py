"""Fixes of DDP108: what goes into the environment, and what comes out of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from repairing import findings, repaired

SCRIPT = """import argparse
import os
from os import environ, getenv

import torch.distributed as dist

parser = argparse.ArgumentParser()
parser.add_argument("--port", type=int, default=29500)
args = parser.parse_args()
{}
dist.init_process_group("gloo")
"""
CASES = {
    "literal": ('os.environ["MASTER_PORT"] = 29500', 'os.environ["MASTER_PORT"] = str(29500)'),
    "option": ("os.environ['MASTER_PORT'] = args.port", "os.environ['MASTER_PORT'] = str(args.port)"),
    "sum": ('environ["RANK"] = (1 + 2)', 'environ["RANK"] = (str(1 + 2))'),
    "setdefault": ('environ.setdefault("RANK", 0)', 'environ.setdefault("RANK", str(0))'),
    "update": (
        'os.environ.update({"RANK": 0, "MASTER_ADDR": "localhost"})',
        'os.environ.update({"RANK": str(0), "MASTER_ADDR": "localhost"})',
    ),
    "update-keyword": ("os.environ.update(RANK=args.port)", "os.environ.update(RANK=str(args.port))"),
    "function": (
        'def export(name, value):\n\tos.environ[name] = value\n\n\nexport("RANK", 0)',
        'def export(name, value):\n\tos.environ[name] = str(value)\n\n\nexport("RANK", 0)',
    ),
    "equal": ('if os.environ["RANK"] == 0:\n    print()', 'if int(os.environ["RANK"]) == 0:\n    print()'),
    "not-equal": ("print(os.environ['RANK'] != -1)", "print(int(os.environ['RANK']) != -1)"),
    "reversed": ('print(0 == environ["RANK"])', 'print(0 == int(environ["RANK"]))'),
    "member": ('print(os.environ["RANK"] in (-1, 0))', 'print(int(os.environ["RANK"]) in (-1, 0))'),
    "greater": ('print(os.environ["WORLD_SIZE"] > 1)', 'print(int(os.environ["WORLD_SIZE"]) > 1)'),
    "product": ('print(os.environ["WORLD_SIZE"] * 2)', 'print(int(os.environ["WORLD_SIZE"]) * 2)'),
    "name": (
        'rank = os.environ["RANK"]\nprint(rank % 8)\nprint(f"rank {rank}")',
        'rank = os.environ["RANK"]\nprint(int(rank) % 8)\nprint(f"rank {rank}")',
    ),
    "missing": ('print(os.environ.get("RANK") == 0)', 'print(os.environ.get("RANK") == "0")'),
    "missing-quotes": ("print(os.environ.get('RANK') != -1)", "print(os.environ.get('RANK') != '-1')"),
    "number-default": ('print(getenv("RANK", 0) == 0)', 'print(int(getenv("RANK", 0)) == 0)'),
    "text-default": ('print(getenv("RANK", "0") == 0)', 'print(int(getenv("RANK", "0")) == 0)'),
    "empty-default": ('print(getenv("RANK", "") == 0)', 'print(getenv("RANK", "") == "0")'),
    "local-rank-of-environment": (
        'parser.add_argument("--local_rank", default=getenv("LOCAL_RANK", 0))\n'
        "print(parser.parse_args().local_rank == 0)",
        'parser.add_argument("--local_rank", default=getenv("LOCAL_RANK", 0), type=int)\n'
        "print(parser.parse_args().local_rank == 0)",
    ),
    "local-rank": (
        'parser.add_argument("--local_rank", default=-1)\nprint(parser.parse_args().local_rank == 0)',
        'parser.add_argument("--local_rank", default=-1, type=int)\nprint(parser.parse_args().local_rank == 0)',
    ),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("newline", ["\n", "\r\n"], ids=["lf", "crlf"])
def test_spelling(name: str, newline: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, after = (_script(text) for text in CASES[name])
    assert repaired("DDP108", before, tmp_path, monkeypatch, newline) == after
    assert findings("DDP108", tmp_path, monkeypatch) == []


def _script(code: str) -> str:
    """The script, in the quotes of the code."""
    return SCRIPT.format(code).replace('"', "'") if "'" in code and '"' not in code else SCRIPT.format(code)


@pytest.mark.parametrize(
    "code",
    [
        pytest.param('os.environ["RANK"] = 0 if args.port else None', id="none"),
        pytest.param("PORT = 29500\nos.environ.update({'MASTER_PORT': PORT})\nprint(PORT + 1)", id="elsewhere"),
        pytest.param('print(os.environ.get("RANK") > 0)', id="missing-and-greater"),
        pytest.param('print(os.environ["RANK"] == 0 == 0)', id="chain"),
    ],
)
def test_no_fix(code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = SCRIPT.format(code)
    assert repaired("DDP108", before, tmp_path, monkeypatch) == before
    assert findings("DDP108", tmp_path, monkeypatch)
