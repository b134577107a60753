"""What all processes must agree on in a collective: its root, and the members of a new group."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ddplint.program.events import Argument, Event
from ddplint.program.program import Program
from ddplint.program.state import is_implied, steps
from ddplint.program.topology import UNKNOWN
from ddplint.program.values import Op, Value
from ddplint.program.world import World

# The rank that a collective sends from or to: torch 2.13, torch/distributed/distributed_c10d.py.
_ROOTS = ("src", "dst")


@dataclass(frozen=True, slots=True)
class Disagreement:
    """An argument that is not the same in all processes: its value in two of them."""

    event: Event
    argument: Argument
    name: str
    one: tuple[World, Any]
    other: tuple[World, Any]


def roots(program: Program) -> Iterator[Disagreement]:
    """Collectives whose ``src`` or ``dst`` is another rank in every process, each once."""
    yield from _disagreements(program, _ROOTS, int)


def members(program: Program) -> Iterator[Disagreement]:
    """Calls of ``new_group`` by all processes, each with ranks of its own, each once."""
    yield from _disagreements(program, ("ranks",), tuple)


def _disagreements(program: Program, names: tuple[str, ...], kind: type) -> Iterator[Disagreement]:
    if program.evidence.test:
        return
    seen: set[int] = set()
    for event in program.events("call"):
        argument = next((event.arguments[name] for name in names if name in event.arguments), None)
        if (
            argument is None
            or id(event.node) in seen
            or program.collectives.name(event) is None
            or program.worlds.is_parent(event)
        ):
            continue
        worlds = program.worlds.of(event.context)
        reach = program.worlds.reach(event)
        got = [
            (world, value)
            for world, here in zip(worlds, (reach.first, reach.leader, reach.other), strict=True)
            if here and isinstance(value := world.settle(argument.value), kind) and UNKNOWN not in _parts(value)
        ]
        other = next((one for one in got[1:] if one[1] != got[0][1]), None)
        if other is not None:
            seen.add(id(event.node))
            name = next(name for name in names if name in event.arguments)
            yield Disagreement(event, argument, name, got[0], other)


def _parts(value: object) -> tuple[object, ...]:
    return value if isinstance(value, tuple) else ()


def behind_membership(program: Program) -> Iterator[tuple[Event, Value]]:
    """Calls of ``new_group`` that only some ranks make, which ones is not known: behind ``rank in ranks``.

    Each once, with the condition; none where the other ranks create a group as well.
    """
    if program.evidence.test:
        return
    events = [
        event for event in program.events("call") if (program.collectives.name(event) or "").startswith("new_group")
    ]
    seen: set[int] = set()
    for event in events:
        for condition, truth in steps(event.path):
            told = id(event.node) in seen or is_implied(condition)
            if told or not _asks_for_the_rank(program, event, condition):
                continue
            if not any((condition.id, not truth) in _taken(other) for other in events):
                seen.add(id(event.node))
                yield event, condition


def _taken(event: Event) -> set[tuple[int, bool]]:
    return {(condition.id, truth) for condition, truth in steps(event.path)}


def _asks_for_the_rank(program: Program, event: Event, condition: Value) -> bool:
    """Whether a condition compares the rank with something that is not known."""
    worlds = program.worlds.of(event.context)
    if any(held is not None for held in program.worlds.holds(condition, event.context)):
        return False
    if isinstance(condition, Op) and condition.name in ("and", "or", "not"):
        return any(_asks_for_the_rank(program, event, part) for part in condition.args)
    if isinstance(condition, Op) and condition.name in ("eq", "in"):
        sides = [[world.settle(side) for world in worlds] for side in condition.args]
        ranks = [UNKNOWN not in side and len(set(map(repr, side))) == len(side) for side in sides]
        return sum(ranks) == 1
    return False
