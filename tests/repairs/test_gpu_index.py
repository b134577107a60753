"""Fixes of DDP109: the GPU index in every way that people write it."""

from __future__ import annotations

from pathlib import Path

import pytest
from repairing import findings, repaired

SCRIPT = """import os

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel as DDP

dist.init_process_group("nccl")
rank = dist.get_rank()
{}
"""
REMAINDERS = {
    "set-device": ("torch.cuda.set_device(rank)", "torch.cuda.set_device(rank % torch.cuda.device_count())"),
    "call": (
        "torch.cuda.set_device(dist.get_rank())",
        "torch.cuda.set_device(dist.get_rank() % torch.cuda.device_count())",
    ),
    "keyword": (
        "torch.cuda.set_device(device=rank)",
        "torch.cuda.set_device(device=rank % torch.cuda.device_count())",
    ),
    "device": (
        'device = torch.device("cuda", rank)',
        'device = torch.device("cuda", rank % torch.cuda.device_count())',
    ),
    "f-string": (
        'device = torch.device(f"cuda:{rank}")',
        'device = torch.device(f"cuda:{rank % torch.cuda.device_count()}")',
    ),
    "sum": (
        'device = torch.device("cuda:" + str(rank))',
        'device = torch.device("cuda:" + str(rank % torch.cuda.device_count()))',
    ),
    "percent": (
        'device = torch.device("cuda:%d" % rank)',
        'device = torch.device("cuda:%d" % (rank % torch.cuda.device_count()))',
    ),
    "format": (
        'device = torch.device("cuda:{}".format(rank))',
        'device = torch.device("cuda:{}".format(rank % torch.cuda.device_count()))',
    ),
    "named-string": (
        'name = f"cuda:{rank}"\ntorch.cuda.set_device(name)',
        'name = f"cuda:{rank % torch.cuda.device_count()}"\ntorch.cuda.set_device(name)',
    ),
    "cpu-as-well": (
        'device = f"cuda:{rank}" if torch.cuda.is_available() else "cpu"\nmodel = torch.nn.Linear(1, 1).to(device)',
        'device = f"cuda:{rank % torch.cuda.device_count()}" if torch.cuda.is_available() else "cpu"\n'
        "model = torch.nn.Linear(1, 1).to(device)",
    ),
    "loaded-on-the-cpu": (
        'device = torch.device("cuda", rank)\nstate = torch.load("a.pt", map_location="cpu")',
        'device = torch.device("cuda", rank % torch.cuda.device_count())\n'
        'state = torch.load("a.pt", map_location="cpu")',
    ),
    "several": (
        "torch.cuda.set_device(rank)\nmodel = DDP(torch.nn.Linear(1, 1).cuda(rank), device_ids=[rank], "
        'output_device=rank)\nstate = torch.load("a.pt", map_location=f"cuda:{rank}")\nprint("rank", rank)',
        "local_rank = rank % torch.cuda.device_count()\ntorch.cuda.set_device(local_rank)\n"
        "model = DDP(torch.nn.Linear(1, 1).cuda(local_rank), device_ids=[local_rank], output_device=local_rank)\n"
        'state = torch.load("a.pt", map_location=f"cuda:{local_rank}")\nprint("rank", rank)',
    ),
    "branches": (
        "if rank:\n    torch.cuda.set_device(rank)\n    model = torch.nn.Linear(1, 1).cuda(rank)\nelse:\n"
        "    torch.cuda.set_device(rank)\n    model = torch.nn.Linear(2, 1).cuda(rank)",
        "if rank:\n    local_rank = rank % torch.cuda.device_count()\n    torch.cuda.set_device(local_rank)\n"
        "    model = torch.nn.Linear(1, 1).cuda(local_rank)\nelse:\n"
        "    local_rank = rank % torch.cuda.device_count()\n    torch.cuda.set_device(local_rank)\n"
        "    model = torch.nn.Linear(2, 1).cuda(local_rank)",
    ),
    "taken-name": (
        "local_rank = None\ntorch.cuda.set_device(rank)\nmodel = torch.nn.Linear(1, 1).cuda(rank)",
        "local_rank = None\ntorch.cuda.set_device(rank % torch.cuda.device_count())\n"
        "model = torch.nn.Linear(1, 1).cuda(rank % torch.cuda.device_count())",
    ),
    "accelerator": (
        "torch.accelerator.set_device_index(rank)",
        "torch.accelerator.set_device_index(rank % torch.accelerator.device_count())",
    ),
    "attribute": (
        "class Trainer:\n\tdef __init__(self):\n\t\tself.rank = dist.get_rank()\n\t\ttorch.cuda.set_device(self.rank)\n"
        "\n\nTrainer()",
        "class Trainer:\n\tdef __init__(self):\n\t\tself.rank = dist.get_rank()\n"
        "\t\ttorch.cuda.set_device(self.rank % torch.cuda.device_count())\n\n\nTrainer()",
    ),
    "formula": (
        'number = int(os.environ["NODE_RANK"]) * 4 + int(os.environ["SLURM_LOCALID"])\n'
        'torch.cuda.set_device(int(os.environ["NODE_RANK"]) * 4 + int(os.environ["SLURM_LOCALID"]))',
        'number = int(os.environ["NODE_RANK"]) * 4 + int(os.environ["SLURM_LOCALID"])\n'
        'torch.cuda.set_device((int(os.environ["NODE_RANK"]) * 4 + int(os.environ["SLURM_LOCALID"])) '
        "% torch.cuda.device_count())",
    ),
}


