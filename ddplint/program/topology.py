"""Topologies, and the value of everything for every process of one: proof by enumeration.

A *scenario* says who starts the processes (a launcher, or a person by hand) and whether the script then starts more of
them itself. A *process* is one place in a scenario on a topology of nnodes x nproc. Evaluating a symbolic value there
gives a plain number, an :data:`UNKNOWN`, or a question: an input that a person types. :func:`search` answers such
questions in every possible way, because a script is wrong only if no way of typing them makes it right.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ddplint.program import arithmetic, launchers
from ddplint.program.events import Spawn
from ddplint.program.launchers import Launcher, Role
from ddplint.program.values import (
    Choice,
    Const,
    Device,
    EnvHas,
    EnvVar,
    Index,
    Input,
    Items,
    Op,
    Symbol,
    Value,
)


class _Mark:
    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return self.name


UNKNOWN: Any = _Mark("UNKNOWN")  # nothing is known of it
OTHER: Any = _Mark("OTHER")  # something that is there, but nobody knows what
FIRST_NODE: Any = _Mark("FIRST_NODE")  # a condition that nobody can judge holds on one node only: `is_head()`
OTHER_NODES: Any = _Mark("OTHER_NODES")  # or on all but one
ABSENT: Any = _Mark("ABSENT")  # an environment variable that is not set


@dataclass(frozen=True, slots=True)
class Topology:
    """``nnodes`` machines with ``nproc`` GPUs on each, and as many processes unless the script starts others."""

    nnodes: int
    nproc: int

    def __str__(self) -> str:
        nodes = f"{self.nnodes} node{'s' if self.nnodes > 1 else ''}"
        return f"{nodes} x {self.nproc} process{'es' if self.nproc > 1 else ''}"


# Small, but telling: two sizes of nodes, three nodes, and one node alone. The first is the one people try first.
FAMILY = (Topology(2, 2), Topology(2, 4), Topology(3, 2), Topology(1, 4))


class Infeasible(Exception):
    """The process cannot get here: a required variable is absent, or an operation fails."""


class Question(Exception):
    """Evaluation needs an answer that nobody has given yet."""

    def __init__(self, key: object, answers: tuple[object, ...]) -> None:
        super().__init__(key)
        self.key = key
        self.answers = answers


@dataclass(frozen=True, slots=True)
class Typed:
    """An answer that may differ by process: what a person types, named by its meaning."""

    role: Role


Answers = Mapping[object, object]


@dataclass(frozen=True, slots=True)
class Scenario:
    """Who starts the processes. ``launcher`` None: a person, with a command on every node (or for every process).

    ``spawns``: the processes that the script starts itself, outermost first; then the launcher starts one a node.
    """

    launcher: Launcher | None
    spawns: tuple[Spawn, ...] = ()
    legacy: bool = False  # torch.distributed.launch, which also passes --local_rank
    alone: bool = False  # a launcher on every node that knows nothing of the others; options tell the nodes apart

    @property
    def name(self) -> str:
        """How people call it."""
        if self.spawns:
            return "spawn"
        return self.launcher.name if self.launcher else "by hand"


@dataclass(slots=True)
class Process:
    """One process: its true place, and the values of everything as the script computes them there."""

    scenario: Scenario
    topology: Topology
    node: int
    local: int
    answers: Answers
    assumed: Mapping[int, bool]
    started: int  # processes on each node: topology.nproc, or what the script starts instead
    shared: frozenset[int] = frozenset()  # inputs that are the same everywhere: a world size is no node's own
    _memo: dict[int, object] = field(default_factory=dict)

    @property
    def rank(self) -> int:
        """The global rank this process ought to have."""
        return self.node * self.started + self.local

    def role(self, role: Role, started: bool) -> object:
        """What a launcher would say. ``started``: of the process that it started itself, one a node under spawn."""
        one_a_node = started and bool(self.scenario.spawns)
        nnodes, nproc = self.topology.nnodes, self.topology.nproc
        if started and self.scenario.alone:
            own = {Role.RANK: self.local, Role.NODE_RANK: 0, Role.WORLD_SIZE: nproc, Role.NNODES: 1}
            if role in own:
                return own[role]
        if role is Role.RANK:
            return self.node if one_a_node else self.rank
        if role is Role.LOCAL_RANK:
            return 0 if one_a_node else self.local
        if role is Role.NODE_RANK:
            return self.node
        if role is Role.WORLD_SIZE:
            return nnodes if one_a_node else nnodes * nproc
        if role is Role.LOCAL_WORLD_SIZE:
            return 1 if one_a_node else nproc
        if role is Role.NNODES:
            return nnodes
        if role is Role.GPUS:
            return nproc
        if role is Role.MASTER_PORT:
            return 29500
        if role is Role.MASTER_ADDR:
            return "node0"
        if role is Role.HOSTLIST:
            return f"node[0-{nnodes - 1}]" if nnodes > 1 else "node0"
        return OTHER

    # -- evaluation ---------------------------------------------------------------------------------------------

    def evaluate(self, value: Value) -> Any:
        """The value here.

        Raises:
            Infeasible: the process cannot get here.
            Question: an input has not been answered.
        """
        memo = self._memo
        if value.id in memo:
            return memo[value.id]
        compute = _COMPUTE.get(type(value))
        result = memo[value.id] = UNKNOWN if compute is None else compute(self, value)
        return result

    def _constant(self, value: Const) -> Any:
        return value.value

    def _environment(self, value: EnvVar) -> Any:
        found = self.variable(value.name)
        if found is ABSENT:
            raise Infeasible(value.name)
        return found

    def _has(self, value: EnvHas) -> Any:
        found = self.variable(value.name)
        return found if found is UNKNOWN else found is not ABSENT

    def _items(self, value: Items) -> Any:
        return tuple(self.evaluate(item) for item in value.values)

    def _device(self, value: Device) -> Any:
        return self.evaluate(value.index)

    def _operation(self, value: Op) -> Any:
        if value.name in ("and", "or"):
            return self._connective(value)
        args = [self.evaluate(arg) for arg in value.args]
        if value.name == "not":
            return UNKNOWN if args[0] is UNKNOWN or args[0] is OTHER else not args[0]
        if any(arg is UNKNOWN or arg is OTHER for arg in args):
            return UNKNOWN
        if value.name == "range":
            return UNKNOWN
        function = arithmetic.CONCRETE.get(value.name)
        if function is None:
            return UNKNOWN
        try:
            return function(*args)
        except (TypeError, ValueError, ArithmeticError, LookupError, AttributeError):
            raise Infeasible(value.name) from None

    def _connective(self, value: Op) -> Any:
        deciding = value.name == "or"
        unknown = False
        for arg in value.args:
            known = self.truth(arg)
            if known is deciding:
                return deciding
            unknown = unknown or known is None
        return UNKNOWN if unknown else not deciding

    def truth(self, condition: Value) -> bool | None:
        """Whether a condition holds here; None if that is not known."""
        if condition.id in self.assumed:
            return self.assumed[condition.id]
        found = self.evaluate(condition)
        if found is UNKNOWN:
            return None
        return True if found is OTHER else bool(found)

    def _choice(self, value: Choice) -> Any:
        known = self.truth(value.condition)
        if known is None:
            key = ("condition", value.condition.id)
            if key not in self.answers:
                raise Question(key, (True, False, FIRST_NODE, OTHER_NODES))
            answer = self.answers[key]
            known = answer if isinstance(answer, bool) else (self.node == 0) is (answer is FIRST_NODE)
        return self.evaluate(value.then if known else value.other)

    def _index(self, value: Index) -> Any:
        start = self.evaluate(value.start) if value.start is not None else 0
        for spawn in self.scenario.spawns:
            if spawn.index is not None and spawn.index.site is value.site:
                return UNKNOWN if start is UNKNOWN else start + self.local
        return UNKNOWN

    def _symbol(self, value: Symbol) -> Any:
        if value.name == "device_count":
            return self.topology.nproc
        if value.name == "group_rank":
            return self.rank
        if value.name == "group_world_size":
            return self.topology.nnodes * self.topology.nproc
        if value.name in ("cuda_available", "initialized"):
            return True
        return f"node{self.node}" if value.name == "hostname" else UNKNOWN

    # -- the environment and what people type -------------------------------------------------------------------

    def variable(self, name: str) -> Any:
        """A variable of the environment that this process (or the one that spawned it) was started with."""
        scenario = self.scenario
        role = launchers.meaning(name)
        if scenario.launcher is not None:
            if name in scenario.launcher.variables:
                return _as_text(self.role(scenario.launcher.variables[name], started=True))
            if launchers.owner(name) is not None and name not in ("MASTER_ADDR", "MASTER_PORT", "WORLD_SIZE"):
                return ABSENT
        key = ("variable", name)
        if key in self.answers:
            answer = self.answers[key]
            if isinstance(answer, Typed) and answer.role in (Role.RANK, Role.LOCAL_RANK):
                # children share the environment of the process that spawned them
                return _as_text(self.role(answer.role, started=True))
            return _as_text(self._answer(key, ()))
        if role is not None:
            # somebody exported it by hand, with the meaning that everybody gives it; or nobody did
            answers: tuple[object, ...] = (Typed(role), ABSENT)
            if role is Role.WORLD_SIZE and scenario.spawns:
                answers = (Typed(Role.NNODES), Typed(role), ABSENT)
        else:
            answers = (ABSENT, OTHER, *self._typed())
        raise Question(key, answers)

    def _typed(self, everywhere: bool = False) -> tuple[Typed, ...]:
        shared = (Typed(Role.NNODES), Typed(Role.LOCAL_WORLD_SIZE), Typed(Role.WORLD_SIZE))
        launcher = self.scenario.launcher
        if everywhere or (launcher is not None and launcher is not launchers.TORCHRUN):
            return shared  # one command line for all processes
        by_node = (Typed(Role.NODE_RANK), *shared)
        if self.scenario.spawns or launcher is not None:
            return by_node
        return (Typed(Role.RANK), Typed(Role.LOCAL_RANK), *by_node)

    def _answer(self, key: object, answers: tuple[object, ...]) -> Any:
        if key not in self.answers:
            raise Question(key, answers)
        answer = self.answers[key]
        return self.role(answer.role, started=False) if isinstance(answer, Typed) else answer

    def _input(self, value: Input) -> Any:
        key = ("input", value.id)
        if key in self.answers:
            return self._answer(key, ())
        spec = value.spec
        if (
            value.name == "local_rank"
            and (self.scenario.legacy or self.scenario.launcher is None)
            and not self.scenario.spawns
        ):
            # torch.distributed.launch passes --local_rank: torch 2.13, torch/distributed/launch.py
            return self.local
        default = UNKNOWN
        if spec is not None and spec.default is not None:
            default = self.evaluate(spec.default)
        known: list[object] = [] if default is UNKNOWN or default is OTHER else [default]
        kind = spec.type if spec else None
        if kind == "bool":
            answers: list[object] = [True, False]
        elif kind == "str":
            answers = [*known, OTHER]
            if spec is not None and spec.required:
                answers = [OTHER]
        elif kind == "float" or isinstance(default, (tuple, dict)):
            return default
        else:
            answers = [*self._typed(value.id in self.shared), *known, 0]
            if spec is None:
                answers.append(OTHER)
        raise Question(key, tuple(dict.fromkeys(answers)))


_COMPUTE: dict[type[Value], Callable[[Process, Any], Any]] = {
    Const: Process._constant,
    Op: Process._operation,
    Choice: Process._choice,
    Index: Process._index,
    EnvVar: Process._environment,
    EnvHas: Process._has,
    Symbol: Process._symbol,
    Input: Process._input,
    Items: Process._items,
    Device: Process._device,
}


def _as_text(value: object) -> Any:
    return str(value) if isinstance(value, int) else value


# -- searching ------------------------------------------------------------------------------------------------------


def is_guess(key: object) -> bool:
    """Whether an answer only guesses a condition that nobody can judge, instead of saying what somebody types."""
    return isinstance(key, tuple) and key[0] == "condition"


# Questions multiply: a script with more than this many ways to be started is not judged.
_MOST_TRIES = 200


def search(judge: Callable[[Answers], object], stop: Callable[[object], bool]) -> list[tuple[Answers, object]]:
    """Judge every way of answering the questions, until ``stop`` says that a verdict is enough.

    ``judge`` is called with the answers so far and raises :class:`Question` for the next one; it must not depend on
    anything else. Too many ways end the search with the verdict :data:`UNKNOWN`.
    """
    found: list[tuple[Answers, object]] = []
    pending: list[dict[object, object]] = [{}]
    tries = 0
    while pending:
        answers = pending.pop()
        tries += 1
        if tries > _MOST_TRIES:
            return [*found, (answers, UNKNOWN)]
        try:
            verdict = judge(answers)
        except Question as question:
            pending += [{**answers, question.key: answer} for answer in reversed(question.answers)]
            continue
        found.append((answers, verdict))
        if stop(verdict):
            return found
    return found
