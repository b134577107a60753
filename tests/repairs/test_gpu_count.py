"""Fixes of DDP105: a check before the first use of a number that somebody assumed."""

from __future__ import annotations

from pathlib import Path

import pytest
from repairing import findings, repaired

SCRIPT = """import argparse
import os

import torch
import torch.distributed as dist
import torch.multiprocessing as mp


def worker(rank, args):
    dist.init_process_group("nccl", rank=rank, world_size=args.gpus)
{worker}


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--gpus", type=int, default=8)
    parser.add_argument("--cpu", action="store_true")
    args = parser.parse_args()
{start}
"""
PARENT = """    if args.gpus > torch.cuda.device_count():
        raise RuntimeError(
            f"{args.gpus} processes are to take a GPU each, "
            f"but this node has {torch.cuda.device_count()} GPUs"
        )
"""
SPAWN = "    mp.spawn(worker, args=(args,), nprocs=args.gpus)"
STARTS = {
    "spawn": ("    torch.cuda.set_device(rank)", SPAWN, PARENT + SPAWN),
    "comment": (
        "    torch.cuda.set_device(rank)",
        "    # all of them\n    mp.spawn(\n        worker,\n        args=(args,),\n"
        "        nprocs=args.gpus,  # on this node\n    )",
        "    # all of them\n" + PARENT + "    mp.spawn(\n        worker,\n        args=(args,),\n"
        "        nprocs=args.gpus,  # on this node\n    )",
    ),
    "same-condition": (
        "    torch.cuda.set_device(rank)",
        "    if not args.cpu:\n    " + SPAWN,
        "    if not args.cpu:\n" + "".join(f"    {line}\n" for line in PARENT.splitlines()) + "    " + SPAWN,
    ),
    "literal": (
        "    torch.cuda.set_device(rank)",
        "    mp.spawn(worker, args=(args,), nprocs=4)",
        "    if torch.cuda.device_count() < 4:\n        raise RuntimeError(\n"
        '            "4 processes are to take a GPU each, "\n'
        '            f"but this node has {torch.cuda.device_count()} GPUs"\n        )\n'
        "    mp.spawn(worker, args=(args,), nprocs=4)",
    ),
    "accelerator": (
        "    torch.accelerator.set_device_index(rank)",
        SPAWN,
        PARENT.replace("cuda", "accelerator") + SPAWN,
    ),
}


@pytest.mark.parametrize("name", STARTS)
@pytest.mark.parametrize("newline", ["\n", "\r\n"], ids=["lf", "crlf"])
def test_before_the_start(name: str, newline: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    worker, before, after = STARTS[name]
    made = repaired("DDP105", SCRIPT.format(worker=worker, start=before), tmp_path, monkeypatch, newline)
    assert made == SCRIPT.format(worker=worker, start=after)
    assert findings("DDP105", tmp_path, monkeypatch) == []


def check(indent: str, index: str = "rank") -> str:
    """A check in the worker."""
    return (
        f"{indent}if {index} >= torch.cuda.device_count():\n{indent}    raise RuntimeError(\n"
        f'{indent}        f"this process is to take GPU {{{index}}}, "\n'
        f'{indent}        f"but this node has {{torch.cuda.device_count()}} GPUs"\n{indent}    )\n'
    )


USES = {
    "available": (
        "    if torch.cuda.is_available():\n        torch.cuda.set_device(rank)",
        "    if torch.cuda.is_available():\n" + check("        ") + "        torch.cuda.set_device(rank)",
        SPAWN,
    ),
    "option": (
        "    if args.cpu:\n        device = 'cpu'\n    else:\n        device = torch.device(f\"cuda:{rank}\")",
        "    if args.cpu:\n        device = 'cpu'\n    else:\n"
        + check("        ")
        + '        device = torch.device(f"cuda:{rank}")',
        SPAWN,
    ),
    "processes": (
        "    torch.cuda.set_device(rank)",
        check("    ") + "    torch.cuda.set_device(rank)",
        "    for rank in range(args.gpus):\n        mp.Process(target=worker, args=(rank, args)).start()",
    ),
}


@pytest.mark.parametrize("name", USES)
def test_before_the_use(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, after, start = USES[name]
    made = repaired("DDP105", SCRIPT.format(worker=before, start=start), tmp_path, monkeypatch)
    assert made == SCRIPT.format(worker=after, start=start)
    assert findings("DDP105", tmp_path, monkeypatch) == []


@pytest.mark.parametrize(
    "worker",
    [
        pytest.param(
            '    device = torch.device("cuda", rank)\n    if args.cpu:\n        device = torch.device("cpu")', id="made"
        ),
        pytest.param('    device = torch.device("cuda", rank) if not args.cpu else "cpu"', id="under-a-condition"),
        pytest.param("    if not args.cpu: torch.cuda.set_device(rank)", id="behind-a-colon"),
    ],
)
def test_no_fix(worker: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = SCRIPT.format(worker=worker, start=SPAWN)
    assert repaired("DDP105", before, tmp_path, monkeypatch) == before
    assert findings("DDP105", tmp_path, monkeypatch)


REMAINDER = """import os

import torch
import torch.distributed as dist

dist.init_process_group("nccl")
rank = dist.get_rank()
{}
"""
REMAINDERS = {
    "in-place": ("torch.cuda.set_device(rank % 8)", "torch.cuda.set_device(rank % torch.cuda.device_count())"),
    "name": (
        "GPUS = 8\nlocal = rank % GPUS\ntorch.cuda.set_device(local)",
        "GPUS = 8\nlocal = rank % torch.cuda.device_count()\ntorch.cuda.set_device(local)",
    ),
    "f-string": (
        'device = torch.device(f"cuda:{rank % 4}")',
        'device = torch.device(f"cuda:{rank % torch.cuda.device_count()}")',
    ),
}


@pytest.mark.parametrize("name", REMAINDERS)
def test_remainder(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, after = REMAINDERS[name]
    assert repaired("DDP105", REMAINDER.format(before), tmp_path, monkeypatch) == REMAINDER.format(after)
    assert findings("DDP105", tmp_path, monkeypatch) == []


def test_the_visible_devices_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = REMAINDER.format('os.environ["CUDA_VISIBLE_DEVICES"] = str(rank % 8)')
    assert repaired("DDP105", before, tmp_path, monkeypatch) == before
