"""Three processes that stand for all: which of them get to a place, and what a value is in each.

Rank 0; the first process of another node (its local rank is 0 as well); and a process with another local rank. They
are taken from a run on 2 nodes x 2 processes that was started the right way: what the script gives the process group
as its rank is taken to be the rank. Whether it is, is a question for the rules about topology.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import libcst as cst

from ddplint.program import launchers
from ddplint.program.events import Event, Spawn
from ddplint.program.launchers import TORCHRUN, Role
from ddplint.program.state import Path, steps
from ddplint.program.topology import UNKNOWN, Infeasible, Process, Question, Scenario, Topology
from ddplint.program.values import (
    Choice,
    EnvHas,
    EnvVar,
    Index,
    Input,
    Method,
    Op,
    Origin,
    Symbol,
    Unknown,
    Value,
    walk,
)

if TYPE_CHECKING:
    from ddplint.program.program import Program

_TOPOLOGY = Topology(2, 2)

# Choices whose condition is not known, one inside the other: both sides of each are tried.
_DEEPEST = 5

# What differs between the processes of a job that everybody starts with the same command.
_OWN = frozenset((Role.RANK, Role.LOCAL_RANK, Role.NODE_RANK))


@dataclass(slots=True)
class World(Process):
    """One process. Nothing was typed: whatever hangs on an option is not known, and the same for all."""

    depth: int = 0
    ranks: frozenset[int] = frozenset()  # values that the script gives the group as its rank

    def __str__(self) -> str:
        return f"rank {self.rank} (node {self.node}, local rank {self.local})"

    def evaluate(self, value: Value) -> Any:
        if value.id in self.ranks:
            return self.rank
        if isinstance(value, EnvHas):
            # Which launcher it is. What only torchrun sets is what scripts look for first.
            return True if not self.scenario.spawns and value.name in TORCHRUN.variables else UNKNOWN
        return Process.evaluate(self, value)

    def variable(self, name: str) -> Any:
        """A variable as a launcher sets it, whichever it is."""
        role = launchers.meaning(name)
        if role is None or role is Role.OTHER:
            raise Question(("variable", name), ())
        found = self.role(role, started=True)
        return str(found) if isinstance(found, int) else found

    def settle(self, value: Value) -> Any:
        """The value in this process, or UNKNOWN."""
        try:
            return self.evaluate(value)
        except Infeasible:
            return UNKNOWN
        except Question as question:
            kind = question.key[0] if isinstance(question.key, tuple) else ""
            if kind != "condition" or self.depth >= _DEEPEST:
                return UNKNOWN
            found = [self._supposing(question.key, side).settle(value) for side in (True, False)]
            return found[0] if found[0] == found[1] and type(found[0]) is type(found[1]) else UNKNOWN

    def holds(self, condition: Value) -> bool | None:
        """Whether a condition holds in this process; None if that is not known."""
        if condition.id in self.assumed:
            return self.assumed[condition.id]
        if isinstance(condition, Op) and condition.name == "not":
            inner = self.holds(condition.args[0])
            return None if inner is None else not inner
        found = self.settle(condition)
        return None if found is UNKNOWN else bool(found)

    def assuming(self, assumed: Mapping[int, bool]) -> World:
        """The same process, where these conditions hold or not."""
        return World(
            self.scenario, self.topology, self.node, self.local, {}, assumed, self.started, ranks=self.ranks,
        )  # fmt: skip

    def _supposing(self, key: object, side: bool) -> World:
        answers = {**self.answers, key: side}
        return World(
            self.scenario, self.topology, self.node, self.local, answers, self.assumed, self.started,
            depth=self.depth + 1, ranks=self.ranks,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Reach:
    """Which processes get to a place if any does: True, False, or None where it is not known.

    ``first`` is rank 0, ``leader`` the first process of another node, ``other`` one that is first nowhere. What is
    the same for all of them is left out: ``if args.save:`` keeps no single process away.
    ``deciding`` are the conditions that tell them apart, oldest first.
    """

    first: bool | None
    leader: bool | None
    other: bool | None
    deciding: tuple[Value, ...] = ()

    @property
    def only_first(self) -> bool:
        """Certainly no process but rank 0, though perhaps not even that one."""
        return self.leader is False and self.other is False and self.first is not False

    @property
    def only_leaders(self) -> bool:
        """One process on every node: a test of the local rank."""
        return self.other is False and self.leader is not False and self.first is not False and bool(self.deciding)

    @property
    def everybody(self) -> bool:
        """Nothing on the way here tells the processes apart, as far as it is known."""
        return not self.deciding and self.first is not False


class Worlds:
    """The three processes of every kind that a program starts: ``program.worlds``."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._made: dict[tuple[int, ...], tuple[World, World, World]] = {}
        self._known: dict[tuple[int, tuple[int, ...]], tuple[bool | None, ...]] = {}
        self._varying: dict[int, bool] = {}

    @cached_property
    def _ranks(self) -> frozenset[int]:
        return frozenset(
            part.id
            for event in self._program.events("init")
            if (given := event.arguments.get("rank")) is not None
            for part in _plain(given.value)
        )

    def of(self, context: tuple[Spawn, ...]) -> tuple[World, World, World]:
        """Rank 0, the first process of another node, and another process, of those that run in ``context``."""
        key = tuple(id(spawn.node) for spawn in context)
        if key not in self._made:
            scenario = Scenario(None, context) if context else Scenario(TORCHRUN)
            first, leader, other = (
                World(scenario, _TOPOLOGY, node, local, {}, {}, _TOPOLOGY.nproc, ranks=self._ranks)
                for node, local in ((0, 0), (1, 0), (0, 1))
            )
            self._made[key] = (first, leader, other)
        return self._made[key]

    def is_parent(self, event: Event) -> bool:
        """Whether an event happens in the process that spawns the others, or where nobody starts several at all."""
        return not event.context and any(spawn.kind == "spawn" for spawn in self._program.events("spawn"))

    def holds(self, condition: Value, context: tuple[Spawn, ...]) -> tuple[bool | None, ...]:
        """Whether a condition holds in each of the three; None where that is not known."""
        key = (condition.id, tuple(id(spawn.node) for spawn in context))
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = tuple(world.holds(condition) for world in self.of(context))
        return found

    def reach(self, event: Event) -> Reach:
        """Which processes get to an event."""
        return self.along(event.path, event.context)

    def along(self, path: Path | None, context: tuple[Spawn, ...]) -> Reach:
        """Which processes meet all conditions of a path."""
        reached: list[bool | None] = [True, True, True]
        deciding: list[Value] = []
        for condition, truth in steps(path):
            held = self.holds(condition, context)
            if len(set(held)) > 1:
                deciding.append(condition)
            for place, one in enumerate(held):
                if one is None:
                    if reached[place] and self.may_vary(condition):
                        reached[place] = None
                elif one is not truth:
                    reached[place] = False
        first, leader, other = reached
        return Reach(first, leader, other, tuple(deciding))

    def may_vary(self, value: Value) -> bool:
        """Whether a value that is not known may differ between the processes of a job.

        What is typed, configured or counted is the same for all. What a function returns that the model did not
        follow may be anything: ``is_main_process()``.
        """
        found = self._varying.get(value.id)
        if found is None:
            found = self._varying[value.id] = any(self._own(part) for part in walk(value))
        return found

    @cached_property
    def _indices(self) -> frozenset[int]:
        spawns = [spawn for event in self._program.events("init", "spawn") for spawn in event.context]
        return frozenset(spawn.index.id for spawn in spawns if spawn.index is not None)

    def _own(self, value: Value) -> bool:
        if isinstance(value, EnvVar):
            role = launchers.meaning(value.name)
            return role in _OWN or role is None
        if isinstance(value, Symbol):
            return value.name in ("group_rank", "hostname")
        if isinstance(value, Index):
            return value.id in self._indices or value.site.__class__ is cst.Call
        return isinstance(value, Method) or (isinstance(value, Unknown) and not value.shared)


def _plain(value: Value) -> Iterable[Value]:
    """The values that a rank may come down to, those of the launcher left out: their meaning is known."""
    if isinstance(value, Choice):
        yield from _plain(value.then)
        yield from _plain(value.other)
        yield value
    elif isinstance(value, Input):
        yield value
    else:
        parts = list(walk(value))
        own = any(isinstance(part, (Input, Index, Unknown)) for part in parts)
        if own and not any(_told(part) for part in parts):
            yield value


def _told(value: Value) -> bool:
    """Whether a launcher or torch says what a value is."""
    return isinstance(value, EnvVar) or (isinstance(value, Symbol) and value.name == "group_rank")


def origins(values: Iterable[Value]) -> list[Origin]:
    """Where values were computed, those that are known."""
    return [value.origin for value in values if value.origin is not None]