@pytest.mark.parametrize("name", REMAINDERS)
@pytest.mark.parametrize("newline", ["\n", "\r\n"], ids=["lf", "crlf"])
def test_remainder(name: str, newline: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, after = REMAINDERS[name]
    assert repaired("DDP109", SCRIPT.format(before), tmp_path, monkeypatch, newline) == SCRIPT.format(after)
    assert findings("DDP109", tmp_path, monkeypatch) == []


TORCHRUN = {
    "in-place": (
        'torch.cuda.set_device(int(os.environ["RANK"]))',
        'torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))',
    ),
    "f-string": (
        'number = int(os.environ["RANK"])\ndevice = torch.device(f"cuda:{number}")',
        'number = int(os.environ["RANK"])\ndevice = torch.device(f"cuda:{int(os.environ[\'LOCAL_RANK\'])}")',
    ),
    "known": (
        'local_rank = int(os.environ["LOCAL_RANK"])\nnumber = int(os.environ["RANK"])\ntorch.cuda.set_device(number)',
        'local_rank = int(os.environ["LOCAL_RANK"])\nnumber = int(os.environ["RANK"])\n'
        "torch.cuda.set_device(local_rank)",
    ),
    "known-by-getenv": (
        'number = int(os.getenv("RANK"))\nown = int(os.getenv("LOCAL_RANK"))\ntorch.cuda.set_device(number)',
        'number = int(os.getenv("RANK"))\nown = int(os.getenv("LOCAL_RANK"))\ntorch.cuda.set_device(own)',
    ),
    "fallback": (
        'number = int(os.environ.get("RANK", 0))\ntorch.cuda.set_device(number)',
        'number = int(os.environ.get("RANK", 0))\ntorch.cuda.set_device(number % torch.cuda.device_count())',
    ),
}


@pytest.mark.parametrize("name", TORCHRUN)
def test_torchrun(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, after = (f'"""torchrun --nproc_per_node 4 train.py"""\n\n{SCRIPT.format(text)}' for text in TORCHRUN[name])
    assert repaired("DDP109", before, tmp_path, monkeypatch) == after
    assert findings("DDP109", tmp_path, monkeypatch) == []


@pytest.mark.parametrize(
    "code",
    [
        pytest.param(
            'device = torch.device("cuda", rank)\nif not torch.cuda.is_available():\n    device = torch.device("cpu")',
            id="made-without-gpus",
        ),
        pytest.param(
            'import argparse\n\nparser = argparse.ArgumentParser()\nparser.add_argument("--cpu", action="store_true")\n'
            'device = torch.device("cuda", rank)\nif parser.parse_args().cpu:\n    device = torch.device("cpu")',
            id="made-before-the-cpu",
        ),
        pytest.param(
            "def train(device):\n    torch.cuda.set_device(device)\n\n\ntrain(f'cuda:{rank}')",
            id="device-from-elsewhere",
        ),
    ],
)
def test_no_fix(code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = SCRIPT.format(code)
    assert repaired("DDP109", before, tmp_path, monkeypatch) == before
    assert findings("DDP109", tmp_path, monkeypatch)
