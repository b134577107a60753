"""Where the processes of a job part. The scripts name the kind of each parting in a comment on its line."""

from __future__ import annotations

import re

import pytest

from tests.program.scripts import program

_HEAD = """
import argparse
import os
import sys
from contextlib import contextmanager
import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel as DDP
from elsewhere import is_main, serve

parser = argparse.ArgumentParser()
parser.add_argument("--save", action="store_true")
parser.add_argument("--steps", type=int, default=10)
args = parser.parse_args()
dist.init_process_group("gloo")
rank, world_size = dist.get_rank(), dist.get_world_size()
local_rank = int(os.environ["LOCAL_RANK"])
x = torch.ones(1)

def reduce(value):
    dist.all_reduce(value)
    return value
"""


_MARK = re.compile(r"# (branch|exit|loop|group|sharded|buffers)$", re.MULTILINE)


def check(body: str) -> None:
    """The partings of a script are those that its comments name."""
    text = _HEAD + body
    made = program(text)
    found = [(one.origin.module.positions.line(one.origin.node), one.kind) for one in made.partings]
    marks = ((number, _MARK.search(line)) for number, line in enumerate(text.splitlines(), start=1))
    assert sorted(found) == [(number, mark[1]) for number, mark in marks if mark]


PART = {
    "in a branch": """
if rank == 0:
    dist.barrier()  # branch
""",
    "in the other branch": """
if rank == 0:
    print("first")
else:
    dist.barrier()  # branch
""",
    "at the call of a helper": """
def outer(value):
    return reduce(value)

if rank == 0:
    outer(x)  # branch
dist.barrier()
""",
    "in a helper that tests the rank itself": """
def report(value):
    if rank == 0:
        dist.all_reduce(value)  # branch

report(x)
""",
    "in a helper that is called by all and by some": """
reduce(x)
if rank == 0:
    reduce(x)  # branch
reduce(x)
""",
    "behind an attribute": """
class Trainer:
    def __init__(self):
        self.main = local_rank == 0

    def log(self):
        if self.main:
            self.gather()  # branch

    def gather(self):
        dist.all_reduce(x)

trainer = Trainer()
trainer.log()
dist.barrier()
""",
    "behind a decorator": """
def on_first(function):
    def wrapped(*args):
        if dist.get_rank() == 0:
            return function(*args)
    return wrapped

@on_first
def report(value):
    dist.all_reduce(value)  # branch

report(x)
""",
    "in the clean-up of a try": """
try:
    print(x)
finally:
    if rank == 0:
        dist.barrier()  # branch
dist.all_reduce(x)
""",
    "with a return on the way to the clean-up, where all meet": """
def work():
    try:
        if rank == 0:
            return  # exit
        dist.all_reduce(x)
    finally:
        dist.barrier()

work()
""",
    "in a with": """
@contextmanager
def first():
    if rank == 0:
        dist.barrier()  # branch
    yield

with first():
    print(x)
dist.all_reduce(x)
""",
    "in nested loops": """
for epoch in range(args.steps):
    for step in range(3):
        dist.all_reduce(x)
        if rank == 0:
            dist.broadcast(x, src=0)  # branch
""",
    "with a return in a loop": """
def search():
    for step in range(args.steps):
        dist.all_reduce(x)
        if rank == 0 and x > 3:
            return step  # exit

search()
""",
    "with a break out of the inner loop": """
for epoch in range(args.steps):
    for step in range(3):
        dist.all_reduce(x)
        if rank == 0 and x > 3:
            break  # exit
""",
    "with a return before a collective of the caller's loop": """
def step():
    if rank != 0:
        return  # exit
    dist.all_reduce(x)

for epoch in range(args.steps):
    step()
dist.barrier()
""",
    "with an exit in a branch of a branch": """
if rank == 0:
    if not os.path.exists("data"):
        sys.exit()  # exit
dist.barrier()
""",
    "with an exit in a helper": """
def leave():
    if rank > 0:
        sys.exit()  # exit

leave()
dist.barrier()
""",
    "with an error that is caught": """
try:
    if rank == 0 and not os.path.exists("data"):
        raise FileNotFoundError("data")  # exit
    dist.barrier()
except FileNotFoundError:
    print("nothing")
""",
    "in a loop over a share": """
for item in range(rank, 10, world_size):
    dist.all_reduce(x)  # loop
""",
    "whatever a typed option says": """
if args.save and rank == 0:
    dist.barrier()  # branch
""",
    "in a conditional expression": """
y = reduce(x) if rank == 0 else x  # branch
""",
    "in a short circuit": """
rank == 0 and dist.barrier()  # branch
""",
    "in a new group": """
if rank == 0:
    dist.new_group([0])  # group
dist.new_group()
""",
    "in a sharded model": """
import torch.distributed.checkpoint as dcp
if rank == 0:
    dcp.save({}, checkpoint_id="a")  # sharded
""",
    "in the forward pass of a wrapper": """
model = DDP(torch.nn.Linear(1, 1))
if rank == 0:
    model(x)  # buffers
""",
}

