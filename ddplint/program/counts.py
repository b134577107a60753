"""How many processes a script starts, and whether anything compares that with the GPUs that are there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ddplint.program.events import Event
from ddplint.program.group import Group
from ddplint.program.program import Program
from ddplint.program.run import Run
from ddplint.program.sizes import has_fallback
from ddplint.program.values import Const, Input, Op, Symbol, Value, walk


@dataclass(frozen=True, slots=True)
class Unchecked:
    """A start of processes whose count nothing checks; ``available_only``: only ``is_available()`` is asked.

    ``users`` is where the processes take the GPU of their index.
    """

    event: Event
    available_only: bool
    users: tuple[Event, ...]


def unchecked(program: Program) -> Iterator[Unchecked]:
    """The starts of processes that take a GPU each, by a typed number that is never compared with the GPUs."""
    for run in program.runs:
        for event in run.events:
            count = event.arguments.get("nprocs")
            if event.kind != "spawn" or count is None or not _typed(count.value):
                continue
            users = [other for other in run.events if other.kind == "device" and _is_child(other, event)]
            users = [other for other in users if _by_index(other)]
            if not users or _checked(run, count.value):
                continue
            asked = all(_asks_available(other) for other in users) or _asks_available(event)
            yield Unchecked(event, asked, tuple(users))


def _typed(count: Value) -> bool:
    parts = list(walk(count))
    if any(isinstance(part, Symbol) and part.name == "device_count" for part in parts):
        return False
    if isinstance(count, Const):
        return isinstance(count.value, int) and count.value > 1
    typed = [part for part in parts if isinstance(part, Input)]
    return bool(typed) and not any(has_fallback(option) for option in typed)


def _is_child(event: Event, start: Event) -> bool:
    return any(spawn.node is start.node for spawn in event.context)


def _by_index(event: Event) -> bool:
    index = event.arguments["index"].value
    sites = {id(spawn.index.site) for spawn in event.context if spawn.index is not None}
    return any(id(getattr(part, "site", None)) in sites for part in walk(index))


def _checked(run: Run, count: Value) -> bool:
    """Whether some test mentions both the GPUs that are there and what the count is made of."""
    wanted = {part.id for part in walk(count) if isinstance(part, Input)}
    for check in run.checks:
        parts = list(walk(check))
        asks = any(isinstance(part, Symbol) and part.name == "device_count" for part in parts)
        if asks and (not wanted or any(part.id in wanted for part in parts)):
            return True
    return False


def _asks_available(event: Event) -> bool:
    return any(
        isinstance(part, Symbol) and part.name == "cuda_available"
        for condition, _ in (event.path.items() if event.path else ())
        for part in walk(condition)
    )


def parent_joins(program: Program, group: Group) -> bool:
    """Whether the starting process enters a group itself: then it counts as one of the ranks."""
    outside = group.event.context[:-1]
    return any(other.event.context == outside and other.event.kind == "init" for other in program.groups)


@dataclass(frozen=True, slots=True)
class Remainder:
    """A device index that assumes a typed number of GPUs: ``rank % 8``."""

    event: Event
    count: Value


def typed_remainders(program: Program) -> Iterator[Remainder]:
    """Device indices taken modulo a number of GPUs that somebody typed and nothing checks."""
    for run in program.runs:
        for event in run.events:
            if event.kind == "device":
                index = event.arguments["index"].value
            elif event.kind == "store" and event.name == "CUDA_VISIBLE_DEVICES":
                index = _core(event.arguments["value"].value)
            else:
                continue
            if not (isinstance(index, Op) and index.name == "mod"):
                continue
            if _typed(index.args[1]) and not _checked(run, index.args[1]):
                yield Remainder(event, index.args[1])


def _core(value: Value) -> Value:
    """The number in ``str(n)`` or ``f"{n}"``."""
    while isinstance(value, Op) and value.name in ("str", "format") and len(value.args) == 1:
        value = value.args[0]
    return value
