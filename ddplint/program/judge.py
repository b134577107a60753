"""Judging: a check over every launcher, every topology, and everything that a person may type."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

from ddplint.program.events import Event
from ddplint.program.launchers import LAUNCHERS, SRUN, TORCHRUN, Launcher
from ddplint.program.topology import (
    FAMILY,
    FIRST_NODE,
    OTHER_NODES,
    UNKNOWN,
    Answers,
    Infeasible,
    Process,
    Question,
    Scenario,
    Topology,
    search,
)
from ddplint.program.values import (
    Choice,
    EnvHas,
    EnvVar,
    Index,
    Input,
    Method,
    Unknown,
    Value,
    walk,
)


class Verdict(enum.Enum):
    """RIGHT: some way of starting it works. WRONG: none does. INFEASIBLE: it is never reached so. UNKNOWN: silence."""

    RIGHT = "right"
    WRONG = "wrong"
    UNKNOWN = "unknown"
    INFEASIBLE = "infeasible"


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict, with the scenario, topology and answers of the first failure (or of a success)."""

    verdict: Verdict
    scenario: Scenario
    topology: Topology | None = None
    answers: Answers | None = None


Check = Callable[[list[Process]], Verdict]


_NODE_GUESSES = {FIRST_NODE, OTHER_NODES}


# Processes on one node that are enumerated: more than any node has GPUs.
_MOST_PROCESSES = 16


