"""Sums that only one process has: tensors after ``dist.reduce``, and what everybody decides by them.

``reduce`` leaves the sum on the destination, and whatever it came to on the way on the other ranks (torch 2.13,
``torch/distributed/distributed_c10d.py``, ``reduce``: "Only the process with rank ``dst`` is going to receive the
final result").
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass

from ddplint.program.events import Event, Mark
from ddplint.program.metrics import PLATEAU
from ddplint.program.program import Program
from ddplint.program.run import Run
from ddplint.program.state import steps
from ddplint.program.values import Const, Value, is_made, walk

# Afterwards the tensor may be the same everywhere.
_SHARED = frozenset(
    f"torch.distributed.{name}"
    for name in "all_gather all_gather_into_tensor all_gather_object all_reduce broadcast broadcast_object_list".split()
)
_LEAVES = ("break", "exit", "return")


class Decided(enum.Enum):
    """What is decided by the sum."""

    RATE = "the learning rate"
    END = "the end of a loop"


@dataclass(frozen=True, slots=True)
class Misused:
    """Every process decides by a sum that only rank 0 has."""

    what: Decided
    place: Event | Mark
    reduce: Event


def misused(program: Program) -> Iterator[Misused]:
    """Decisions of all processes by what ``reduce`` has brought to one of them, each place once."""
    seen: set[int] = set()
    for run in program.runs:
        for event in run.events:
            if event.kind == "call" and event.name == "torch.distributed.reduce" and _is_to_first(event):
                for found in _by(program, run, event):
                    if id(found.place.node) not in seen:
                        seen.add(id(found.place.node))
                        yield found


def _is_to_first(event: Event) -> bool:
    given = event.arguments
    if (
        {"group", "open", "async_op"} & given.keys()
        or "tensor" not in given
        or isinstance(given["tensor"].value, Const)
    ):
        return False
    to = given.get("dst") or given.get("group_dst")
    return to is not None and isinstance(to.value, Const) and to.value.value == 0


def _by(program: Program, run: Run, event: Event) -> Iterator[Misused]:
    tensor = event.arguments["tensor"].value
    shared = [
        one.order
        for one in run.events
        if one.kind == "call"
        and one.name in _SHARED
        and one.order > event.order
        and any(_holds(argument.value, tensor) for argument in one.arguments.values())
    ]
    end = min(shared, default=len(run.events) + 1)
    for one in run.events:
        if one.kind != "method" or one.name != "step" or one.entry != event.entry:
            continue
        metric, scheduler = one.arguments.get("metrics"), one.arguments["self"].value
        if not is_made(scheduler, PLATEAU) or metric is None:
            continue
        if event.order < one.order < end and _holds(metric.value, tensor) and not program.worlds.reach(one).deciding:
            yield Misused(Decided.RATE, one, event)
    loops = run.loop_numbers()
    for mark in run.marks:
        if mark.kind not in _LEAVES or mark.entry != event.entry or not event.order < mark.order <= end:
            continue
        # the next pass meets the others in the same reduce()
        asks = any(_holds(condition, tensor) for condition, _ in steps(mark.path))
        meets = loops & set(mark.nest) & set(event.nest)
        if asks and meets and not program.worlds.along(mark.path, mark.context).deciding:
            yield Misused(Decided.END, mark, event)


def _holds(value: Value, tensor: Value) -> bool:
    return any(part.id == tensor.id for part in walk(value))
