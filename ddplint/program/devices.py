"""GPU indices: which of them count over all nodes, although every node numbers its GPUs from 0."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ddplint.findings import Counterexample
from ddplint.findings import Process as ProcessRow
from ddplint.program import launchers
from ddplint.program.events import Event
from ddplint.program.judge import Check, Judge, Judgement, Verdict
from ddplint.program.launchers import Role
from ddplint.program.program import Program
from ddplint.program.topology import Infeasible, Process, Question, Scenario, Topology
from ddplint.program.values import EnvVar, Index, Input, Op, Symbol, Value, walk


@dataclass(frozen=True, slots=True)
class Use:
    """A device index that is right on one node and out of range on another."""

    event: Event
    counterexample: Counterexample | None
    local_rank: str  # how the launcher that the script is written for tells the local rank


def out_of_range(program: Program) -> Iterator[Use]:
    """Device uses whose index is fine on one node of any size, and too large on several."""
    if program.evidence.test or program.evidence.managed:
        return
    local_ranks = {group.rank.id for group in program.groups if group.rank is not None and group.rank_failure}
    harmless: set[object] = set()
    told: set[tuple[int, str]] = set()
    for event in program.events("device"):
        index = event.arguments["index"].value
        if index.id in local_ranks or not _may_count_all(index):
            continue
        judge = Judge(event, program.launch_passes_local_rank)
        key = (index.id, tuple((condition.id, truth) for condition, truth in judge.path), event.context)
        if key in harmless:
            continue
        check = _in_range(index)
        # started alone it is rank 0, whose GPU is always there: that says nothing about a launcher's processes
        failure = judge.failure(check, scenarios=tuple(one for one in judge.scenarios if not one.alone))
        if failure is None:
            harmless.add(key)
            continue
        if (index.id, event.module.path) in told:
            continue  # one index, used again and again
        alone = judge.judge(failure.scenario, Topology(1, 4), check)
        if alone.verdict is Verdict.RIGHT:
            told.add((index.id, event.module.path))
            yield Use(event, _shown(judge, failure, index), _local_rank(failure.scenario))


def _local_rank(scenario: Scenario) -> str:
    if scenario.spawns:
        return "the index that the worker is started with"
    launcher = scenario.launcher or launchers.TORCHRUN
    return f"int(os.environ['{launchers.name_of(launcher, Role.LOCAL_RANK)}'])"


def _may_count_all(index: Value) -> bool:
    """Whether a global rank can be in an index at all: a bare counter of spawned children or LOCAL_RANK is none."""
    if isinstance(index, Index) or (isinstance(index, Op) and index.name == "mod"):
        return False  # a remainder by a typed number of GPUs is DDP105's
    if not any(isinstance(part, (EnvVar, Input)) or _is_rank(part) for part in walk(index)):
        return False  # computed from a counter of children alone: local, whatever it is multiplied by
    return any(
        isinstance(part, Index)
        or (isinstance(part, EnvVar) and launchers.meaning(part.name) is not Role.LOCAL_RANK)
        or _is_rank(part)
        for part in walk(index)
    )


def _is_rank(value: Value) -> bool:
    return isinstance(value, Symbol) and value.name == "group_rank"


def _in_range(index: Value) -> Check:
    """Whether every process gets a GPU that its node has."""

    def check(processes: list[Process]) -> Verdict:
        found = [process.evaluate(index) for process in processes]
        if any(not isinstance(value, int) for value in found):
            return Verdict.UNKNOWN
        return Verdict.RIGHT if all(0 <= value < processes[0].topology.nproc for value in found) else Verdict.WRONG

    return check


def _shown(judge: Judge, failure: Judgement, index: Value) -> Counterexample | None:
    topology = failure.topology
    if topology is None or failure.answers is None:
        return None
    try:
        processes = judge.processes(failure.scenario, topology, failure.answers) or []
        rows = [(process, process.evaluate(index)) for process in processes]
    except (Infeasible, Question):
        return None
    table = tuple(
        ProcessRow(
            process.node,
            process.local,
            rank=process.rank,
            device=device,
            trouble=None if 0 <= device < topology.nproc else "no such GPU",
        )
        for process, device in rows
    )
    bad = next((row for row in table if row.trouble), None)
    if bad is None:
        return None
    return Counterexample(
        topology.nnodes,
        topology.nproc,
        table,
        f"{topology}: node {bad.node} local rank {bad.local_rank} asks for cuda:{bad.device}, "
        f"and its node has cuda:0 to cuda:{topology.nproc - 1}",
    )
