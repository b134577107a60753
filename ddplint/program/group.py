"""One start of a process group, judged: are its ranks and world size right, for every way the script can be started?"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ddplint.findings import Counterexample
from ddplint.findings import Process as ProcessRow
from ddplint.program import arithmetic
from ddplint.program.events import Argument, Event
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
    Const,
    EnvHas,
    EnvVar,
    Index,
    Input,
    Method,
    Op,
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
            if _is_int(told):
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


class Group(Judge):
    """What one ``init_process_group`` (or one child command with an environment of its own) is given.

    ``rank`` and ``world_size`` are the arguments, else what the script wrote into the environment, else the raw
    environment variables; None where neither decides.
    """

    def values(self) -> list[Value]:
        return [value for value in (self.rank, self.world_size) if value is not None]

    # -- what it is given ---------------------------------------------------------------------------------------

    @cached_property
    def init_method(self) -> Argument | None:
        """The ``init_method`` argument, if one is given."""
        return self.event.arguments.get("init_method")

    @cached_property
    def from_environment(self) -> bool:
        """Whether the rendezvous reads MASTER_ADDR and MASTER_PORT: no store and no URL other than ``env://``."""
        if "store" in self.event.arguments or "open" in self.event.arguments:
            return False
        if self.init_method is None:
            return True
        return all(
            isinstance(value, Const) and str(value.value).startswith("env:")
            for value in possible(self.init_method.value)
        )

    def _number(self, argument: str, variable: str) -> Value | None:
        given = self.event.arguments.get(argument)
        if given is not None:
            return given.value
        if "open" in self.event.arguments or not (self.from_environment or self.event.kind == "command"):
            return None
        if self.event.context and variable not in self.event.environ:
            return None  # children that nobody told anything: DDP106 says what is missing
        value = self.event.environ.get(variable) or EnvVar(variable)
        return arithmetic.integer(value, value.origin)

    @cached_property
    def shared(self) -> frozenset[int]:
        """The inputs of the world size: all processes must be told the same."""
        size = self.world_size
        return frozenset(part.id for part in walk(size) if isinstance(part, Input)) if size is not None else frozenset()

    @cached_property
    def rank(self) -> Value | None:
        """The rank this process claims."""
        return self._number("rank", "RANK")

    @cached_property
    def world_size(self) -> Value | None:
        """How many processes it waits for."""
        return self._number("world_size", "WORLD_SIZE")

    # -- the checks ---------------------------------------------------------------------------------------------

    def _values(self, processes: list[Process], value: Value | None) -> list[Any]:
        return [UNKNOWN if value is None else process.evaluate(value) for process in processes]

    def ranks_are_unique(self, processes: list[Process]) -> Verdict:
        """No rank claimed twice."""
        ranks = self._values(processes, self.rank)
        if any(not _is_int(rank) for rank in ranks):
            return Verdict.UNKNOWN
        return Verdict.RIGHT if len(set(ranks)) == len(ranks) else Verdict.WRONG

    def ranks_are_right(self, processes: list[Process]) -> Verdict:
        """Every rank claimed exactly once, from 0 up."""
        ranks = self._values(processes, self.rank)
        if any(not _is_int(rank) for rank in ranks):
            return Verdict.UNKNOWN
        return Verdict.RIGHT if sorted(ranks) == list(range(len(processes))) else Verdict.WRONG

    def world_is_right(self, processes: list[Process]) -> Verdict:
        """Everybody waits for as many processes as there are."""
        sizes = self._values(processes, self.world_size)
        if any(not _is_int(size) for size in sizes):
            return Verdict.UNKNOWN
        return Verdict.RIGHT if all(size == len(processes) for size in sizes) else Verdict.WRONG

    def both_are_right(self, processes: list[Process]) -> Verdict:
        """Ranks and world size fit each other and the topology."""
        verdicts = {self.ranks_are_right(processes), self.world_is_right(processes)}
        for verdict in (Verdict.WRONG, Verdict.UNKNOWN):
            if verdict in verdicts:
                return verdict
        return Verdict.RIGHT

    @cached_property
    def _any_failure(self) -> Judgement | None:
        """A failure of rank, world size or both together. None acquits all three in one search."""
        return None if self.single_process else self.failure(self.both_are_right)

    @cached_property
    def rank_failure(self) -> Judgement | None:
        """Why two processes must claim the same rank, or None."""
        return None if self.rank is None or self._any_failure is None else self.failure(self.ranks_are_unique)

    @cached_property
    def world_failure(self) -> Judgement | None:
        """Why the world size cannot be right, or None."""
        return None if self.world_size is None or self._any_failure is None else self.failure(self.world_is_right)

    @cached_property
    def joint_failure(self) -> Judgement | None:
        """Why rank and world size cannot be right together, where each can be alone."""
        if self.rank is None or self.world_size is None or self._any_failure is None:
            return None
        alone = self.rank_failure is None and self.world_failure is None
        return self._any_failure if alone else None

    @cached_property
    def single_process(self) -> bool:
        """A group of one, as the script says itself; or one that only pretends (torch's ``fake`` backend)."""
        backend = self.event.arguments.get("backend")
        if backend is not None and isinstance(backend.value, Const) and backend.value.value == "fake":
            return True
        return isinstance(self.world_size, Const) and self.world_size.value == 1

    @cached_property
    def starts_too_many(self) -> Judgement | None:
        """A topology on which the processes that the script starts are not as many as each of them waits for.

        On one node they are all there are. On several, a count that grows with the nodes starts too many on each.
        """
        spawns = self.event.context
        if not spawns or self.world_size is None or spawns[-1].count is None or spawns[-1].index is None:
            return None
        count = spawns[-1].count.value
        if count.id == self.world_size.id and not (isinstance(count, Op) and count.name == "mul"):
            return None  # one number for both: they agree, whatever it is
        scenario = self.scenarios[0]
        alone = [self.judge(scenario, Topology(1, size), self.world_is_right) for size in (4, 2)]
        if any(judged.verdict is Verdict.UNKNOWN for judged in alone):
            return None
        wrong = next((judged for judged in alone if judged.verdict is Verdict.WRONG), None)
        if wrong is not None:
            return wrong
        several = (Topology(2, 2), Topology(3, 2))
        if any(self.judge(scenario, one, self._world_counts_all).verdict is not Verdict.RIGHT for one in several):
            return None
        judged = self.judge(scenario, several[0], self._node_starts_its_own)
        return judged if judged.verdict is Verdict.WRONG else None

    def _world_counts_all(self, processes: list[Process]) -> Verdict:
        topology = processes[0].topology
        sizes = self._values(processes, self.world_size)
        return Verdict.RIGHT if all(size == topology.nnodes * topology.nproc for size in sizes) else Verdict.WRONG

    def _node_starts_its_own(self, processes: list[Process]) -> Verdict:
        fits = processes[0].started == processes[0].topology.nproc
        return self._world_counts_all(processes) if fits else Verdict.WRONG

    @cached_property
    def one_task_a_node(self) -> bool:
        """Rank and world size both count nodes: right as long as one process runs on each."""
        if self.event.context or self.rank is None or self.world_size is None:
            return False
        return any(
            self.judge(scenario, Topology(3, 1), self.both_are_right, thorough=True).verdict is Verdict.RIGHT
            and self.judge(scenario, Topology(2, 2), self._world_counts_nodes, thorough=True).verdict is Verdict.RIGHT
            for scenario in self.scenarios
            if scenario.launcher in self.mentioned
        )

    def _world_counts_nodes(self, processes: list[Process]) -> Verdict:
        nodes = processes[0].topology.nnodes
        fits = zip(processes, self._values(processes, self.rank), self._values(processes, self.world_size), strict=True)
        return Verdict.RIGHT if all(rank == one.node and size == nodes for one, rank, size in fits) else Verdict.WRONG

    # -- showing it ---------------------------------------------------------------------------------------------

    def counterexample(self, judged: Judgement) -> Counterexample | None:
        """The table of a failure: who claims what."""
        if judged.topology is None or judged.answers is None:
            return None
        try:
            processes = self.processes(judged.scenario, judged.topology, judged.answers) or []
            rows = [
                (process, self._shown(process, self.rank), self._shown(process, self.world_size))
                for process in processes
            ]
        except (Infeasible, Question):
            return None
        holders: dict[int, list[Process]] = {}
        for process, rank, _ in rows:
            if rank is not None:
                holders.setdefault(rank, []).append(process)
        table = tuple(
            ProcessRow(
                process.node,
                process.local,
                rank,
                world,
                trouble="duplicate rank" if rank is not None and len(holders[rank]) > 1 else None,
            )
            for process, rank, world in rows
        )
        shown = Topology(judged.topology.nnodes, processes[0].started if processes else judged.topology.nproc)
        return Counterexample(shown.nnodes, shown.nproc, table, _summary(shown, holders, rows))

    def chosen(self, judged: Judgement | None, value: Value) -> Value:
        """What a value comes down to in the failure: the side of each choice that the first process takes."""
        if judged is None or judged.topology is None or judged.answers is None:
            return value
        try:
            processes = self.processes(judged.scenario, judged.topology, judged.answers)
            while processes and isinstance(value, Choice):
                known = processes[0].truth(value.condition)
                if known is None:
                    known = judged.answers.get(("condition", value.condition.id), True) is not False
                value = value.then if known else value.other
        except (Infeasible, Question):
            pass
        return value

    def _shown(self, process: Process, value: Value | None) -> int | None:
        try:
            found = UNKNOWN if value is None else process.evaluate(value)
        except Question:
            return None  # it did not matter for the verdict what somebody types here
        return found if _is_int(found) else None


def _summary(
    topology: Topology, holders: dict[int, list[Process]], rows: list[tuple[Process, int | None, int | None]]
) -> str:
    for rank, claimants in sorted(holders.items()):
        if len(claimants) > 1:
            pair = sorted(claimants, key=lambda process: (process.node, process.local))
            one, two = pair[0], next((other for other in pair if other.node != pair[0].node), pair[1])
            return (
                f"{topology}: node {one.node} local rank {one.local} and node {two.node} local rank {two.local} "
                f"both claim rank {rank}"
            )
    total = topology.nnodes * topology.nproc
    worlds = sorted({world for _, _, world in rows if world is not None})
    if worlds and worlds != [total]:
        return f"{topology}: {total} processes run, but world_size is {', '.join(map(str, worlds))}"
    missing = sorted(set(range(total)) - set(holders))
    return f"{topology}: nobody claims rank {', '.join(map(str, missing))}" if missing else str(topology)


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


def _is_int(value: object) -> bool:
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
