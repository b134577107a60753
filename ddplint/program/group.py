"""One start of a process group, judged: are its ranks and world size right, for every way the script can be started?"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import Any

from ddplint.findings import Counterexample
from ddplint.findings import Process as ProcessRow
from ddplint.program import arithmetic
from ddplint.program.events import Argument
from ddplint.program.judge import Judge, Judgement, Verdict, is_int, possible
from ddplint.program.topology import (
    UNKNOWN,
    Infeasible,
    Process,
    Question,
    Topology,
    is_guess,
)
from ddplint.program.values import (
    Choice,
    Const,
    EnvVar,
    Input,
    Op,
    Value,
    walk,
)


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
        if any(not is_int(rank) for rank in ranks):
            return Verdict.UNKNOWN
        return Verdict.RIGHT if len(set(ranks)) == len(ranks) else Verdict.WRONG

    def ranks_are_right(self, processes: list[Process]) -> Verdict:
        """Every rank claimed exactly once, from 0 up."""
        ranks = self._values(processes, self.rank)
        if any(not is_int(rank) for rank in ranks):
            return Verdict.UNKNOWN
        return Verdict.RIGHT if sorted(ranks) == list(range(len(processes))) else Verdict.WRONG

    def world_is_right(self, processes: list[Process]) -> Verdict:
        """Everybody waits for as many processes as there are."""
        sizes = self._values(processes, self.world_size)
        if any(not is_int(size) for size in sizes):
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

    def counterexample(self, judged: Judgement, of_ranks: bool = True) -> Counterexample | None:
        """The table of a failure: who claims what. Without ``of_ranks`` it is about the world size."""
        if judged.topology is None or judged.answers is None:
            return None
        try:
            reached = self.processes(judged.scenario, judged.topology, judged.answers) or []
            # a table shows facts: what hangs on a condition that was only guessed is left open in it
            told = {key: answer for key, answer in judged.answers.items() if not is_guess(key)}
            processes = [replace(process, answers=told, _memo={}) for process in reached]
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
                trouble="duplicate rank" if of_ranks and rank is not None and len(holders[rank]) > 1 else None,
            )
            for process, rank, world in rows
        )
        worlds = {world for _, _, world in rows}
        if None in {rank for _, rank, _ in rows} and not any(row.trouble for row in table) and worlds == {None}:
            return None
        shown = Topology(judged.topology.nnodes, processes[0].started if processes else judged.topology.nproc)
        summary = _summary(shown, holders if of_ranks else {}, rows)
        return Counterexample(shown.nnodes, shown.nproc, table, summary) if summary else None

    def chosen(self, judged: Judgement | None, value: Value) -> Value:
        """What a value comes down to in the failure: the side of each choice that the first process takes."""
        if judged is None or judged.topology is None or judged.answers is None:
            return value
        try:
            processes = self.processes(judged.scenario, judged.topology, judged.answers)
            while processes and isinstance(value, Choice):
                known = processes[0].truth(value.condition)
                if known is None:
                    return value
                value = value.then if known else value.other
        except (Infeasible, Question):
            pass
        return value

    def _shown(self, process: Process, value: Value | None) -> int | None:
        try:
            found = UNKNOWN if value is None else process.evaluate(value)
        except Question:
            return None  # it did not matter for the verdict what somebody types here
        return found if is_int(found) else None


def _summary(
    topology: Topology, holders: dict[int, list[Process]], rows: list[tuple[Process, int | None, int | None]]
) -> str | None:
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
    missing = sorted(set(range(total)) - set(holders)) if holders else []
    return f"{topology}: nobody claims rank {', '.join(map(str, missing))}" if missing else None