class Judge:
    """Judges one event over launchers, topologies and everything that a person may type."""

    def __init__(self, event: Event, local_rank_option: bool) -> None:
        self.event = event
        self._legacy = local_rank_option
        self._hints: list[Answers] = []

    def values(self) -> list[Value]:
        """The values that are judged: their sources tell which launchers the script is written for."""
        return [argument.value for argument in self.event.arguments.values()]

    # -- scenarios ----------------------------------------------------------------------------------------------

    @cached_property
    def mentioned(self) -> tuple[Launcher, ...]:
        """The launchers whose own variables decide anything here: those that the script is written for."""
        values = [condition for condition, _ in self.event.path.items()] if self.event.path else []
        names = {name for value in (*values, *self.values()) for name in sources(value)}
        return tuple(launcher for launcher in LAUNCHERS if names & set(launcher.variables))

    @cached_property
    def scenarios(self) -> tuple[Scenario, ...]:
        """The ways of starting the script that are worth a look."""
        spawns = self.event.context
        if spawns:
            return (Scenario(None, spawns), Scenario(SRUN, spawns))
        found = [Scenario(launcher) for launcher in dict.fromkeys((TORCHRUN, *self.mentioned))]
        if any(isinstance(part, Input) for value in self.values() for part in walk(value)) and self.mentioned:
            found.append(Scenario(TORCHRUN, alone=True))
        if self._legacy:
            found.insert(0, Scenario(TORCHRUN, legacy=True))
        return (*found, Scenario(None))

    @cached_property
    def shared(self) -> frozenset[int]:
        """The inputs that must be the same for every process, by what they are used for."""
        return frozenset()

    @cached_property
    def path(self) -> tuple[tuple[Value, bool], ...]:
        """The conditions of the path that can matter: about the environment, or sharing an input with the values.

        Any other condition can be met by typing what it asks for, whatever the ranks are.
        """
        conditions = self.event.path.items() if self.event.path else []
        values = self.values() + [spawn.count.value for spawn in self.event.context if spawn.count is not None]
        touched = {part.id for value in values for part in walk(value) if _is_atom(part)}
        kept: dict[int, tuple[Value, bool]] = {}
        growing = True
        while growing:
            growing = False
            for position, (condition, truth) in enumerate(conditions):
                if position in kept:
                    continue
                atoms = [part for part in walk(condition) if _is_atom(part)]
                if any(part.id in touched or isinstance(part, (EnvVar, EnvHas)) for part in atoms):
                    kept[position] = (condition, truth)
                    touched |= {part.id for part in atoms}
                    growing = True
        return tuple(kept[position] for position in sorted(kept))

    # -- judging ------------------------------------------------------------------------------------------------

    def processes(self, scenario: Scenario, topology: Topology, answers: Answers) -> list[Process] | None:
        """All processes of a topology that reach this place; None if the path or the process count forbids it.

        Raises:
            Question: an input has not been answered.
        """
        count = topology.nproc
        if scenario.spawns and scenario.spawns[-1].count is not None:
            parent = Process(scenario, topology, 0, 0, answers, {}, count, self.shared)
            told = parent.evaluate(scenario.spawns[-1].count.value)
            if is_int(told):
                if isinstance(scenario.spawns[-1].count.value, Input) and told != count:
                    return None  # a typed count is typed to fit the node
                count = told
            if not 1 <= count <= _MOST_PROCESSES:
                return None
        made: list[Process] = []
        for node in range(topology.nnodes):
            for local in range(count):
                assumed: dict[int, bool] = {}
                process = Process(scenario, topology, node, local, answers, assumed, count, self.shared)
                if not _reaches(process, self.path, assumed):
                    return None
                made.append(process)
        return made

    def judge(self, scenario: Scenario, topology: Topology, check: Check, thorough: bool = False) -> Judgement:
        """The best verdict over all answers: a script is wrong only if no way of starting it is right.

        RIGHT and UNKNOWN both acquit; only a ``thorough`` search goes on to tell them apart.
        """

        def attempt(answers: Answers) -> object:
            try:
                processes = self.processes(scenario, topology, answers)
                if processes is None:
                    return Verdict.INFEASIBLE
                return check(processes)
            except Infeasible:
                return Verdict.INFEASIBLE

        # what was right before is right again more often than not: roles mean the same on every topology
        for answers in reversed(self._hints):
            try:
                if attempt(answers) is Verdict.RIGHT:
                    return Judgement(Verdict.RIGHT, scenario, topology, answers)
            except Question:
                continue
        enough = (Verdict.RIGHT,) if thorough else (Verdict.RIGHT, Verdict.UNKNOWN)
        found = search(attempt, lambda verdict: verdict in enough)
        for wanted in (Verdict.RIGHT, UNKNOWN, Verdict.UNKNOWN, Verdict.WRONG):
            for answers, verdict in found:
                if verdict is wanted:
                    if verdict is Verdict.RIGHT and answers not in self._hints:
                        self._hints.append(answers)
                    kind = Verdict.UNKNOWN if wanted is UNKNOWN else wanted
                    assert isinstance(kind, Verdict)
                    return Judgement(kind, scenario, topology, answers)
        return Judgement(Verdict.INFEASIBLE, scenario, topology)

    def judge_family(self, scenario: Scenario, check: Check) -> Judgement:
        """Over all topologies: wrong if it is wrong on one, whatever the others say."""
        best = Judgement(Verdict.INFEASIBLE, scenario)
        for topology in FAMILY:
            judged = self.judge(scenario, topology, check)
            if judged.verdict is Verdict.WRONG and best.answers and _NODE_GUESSES & set(best.answers.values()):
                # right for two nodes, by a test that nobody here can judge (`is_head()`): it may be meant for two
                return Judgement(Verdict.UNKNOWN, scenario, topology)
            if judged.verdict in (Verdict.WRONG, Verdict.UNKNOWN):
                return judged
            if judged.verdict is Verdict.RIGHT:
                best = judged
        return best

    def failure(self, check: Check, *, scenarios: tuple[Scenario, ...] | None = None) -> Judgement | None:
        """The first failure that counts, or None.

        A launcher that the script is written for must work. Where it is written for none, it fails only if every way
        of starting it does.
        """
        judged = [self.judge_family(scenario, check) for scenario in scenarios or self.scenarios]
        feasible = [one for one in judged if one.verdict is not Verdict.INFEASIBLE]
        if not self.event.context:
            written_for = [one for one in feasible if one.scenario.launcher in self.mentioned]
            for launcher in dict.fromkeys(one.scenario.launcher for one in written_for):
                ways = [one for one in written_for if one.scenario.launcher is launcher]
                if all(one.verdict is Verdict.WRONG for one in ways):
                    return ways[0]
            if written_for:
                return None
        if feasible and all(one.verdict is Verdict.WRONG for one in feasible):
            return feasible[0]
        return None


def _is_atom(value: Value) -> bool:
    return isinstance(value, (Input, EnvVar, EnvHas, Unknown, Method, Index))


def _reaches(process: Process, path: tuple[tuple[Value, bool], ...], assumed: dict[int, bool]) -> bool:
    for condition, truth in path:
        known = process.truth(condition)
        if known is None:
            assumed[condition.id] = truth
        elif known is not truth:
            return False
    return True


def is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def possible(value: Value) -> Iterator[Value]:
    """The values that a choice may come down to; an option counts as its default."""
    if isinstance(value, Choice):
        yield from possible(value.then)
        yield from possible(value.other)
    elif isinstance(value, Input) and value.spec is not None and value.spec.default is not None:
        yield from possible(value.spec.default)
    else:
        yield value


def sources(value: Value) -> set[str]:
    """The environment variables that a value is computed from."""
    return {part.name for part in walk(value) if isinstance(part, (EnvVar, EnvHas))}