TOGETHER = {
    "the same in both branches": """
if rank == 0:
    dist.broadcast(x, src=0)
else:
    dist.broadcast(x, src=0)
""",
    "the same in both branches, in a helper in one of them": """
if rank == 0:
    reduce(x)
else:
    dist.all_reduce(x)
""",
    "one first, the others after it": """
if rank != 0:
    dist.barrier()
print(x)
if rank == 0:
    dist.barrier()
""",
    "one first in a with": """
@contextmanager
def first(place):
    if place not in (-1, 0):
        dist.barrier()
    try:
        yield
    finally:
        if place == 0:
            dist.barrier()

with first(local_rank):
    print(x)
dist.all_reduce(x)
""",
    "one after the other": """
for turn in range(world_size):
    if turn == rank:
        print(x)
    dist.barrier()
""",
    "a gather and continue": """
for step in range(args.steps):
    if step % 5 == 0:
        dist.all_reduce(x)
        if rank == 0:
            print(x)
        continue
    dist.all_reduce(x)
""",
    "a return after which nothing comes": """
def report():
    if rank != 0:
        return
    print(x)

dist.all_reduce(x)
report()
""",
    "a return out of a helper alone": """
def report():
    if rank != 0:
        return
    print(x)

for step in range(args.steps):
    report()
    dist.all_reduce(x)
""",
    "a return with the same collective before it": """
def total():
    if rank != 0:
        dist.reduce(x, dst=0)
        return None
    dist.reduce(x, dst=0)
    return x

total()
""",
    "a decision that was broadcast in a tensor": """
stop = torch.zeros(1)
for step in range(args.steps):
    if rank == 0:
        stop[0] = step > 3
    dist.broadcast(stop, src=0)
    if stop.item():
        break
dist.barrier()
""",
    "a decision that was broadcast in a list": """
def decide():
    stop = [rank == 0]
    dist.broadcast_object_list(stop, src=0)
    return stop[0]

for step in range(args.steps):
    dist.all_reduce(x)
    if decide():
        break
""",
    "a list that a helper sends, by another name": """
def send(objects):
    dist.broadcast_object_list(objects, src=0)

stop = [rank == 0]
send(stop)
if stop[0]:
    dist.barrier()
""",
    "a list in a field": """
class Stop:
    def __init__(self):
        self.flags = [rank == 0]

    def agree(self):
        dist.broadcast_object_list(self.flags, src=0)
        return self.flags[0]

if Stop().agree():
    dist.barrier()
""",
    "an unknown call in the other branch": """
if rank == 0:
    dist.barrier()
else:
    serve(x)
""",
    "a method of something unknown in the other branch": """
connection = serve(x)
if rank == 0:
    dist.barrier()
else:
    connection.barrier()
""",
    "a function of torch that is not known in the other branch": """
if rank == 0:
    dist.all_gather([x], x)
else:
    dist.all_gather_coalesced([[x]], [x])
""",
    "a guard that is not known": """
if is_main():
    dist.barrier()
""",
    "a guard on what is typed": """
if args.save:
    dist.barrier()
""",
    "a guard on the size of the job": """
if world_size > 1:
    dist.barrier()
""",
    "a guard on the group": """
if dist.is_available() and dist.is_initialized():
    dist.barrier()
""",
    "a guard on a variable that is the same everywhere": """
if os.environ.get("DEBUG"):
    dist.barrier()
if int(os.environ["WORLD_SIZE"]) > 1:
    dist.barrier()
""",
    "a guard that no process of the job fails": """
if rank >= 0:
    dist.barrier()
""",
    "members of a group": """
members = [0, 1]
group = dist.new_group(members)
if rank in members:
    dist.all_reduce(x, group=group)
""",
    "point to point": """
if rank == 0:
    dist.send(x, dst=1)
elif rank == 1:
    dist.recv(x, src=0)
""",
    "a loop over equal shares": """
for item in range(rank * 10, (rank + 1) * 10):
    dist.all_reduce(x)
""",
    "an error on one rank, which ends the job": """
if rank == 0 and not os.path.exists("data"):
    raise FileNotFoundError("data")
dist.barrier()
""",
    "all leave with an error": """
if not os.path.exists("data"):
    raise FileNotFoundError("data")
dist.barrier()
""",
    "the model in the wrapper": """
model = DDP(torch.nn.Linear(1, 1))
if rank == 0:
    model.module(x)
""",
    "the group ends as the last thing, on some ranks later": """
if rank == 0:
    print(x)
    dist.destroy_process_group()
else:
    dist.destroy_process_group()
""",
}


