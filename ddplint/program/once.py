"""What is to be done once in a job: a file that is written, a run of an experiment that is logged."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ddplint.program import guarding
from ddplint.program.events import Event
from ddplint.program.guarding import Way
from ddplint.program.topology import OTHER, UNKNOWN
from ddplint.program.values import Const, Op, Origin, Value, walk

if TYPE_CHECKING:
    from ddplint.program.program import Program

# Functions that write one file, and which argument says where.
SAVES = {"torch.save": "f", "safetensors.torch.save_file": "filename", "safetensors.torch.save_model": "filename"}

# Where every process takes part in the making of what is saved, each its own share: nothing here is said of these.
_SHARDED = frozenset(
    "FullyShardedDataParallel FSDP fully_shard deepspeed ShardedDataParallel ShardedTensor DTensor megatron "
    "set_state_dict_type pipeline_parallel tensor_parallel parallelize_module".split()
)

# Folders that each machine has for itself.
_OF_THE_MACHINE = re.compile(r"^(/tmp|/var/tmp|/dev/shm|/local|/scratch|/mnt/(local|nvme|ssd))\b")


@dataclass(frozen=True, slots=True)
class Mistake:
    """Where to speak of what is done more than once, and the ways that lead from there to it, at least one."""

    place: Origin
    ways: list[Way]


def repeated_saves(program: Program) -> Iterator[Mistake]:
    """Saves of one file that several processes of a machine get to, and where to speak of each."""
    worlds = program.worlds

    def wrong(way: Way) -> bool:
        if not way.reach.several_on_a_node or guarding.taking_turns(program, way.event):
            return False
        where = target(way.event)
        first, _, other = worlds.settled(where, way.event)
        return not worlds.may_vary_on_a_machine(where) and _is_same(first, other)

    return _mistakes(program, wrong)


def saves_by_leaders(program: Program) -> Iterator[Mistake]:
    """Saves of one file that one process of each machine gets to, at the tests of the local rank that let them.

    Only where the project is meant for several machines.
    """
    found: dict[int, Mistake] = {}
    for ways in _saves(program):
        for way in ways:
            if not (way.reach.only_leaders and way.reach.leader is True and _is_for_several(program, way)):
                continue
            where = target(way.event)
            first, leader, _ = program.worlds.settled(where, way.event)
            if program.worlds.may_vary(where) or not _is_same(first, leader) or _is_of_the_machine(where):
                continue
            place = _test(program, way) or way.origin
            found.setdefault(id(place.node), Mistake(place, [])).ways.append(way)
    yield from found.values()


def _test(program: Program, way: Way) -> Origin | None:
    """The last comparison on the way that tells the processes apart."""
    for part in walk(way.reach.deciding[-1]):
        compares = isinstance(part, Op) and part.name in ("eq", "ne", "lt", "le", "gt", "ge")
        if compares and part.origin is not None and len(set(program.worlds.settled(part, way.event))) > 1:
            return part.origin
    return way.reach.deciding[-1].origin


def _is_for_several(program: Program, way: Way) -> bool:
    """Whether the script is meant for several machines: the project says so, or ranks are counted over them."""
    if program.evidence.multi_node:
        return True
    ranks = [start.arguments.get("rank") for start in program.worlds.starts(way.event) if start.context]
    return any(
        isinstance(part, Op) and part.name == "mul"
        for rank in ranks
        for part in (walk(rank.value) if rank is not None else ())
    )


def _mistakes(program: Program, wrong: Callable[[Way], bool]) -> Iterator[Mistake]:
    found: dict[int, Mistake] = {}
    for ways in _saves(program):
        bad = [way for way in ways if wrong(way)]
        for way, place in guarding.mistakes(ways, bad) if bad else ():
            found.setdefault(id(place.node), Mistake(place, [])).ways.append(way)
    yield from found.values()


def _saves(program: Program) -> Iterator[list[Way]]:
    if not any(module.words & _SHARDED for module in program.modules):
        events = [event for event in program.events("call") if event.name in SAVES and "open" not in event.arguments]
        yield from guarding.ways(program, [event for event in events if SAVES[event.name] in event.arguments])


def target(event: Event) -> Value:
    """Where a save goes."""
    return event.arguments[SAVES[event.name]].value


def _is_same(one: Any, two: Any) -> bool:
    """Whether two processes may mean the same file: only what is known to differ does."""
    return one is UNKNOWN or two is UNKNOWN or one is OTHER or two is OTHER or one == two


def _is_of_the_machine(where: Value) -> bool:
    return any(isinstance(part, Const) and _OF_THE_MACHINE.match(str(part.value)) for part in walk(where))
