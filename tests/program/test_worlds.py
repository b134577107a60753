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


@pytest.mark.parametrize(
    "decorator",
    ["def first_only(function):\n    def inner(*args, **kwargs):\n        if dist.get_rank() == 0:\n"
     "            return function(*args, **kwargs)\n    return inner",
     "from lightning_utilities.core.rank_zero import rank_zero_only as first_only",
     "from mmengine.dist import master_only\nfirst_only = master_only"],
)  # fmt: skip
def test_decorators(decorator: str) -> None:
    method = "class T:\n    @first_only\n    def save(self):\n        dist.barrier()\nT().save()"
    function = "@first_only\ndef save():\n    dist.barrier()\nsave()"
    for body in (method, function):
        assert reach(_TORCHRUN.format(body=f"{decorator}\n{body}")) == [True, False, False]


def test_a_start_tells_what_held() -> None:
    text = """
import argparse
import torch.distributed as dist
parser = argparse.ArgumentParser()
parser.add_argument("--local_rank", type=int, default=-1)
parser.add_argument("--distributed", action="store_true")
args = parser.parse_args()
if args.distributed:
    dist.init_process_group("nccl")
if not args.distributed or dist.get_rank() == 0:
    dist.barrier()
if args.local_rank in (-1, 0):
    dist.destroy_process_group()
"""
    assert reach(text) == [True, False, False]
    assert reach(text, "torch.distributed.destroy_process_group") == [True, True, False]


def test_a_node_number_that_is_typed() -> None:
    text = """
import argparse
import torch.distributed as dist
import torch.multiprocessing as mp

def worker(gpu, args):
    dist.init_process_group("nccl", rank=args.nr * args.gpus + gpu, world_size=args.gpus * args.nodes)
    if args.nr == 0:
        dist.barrier()

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--nr", type=int, default=0)
    parser.add_argument("--gpus", type=int, default=1)
    parser.add_argument("--nodes", type=int, default=1)
    args = parser.parse_args()
    args.gpus = 2
    mp.spawn(worker, args=(args,), nprocs=args.gpus)
"""
    assert reach(text) == [True, False, True]


def test_what_a_library_class_says_of_itself_is_not_known() -> None:
    body = (
        "from lib import Base\nclass T(Base):\n    def save(self):\n        if self.is_first:\n"
        "            dist.barrier()\nT().save()"
    )
    assert reach(_TORCHRUN.format(body=body)) == [None, None, None]
