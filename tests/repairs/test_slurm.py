"""Fixes of DDP111 and DDP106: what Slurm calls by another name, and what it does not say."""

from __future__ import annotations

from pathlib import Path

import pytest
from repairing import findings, repaired

SCRIPT = """import os
import subprocess

import torch.distributed as dist

rank, size = int(os.environ["SLURM_PROCID"]), int(os.environ["SLURM_NTASKS"])
os.environ["MASTER_PORT"] = str(29500 + int(os.environ["SLURM_JOB_ID"]) % 1000)
{}
dist.init_process_group("gloo", rank=rank, world_size=size)
"""
EXPANDED = 'subprocess.check_output(\n    ["scontrol", "show", "hostnames", {}], text=True\n).split()[0]'
ADDRESSES = {
    "list": (
        'os.environ["MASTER_ADDR"] = os.environ["SLURM_JOB_NODELIST"]',
        'os.environ["MASTER_ADDR"] = ' + EXPANDED.format('os.environ["SLURM_JOB_NODELIST"]'),
    ),
    "launch-node": (
        'os.environ["MASTER_ADDR"] = os.environ["SLURM_LAUNCH_NODE_IPADDR"]',
        'os.environ["MASTER_ADDR"] = ' + EXPANDED.format('os.environ["SLURM_STEP_NODELIST"]'),
    ),
    "name": (
        'nodes = os.environ["SLURM_NODELIST"]\nos.environ["MASTER_ADDR"] = nodes\nprint(nodes)',
        'nodes = os.environ["SLURM_NODELIST"]\nos.environ["MASTER_ADDR"] = '
        + EXPANDED.format("nodes")
        + "\nprint(nodes)",
    ),
    "chosen": (
        'address = os.environ["SLURM_NODELIST"] if "SLURM_NODELIST" in os.environ else "localhost"\n'
        'os.environ["MASTER_ADDR"] = address',
        None,
    ),
    "get": (
        'os.environ["MASTER_ADDR"] = os.environ.get("SLURM_NODELIST")',
        'os.environ["MASTER_ADDR"] = ' + EXPANDED.format('os.environ.get("SLURM_NODELIST")'),
    ),
    "default": ('os.environ["MASTER_ADDR"] = os.environ.get("SLURM_NODELIST", "localhost")', None),
}


@pytest.mark.parametrize("name", ADDRESSES)
@pytest.mark.parametrize("newline", ["\n", "\r\n"], ids=["lf", "crlf"])
def test_address(name: str, newline: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, after = ADDRESSES[name]
    made = repaired("DDP111", SCRIPT.format(before), tmp_path, monkeypatch, newline)
    assert made == SCRIPT.format(after or before)
    if after is not None:
        assert findings("DDP111", tmp_path, monkeypatch) == []


def test_address_in_a_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = (
        "import os\n\nimport torch.distributed as dist\n\n"
        "dist.init_process_group(\n    'gloo',\n"
        "    init_method=f'tcp://{os.environ[\"SLURM_JOB_NODELIST\"]}:29500',\n"
        "    rank=int(os.environ['SLURM_PROCID']),\n    world_size=int(os.environ['SLURM_NTASKS']),\n)\n"
    )
    made = repaired("DDP111", before, tmp_path, monkeypatch)
    assert "import os\nimport subprocess\n" in made
    assert "init_method=f'tcp://{master_addr}:29500'," in made
    assert findings("DDP111", tmp_path, monkeypatch) == []


def test_misspelled_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = (
        "if 'SLURM_LOCAL_ID' in os.environ:  # SLURM_LOCAL_ID\n"
        '    torch.cuda.set_device(int(os.environ["SLURM_LOCAL_ID"]))'
    )
    made = repaired("DDP111", SCRIPT.format(code), tmp_path, monkeypatch)
    assert made == SCRIPT.format(
        code.replace("'SLURM_LOCAL_ID'", "'SLURM_LOCALID'").replace('"SLURM_LOCAL_ID"', '"SLURM_LOCALID"')
    )
    assert findings("DDP111", tmp_path, monkeypatch) == []


BRANCHES = """{}import os

import torch
import torch.distributed as dist


def init(args):
    if "RANK" in os.environ and "WORLD_SIZE" in os.environ:
        args.rank = int(os.environ["RANK"])
        args.world_size = int(os.environ["WORLD_SIZE"])
    elif "SLURM_PROCID" in os.environ:
        args.rank = int(os.environ["SLURM_PROCID"])
        args.world_size = int(os.environ["SLURM_NTASKS"])
    else:
        return
{}    dist.init_process_group("nccl", {}rank=args.rank, world_size=args.world_size)
"""
SET = """    if "SLURM_PROCID" in os.environ and "MASTER_ADDR" not in os.environ:
        nodelist = os.environ.get(
            "SLURM_STEP_NODELIST", os.environ["SLURM_JOB_NODELIST"]
        )
        hostnames = subprocess.check_output(
            ["scontrol", "show", "hostnames", nodelist], text=True
        )
        os.environ["MASTER_ADDR"] = hostnames.split()[0]
        os.environ.setdefault("MASTER_PORT", "29500")
"""


@pytest.mark.parametrize("newline", ["\n", "\r\n"], ids=["lf", "crlf"])
def test_rendezvous(newline: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = repaired("DDP106", BRANCHES.format("", "", ""), tmp_path, monkeypatch, newline)
    assert made == BRANCHES.format("", SET, "").replace("import os\n", "import os\nimport subprocess\n", 1)
    assert findings("DDP106,DDP103,DDP107", tmp_path, monkeypatch) == []


SIZE_AS_WELL = """    if "SLURM_PROCID" in os.environ:
        os.environ.setdefault("WORLD_SIZE", os.environ["SLURM_NTASKS"])
        if "MASTER_ADDR" not in os.environ:
            nodelist = os.environ.get(
                "SLURM_STEP_NODELIST", os.environ["SLURM_JOB_NODELIST"]
            )
            hostnames = subprocess.check_output(
                ["scontrol", "show", "hostnames", nodelist], text=True
            )
            os.environ["MASTER_ADDR"] = hostnames.split()[0]
        os.environ.setdefault("MASTER_PORT", "29500")
"""


def test_rendezvous_without_world_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = BRANCHES.replace(", world_size=args.world_size", "")
    made = repaired("DDP106", script.format("", "", ""), tmp_path, monkeypatch)
    assert made == script.format("", SIZE_AS_WELL, "").replace("import os\n", "import os\nimport subprocess\n", 1)
    assert findings("DDP106", tmp_path, monkeypatch) == []
