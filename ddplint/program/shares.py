"""Which share of the data a DistributedSampler gives to each process: its rank and its number of replicas."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ddplint.findings import Counterexample
from ddplint.findings import Process as ProcessRow
from ddplint.program.events import Argument, Event
from ddplint.program.judge import Check, Judge, Judgement, Verdict, is_int
from ddplint.program.library import feeds
from ddplint.program.program import Program
from ddplint.program.state import steps
from ddplint.program.topology import Infeasible, Process, Question, Topology
from ddplint.program.values import Value


@dataclass(frozen=True, slots=True)
class Shared:
    """A sampler that gives every process a share of its own on one node, and not on several.

    ``faults`` are the arguments at fault, ``rank`` before ``num_replicas``; the counterexample is that of the first.
    ``after_start``: a process group has surely been started before, which knows both.
    """

    event: Event
    faults: Mapping[str, Argument]
    counterexample: Counterexample | None
    after_start: bool


def overlapping(program: Program) -> Iterator[Shared]:
    """Samplers whose shares are right on one node of any size, and overlap or leave data out on several."""
    if program.exempt:
        return
    judged: set[int] = set()
    wrong_elsewhere = _found_elsewhere(program)
    for event in program.events("call"):
        if event.name != feeds.SAMPLER or id(event.node) in judged or "open" in event.arguments:
            continue
        faults: dict[str, Argument] = {}
        shown: list[Counterexample | None] = []
        for name in ("rank", "num_replicas"):
            argument = event.arguments.get(name)
            if argument is None or argument.value.id in wrong_elsewhere:
                continue
            judge, failure = _judged(program, event, name, argument)
            if failure is not None:
                faults[name] = argument
                shown.append(_shown(judge, failure, name, argument.value))
        if faults:
            judged.add(id(event.node))
            yield Shared(event, faults, shown[0], _after_start(program, event))


def _found_elsewhere(program: Program) -> set[int]:
    """Ranks and world sizes that are wrong for the process group already: what is said there is said once."""
    found: set[int] = set()
    for group in program.groups:
        rank_fails = group.rank_failure is not None or group.joint_failure is not None
        if group.rank is not None and rank_fails:
            found.add(group.rank.id)
        if group.world_size is not None and (group.world_failure is not None or rank_fails):
            found.add(group.world_size.id)
    return found


def _judged(program: Program, event: Event, name: str, argument: Argument) -> tuple[Judge, Judgement | None]:
    alone = Event(event.kind, event.module, event.node, event.path, event.context, {name: argument})
    judge = Judge(alone, program.launch_passes_local_rank)
    check = _right(name, argument.value)
    # started by itself it is one process, whose share is all there is: that says nothing about a launcher's processes
    failure = judge.failure(check, scenarios=tuple(one for one in judge.scenarios if not one.alone))
    if failure is None or judge.judge(failure.scenario, Topology(1, 4), check).verdict is not Verdict.RIGHT:
        return judge, None
    return judge, failure


def _right(name: str, value: Value) -> Check:
    """Whether the ranks are all different and as many as there are processes, or the number of replicas is theirs."""

    def check(processes: list[Process]) -> Verdict:
        found = [process.evaluate(value) for process in processes]
        if any(not is_int(one) for one in found):
            return Verdict.UNKNOWN
        count = len(processes)
        right = sorted(found) == list(range(count)) if name == "rank" else set(found) == {count}
        return Verdict.RIGHT if right else Verdict.WRONG

    return check


def _after_start(program: Program, event: Event) -> bool:
    """Whether a process group is started before on every way here."""
    here = {(condition.id, truth) for condition, truth in steps(event.path)}
    return any(
        start.kind == "init"
        and start.order < event.order
        and start.entry == event.entry
        and start.context == event.context
        and all((condition.id, truth) in here for condition, truth in steps(start.path))
        for run in program.runs
        if any(one is event for one in run.events)
        for start in run.events
    )


def _shown(judge: Judge, failure: Judgement, name: str, value: Value) -> Counterexample | None:
    topology = failure.topology
    if topology is None or failure.answers is None:
        return None
    try:
        processes = judge.processes(failure.scenario, topology, failure.answers) or []
        found = [(process, process.evaluate(value)) for process in processes]
    except (Infeasible, Question):
        return None
    if name == "num_replicas":
        rows = tuple(ProcessRow(process.node, process.local, rank=process.rank) for process, _ in found)
        text = f"{topology}: the data are cut into {found[0][1]} shares, and there are {len(found)} processes"
        return Counterexample(topology.nnodes, topology.nproc, rows, text)
    first: dict[int, Process] = {}
    rows = tuple(
        ProcessRow(
            process.node,
            process.local,
            rank=process.rank,
            trouble=f"reads share {share} too" if first.setdefault(share, process) is not process else None,
        )
        for process, share in found
    )
    twin = next(((process, share) for process, share in found if first[share] is not process), None)
    if twin is None:
        return None
    one, two, share = first[twin[1]], twin[0], twin[1]
    text = (
        f"{topology}: node {one.node} local rank {one.local} and node {two.node} local rank {two.local} "
        f"both read share {share}"
    )
    return Counterexample(topology.nnodes, topology.nproc, rows, text)