@pytest.mark.parametrize("body", PART.values(), ids=PART)
def test_they_part(body: str) -> None:
    assert _MARK.search(body)
    check(body)


@pytest.mark.parametrize("body", TOGETHER.values(), ids=TOGETHER)
def test_they_stay_together(body: str) -> None:
    assert not _MARK.search(body)
    check(body)


def test_children_of_a_script_part() -> None:
    text = """
import torch.distributed as dist
import torch.multiprocessing as mp

def worker(rank, size):
    dist.init_process_group("gloo", rank=rank, world_size=size)
    if rank == 0:
        dist.barrier()  # branch

if __name__ == "__main__":
    mp.spawn(worker, args=(4,), nprocs=4)
"""
    assert [(one.kind, one.origin.module.positions.line(one.origin.node)) for one in program(text).partings] == [
        ("branch", 8)
    ]


@pytest.mark.parametrize(
    ("guard", "sides"),
    [
        ("rank == 0", "Rank 0 calls barrier() here and the other ranks go on to all_reduce() instead"),
        ("rank", "All ranks but 0 call barrier() here and rank 0 goes on to all_reduce() instead"),
        (
            "local_rank == 0",
            "The first ranks of all nodes call barrier() here and the other ranks go on to all_reduce() instead",
        ),
        (
            "local_rank",
            "All ranks but the first of each node call barrier() here and the first ranks of all nodes go on to "
            "all_reduce() instead",
        ),
        (
            "rank == 1",
            "Rank 1 (local rank 1 of node 0) calls barrier() here and rank 0 goes on to all_reduce() instead",
        ),
        (
            "rank % 2 == 0",
            "Rank 0 calls barrier() here and rank 1 (local rank 1 of node 0) goes on to all_reduce() instead",
        ),
    ],
)
def test_who_is_named(guard: str, sides: str) -> None:
    (parting,) = program(f"{_HEAD}if {guard}:\n    dist.barrier()\ndist.all_reduce(x)\n").partings
    assert parting.message == sides


def test_a_function_is_true() -> None:
    """A name that is a function by mistake: ``not evaluate`` never holds, and nobody gets to the barrier."""
    text = """
import torch.distributed as dist

def evaluate():
    return 0

def load(rank):
    if rank == 0 and not evaluate:
        dist.barrier()

dist.init_process_group("gloo")
load(dist.get_rank())
"""
    assert program(text).partings == ()


def test_what_the_others_do_instead_is_in_the_next_pass() -> None:
    text = """
import torch
import torch.distributed as dist

dist.init_process_group("gloo")
for step in range(9):
    dist.all_reduce(torch.zeros(1))
    if dist.get_rank() == 0{also}:
        dist.broadcast(torch.zeros(1), src=0)
dist.barrier()
"""
    (every,) = program(text.format(also="")).partings
    assert "go on to all_reduce() instead" in every.message
    # In the last pass it would be the barrier.
    (some,) = program(text.format(also=" and step == 8")).partings
    assert every.message != some.message
    assert "instead" not in some.message
