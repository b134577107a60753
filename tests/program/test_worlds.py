"""Which processes get to an event: by value, along every kind of guard."""

from __future__ import annotations

import pytest

from tests.program.scripts import program

_TORCHRUN = """
import os
import torch.distributed as dist
dist.init_process_group("nccl")
{body}
"""


def reach(text: str, name: str = "torch.distributed.barrier") -> list[bool | None]:
    made = program(text)
    event = next(event for event in made.events("call") if event.name == name)
    found = made.worlds.reach(event)
    return [found.first, found.leader, found.other]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("dist.barrier()", [True, True, True]),
        ("if dist.get_rank() == 0:\n    dist.barrier()", [True, False, False]),
        ("if dist.get_rank():\n    dist.barrier()", [False, True, True]),
        ("if not dist.is_initialized() or dist.get_rank() == 0:\n    dist.barrier()", [True, False, False]),
        ("if int(os.environ['LOCAL_RANK']) == 0:\n    dist.barrier()", [True, True, False]),
        ("if int(os.environ['RANK']) != 0:\n    raise SystemExit\ndist.barrier()", [True, False, False]),
        ("if dist.get_world_size() > 1:\n    dist.barrier()", [True, True, True]),
        ("master = dist.get_rank() == 0\nif master and flag():\n    dist.barrier()", [None, False, False]),
        ("if unknown():\n    dist.barrier()", [None, None, None]),
        ("def leave():\n    return dist.get_rank() != 0\nif not leave():\n    dist.barrier()", [True, False, False]),
        (
            "class T:\n    def __init__(self):\n        self.gpu = dist.get_rank()\n    def save(self):\n"
            "        if self.gpu > 0:\n            return\n        dist.barrier()\nT().save()",
            [True, False, False],
        ),
        ("for i in range(3):\n    if dist.get_rank() > 0:\n        continue\n    dist.barrier()", [True, False, False]),
    ],
)
def test_reach(body: str, expected: list[bool | None]) -> None:
    assert reach(_TORCHRUN.format(body=body)) == expected


def test_the_rank_is_what_the_group_is_given() -> None:
    text = """
import argparse
import torch.distributed as dist
parser = argparse.ArgumentParser()
parser.add_argument("--rank", type=int, default=0)
args = parser.parse_args()
dist.init_process_group("nccl", rank=args.rank, world_size=8)
if args.rank == 0:
    dist.barrier()
"""
    assert reach(text) == [True, False, False]


def test_spawned() -> None:
    text = """
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

def main(gpu, ngpus, args):
    args.rank = args.rank * ngpus + gpu
    dist.init_process_group("nccl", rank=args.rank, world_size=args.world_size)
    if args.rank % ngpus == 0:
        dist.barrier()
    if gpu == 0:
        dist.broadcast(torch.zeros(1), src=0)
    if args.rank == 0:
        dist.all_reduce(torch.zeros(1))

if __name__ == "__main__":
    import argparse
    parser = argparse.ArgumentParser()
    parser.add_argument("--rank", type=int, default=0)
    parser.add_argument("--world-size", type=int, default=1)
    args = parser.parse_args()
    ngpus = torch.cuda.device_count()
    args.world_size = ngpus * args.world_size
    mp.spawn(main, nprocs=ngpus, args=(ngpus, args))
"""
    assert reach(text) == [True, True, False]
    assert reach(text, "torch.distributed.broadcast") == [True, True, False]
    assert reach(text, "torch.distributed.all_reduce") == [True, False, False]
