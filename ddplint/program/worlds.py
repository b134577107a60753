"""Three processes that stand for all: which of them get to a place, and what a value is in each.

Rank 0; the first process of another node (its local rank is 0 as well); and a process with another local rank. They
are taken from a run on 2 nodes x 2 processes that was started the right way: what the script gives the process group
as its rank is taken to be the rank. Whether it is, is a question for the rules about topology.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import libcst as cst

from ddplint.program import launchers
from ddplint.program.events import Event, Spawn
from ddplint.program.launchers import TORCHRUN, Role
from ddplint.program.state import Path, steps
from ddplint.program.topology import Scenario, Topology, Typed
from ddplint.program.values import (
    Choice,
    Const,
    EnvVar,
    External,
    Index,
    Input,
    Items,
    Made,
    Method,
    Object,
    Op,
    Symbol,
    Unknown,
    Value,
    walk,
)
from ddplint.program.world import World

if TYPE_CHECKING:
    from ddplint.program.program import Program

_TOPOLOGY = Topology(2, 2)
_CROWD = Topology(3, 3)

# What differs between the processes of a job that everybody starts with the same command.
_OWN = frozenset((Role.RANK, Role.LOCAL_RANK, Role.NODE_RANK))

# What may be typed differently for each process or node. A name proves nothing, but it is reason enough for silence.
_TYPED_EACH = re.compile(
    r"rank|tmp|scratch|local|node|proc|gpu|dev|host|machine|worker|master|main|^nr$|(^|[^a-z])ids?$", re.I
)

# Library functions whose result differs between processes only if what they are given does: by name, or what it
# begins with. Files are taken to lie where all processes see the same.
_SAME_FOR_SAME = (
    "os.path.", "os.listdir", "os.makedirs", "os.fspath", "glob.", "pathlib.", "json.", "yaml.", "re.", "math.",
    "omegaconf.", "torch.load",
)  # fmt: skip
_SAME_BUILTINS = frozenset(
    "len str int float bool list tuple set dict sorted isinstance issubclass hasattr getattr callable any all "
    "open sum min max round abs zip map filter reversed enumerate range".split()
)


Assumed = tuple[tuple[int, bool], ...]  # conditions by their id


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
    def certainly_all(self) -> bool:
        """Certainly every process, if the script gets there at all."""
        return self.first is True and self.leader is True and self.other is True

    @property
    def several_on_a_node(self) -> bool:
        """Certainly more than one process of one machine: the first and another."""
        return self.first is True and self.other is True

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
        self._made: dict[tuple[object, ...], tuple[World, World, World]] = {}
        self._known: dict[tuple[object, ...], tuple[bool | None, ...]] = {}
        self._varying: dict[int, bool] = {}
        self._given: dict[tuple[object, ...], Assumed] = {}

    @cached_property
    def _ranks(self) -> frozenset[int]:
        return frozenset(
            part.id
            for event in self._program.events("init")
            if (given := event.arguments.get("rank")) is not None
            for part in _plain(given.value)
        )

    @cached_property
    def _typed(self) -> Mapping[object, Typed]:
        """What is typed for each process or node, where the script shows what it means."""
        found: dict[object, Typed] = {}
        for run in self._program.runs:
            for option in run.options:
                if option.name == "local_rank":
                    # torch.distributed.launch passes it: torch 2.13, torch/distributed/launch.py
                    found["input", option.id] = Typed(Role.LOCAL_RANK)
        for event in self._program.events("init"):
            given = event.arguments.get("rank")
            if given is None or not event.context or not isinstance(given.value, Op):
                continue
            for spawn in event.context:
                if spawn.count is not None and isinstance(spawn.count.value, Input):
                    found["input", spawn.count.value.id] = Typed(Role.LOCAL_WORLD_SIZE)
            inputs = [part for part in walk(given.value) if isinstance(part, Input) and ("input", part.id) not in found]
            for part in inputs:
                answers: dict[object, object] = {**found, ("input", part.id): Typed(Role.NODE_RANK)}
                three = self._three(event.context, answers, frozenset())
                if all(world.settle(given.value) == world.rank for world in three):
                    found["input", part.id] = Typed(Role.NODE_RANK)
        return found

    def of(self, context: tuple[Spawn, ...], assumed: Assumed = ()) -> tuple[World, World, World]:
        """Rank 0, the first process of another node, and another process, of those that run in ``context``."""
        key = (*_sites(context), assumed)
        if key not in self._made:
            local = bool(context)  # children are told apart by their index, and nothing is passed to them
            answers = {
                key: typed for key, typed in self._typed.items() if not (local and typed.role is Role.LOCAL_RANK)
            }
            self._made[key] = self._three(context, answers, self._ranks, dict(assumed))
        return self._made[key]

    def crowd(self, context: tuple[Spawn, ...]) -> list[World]:
        """All processes of a job that is large enough to show whom a condition chooses."""
        one = self.of(context)[0]
        return [
            World(one.scenario, _CROWD, node, local, one.answers, {}, _CROWD.nproc, ranks=one.ranks)
            for node in range(_CROWD.nnodes)
            for local in range(_CROWD.nproc)
        ]

    @staticmethod
    def _three(
        context: tuple[Spawn, ...],
        answers: Mapping[object, object],
        ranks: frozenset[int],
        assumed: Mapping[int, bool] | None = None,
    ) -> tuple[World, World, World]:
        scenario = Scenario(None, context) if context else Scenario(TORCHRUN)
        first, leader, other = (
            World(scenario, _TOPOLOGY, node, local, answers, assumed or {}, _TOPOLOGY.nproc, ranks=ranks)
            for node, local in ((0, 0), (1, 0), (0, 1))
        )
        return first, leader, other

    # -- the job that an event belongs to -----------------------------------------------------------------------

    def starts(self, event: Event) -> list[Event]:
        """Where the processes that get to an event start their group: none in a script of one process.

        A start that excludes the event (``if args.distributed: start() else: event()``) is not one of them.
        """
        held = {condition.id: truth for condition, truth in steps(event.path)}
        context = _sites(event.context)
        return [
            start
            for start in self._program.events("init")
            if start.entry == event.entry
            and _sites(start.context) == context
            and all(held.get(condition.id, truth) is truth for condition, truth in steps(start.path))
            and not _is_alone(start)
        ]

    def _assumed(self, event: Event) -> Assumed:
        """What must hold for the processes to have started a group at all: ``args.distributed``."""
        starts = self.starts(event)
        key = (_sites(event.context), *(id(start.path) for start in starts))
        found = self._given.get(key)
        if found is None:
            found = self._given[key] = self._common(starts)
        return found

    def _common(self, starts: Iterable[Event]) -> Assumed:
        common: set[tuple[int, bool]] | None = None
        for start in starts:
            own: set[tuple[int, bool]] = set()
            for condition, truth in steps(start.path):
                if all(held is None for held in self.holds(condition, start.context)):
                    own.add((condition.id, truth))
                    own.update(_opposite(condition, truth))
            common = own if common is None else common & own
        return tuple(sorted(common or ()))

    def is_parent(self, event: Event) -> bool:
        """Whether an event happens in the process that spawns the others, or where nobody starts several at all."""
        return not event.context and any(spawn.kind == "spawn" for spawn in self._program.events("spawn"))

    def holds(self, condition: Value, context: tuple[Spawn, ...], assumed: Assumed = ()) -> tuple[bool | None, ...]:
        """Whether a condition holds in each of the three; None where that is not known."""
        key = (condition.id, _sites(context), assumed)
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = tuple(world.holds(condition) for world in self.of(context, assumed))
        return found

    def reach(self, event: Event) -> Reach:
        """Which processes get to an event, in a run that starts a process group if the script can."""
        return self.along(event.path, event.context, self._assumed(event))

    def settled(self, value: Value, event: Event) -> tuple[Any, Any, Any]:
        """What a value is in each of the three at an event; UNKNOWN where that is not known."""
        first, leader, other = (world.settle(value) for world in self.of(event.context, self._assumed(event)))
        return first, leader, other

    def computed(self, value: Value, context: tuple[Spawn, ...]) -> tuple[Any, Any, Any]:
        """What a value is in each of the three by how it is computed, also where the group takes it for the rank."""
        key = ("computed", *_sites(context))
        if key not in self._made:
            self._made[key] = self._three(context, self.of(context)[0].answers, frozenset())
        first, leader, other = (world.settle(value) for world in self._made[key])
        return first, leader, other

    def along(self, path: Path | None, context: tuple[Spawn, ...], assumed: Assumed = ()) -> Reach:
        """Which processes meet all conditions of a path."""
        reached: list[bool | None] = [True, True, True]
        deciding: list[Value] = []
        for condition, truth in steps(path):
            held = self.holds(condition, context, assumed)
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
            found = self._varying[value.id] = any(self._own(part) for part in walk(value, _is_about_kind))
        return found

    def told_apart(self, value: Value, same: Callable[[Value], bool]) -> bool:
        """Whether a value may differ between the processes of a job, where what is ``same`` adds nothing of its own."""
        return any(not same(part) and self._own(part) for part in walk(value, _is_about_kind))

    def may_vary_on_a_machine(self, value: Value, but_for: Callable[[Value], bool] | None = None) -> bool:
        """Whether a value may differ between the processes of one machine: not what counts or names the machines.

        ``but_for`` leaves parts of it out, with what they are computed from.
        """
        return any(
            self._own(part) and not self._of_the_node(part)
            for part in walk(value, lambda one: _is_about_kind(one) or (but_for is not None and but_for(one)))
        )

    def _of_the_node(self, value: Value) -> bool:
        if isinstance(value, EnvVar):
            return launchers.meaning(value.name) is Role.NODE_RANK
        if isinstance(value, Symbol):
            return value.name == "hostname"
        typed = self._typed.get(("input", value.id)) if isinstance(value, Input) else None
        return typed is not None and typed.role is not Role.LOCAL_RANK

    @cached_property
    def _indices(self) -> frozenset[int]:
        spawns = [spawn for event in self._program.events("init", "spawn") for spawn in event.context]
        return frozenset(spawn.index.id for spawn in spawns if spawn.index is not None)

    def _own(self, value: Value) -> bool:
        if isinstance(value, EnvVar):
            role = launchers.meaning(value.name)
            return role in _OWN or (role is None and _TYPED_EACH.search(value.name) is not None)
        if isinstance(value, Symbol):
            return value.name in ("group_rank", "hostname")
        if isinstance(value, Input):
            return _TYPED_EACH.search(value.name) is not None
        if isinstance(value, Index):
            return value.id in self._indices or value.site.__class__ is cst.Call
        if isinstance(value, Method):
            # what a class inherits from a library: `self.is_world_process_zero`
            return isinstance(value.owner, Object) and value.owner.kind == "instance"
        if isinstance(value, Made):
            return not (value.name.startswith(_SAME_FOR_SAME) or value.name in _SAME_BUILTINS)
        return isinstance(value, Unknown) and not value.shared


def _is_about_kind(value: Value) -> bool:
    """Whether a value tells only what kind of model another is: `isinstance(model, DataParallel)`."""
    if not isinstance(value, Made) or value.name not in ("isinstance", "hasattr"):
        return False
    kind = value.arguments.value(None, 1)
    kinds = kind.values if isinstance(kind, Items) else (kind,)
    return all(
        (isinstance(one, External) and one.name.startswith("torch."))
        or (isinstance(one, Const) and one.value in ("module", "_orig_mod"))
        for one in kinds
    )


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
        indexed = any(isinstance(part, Index) for part in parts)
        if own and (indexed or not any(_told(part) for part in parts)):
            yield value


def _told(value: Value) -> bool:
    """Whether a launcher or torch says what a value is."""
    return isinstance(value, EnvVar) or (isinstance(value, Symbol) and value.name == "group_rank")


def _is_alone(start: Event) -> bool:
    """Whether a group has one process only, by what is written: a script that is run without a launcher."""
    size = start.arguments.get("world_size")
    return size is not None and isinstance(size.value, Const) and size.value.value == 1


def _opposite(condition: Value, truth: bool) -> Iterable[tuple[int, bool]]:
    """``a == b`` where ``a != b`` does not hold, and the other way round."""
    if isinstance(condition, Op) and condition.name in ("eq", "ne"):
        yield Op("ne" if condition.name == "eq" else "eq", condition.args, "bool", None).id, not truth


def _sites(context: tuple[Spawn, ...]) -> tuple[int, ...]:
    return tuple(id(spawn.node) for spawn in context)
