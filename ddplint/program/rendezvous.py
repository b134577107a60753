"""What ``env://`` finds: which of the four variables are there when a process group starts."""

from __future__ import annotations

from dataclasses import dataclass

import libcst as cst

from ddplint.program.group import Group
from ddplint.program.judge import Verdict, possible, sources
from ddplint.program.launchers import RENDEZVOUS, SRUN, TORCHRUN, Role
from ddplint.program.program import Program
from ddplint.program.run import presence
from ddplint.program.topology import ABSENT, Process, Scenario, Topology
from ddplint.program.values import Choice, Const, EnvHas, EnvVar, Value


@dataclass(frozen=True, slots=True)
class Gap:
    """Variables that nobody sets: ``who`` gets there without them; ``late`` is a line that sets one too late."""

    missing: tuple[str, ...]
    who: str
    late: int | None


def gap(program: Program, group: Group) -> Gap | None:
    """What is missing for a group that reads its rendezvous from the environment; None if all may be there."""
    event = group.event
    if event.kind != "init" or "store" in event.arguments or "open" in event.arguments or _uses_mpi(group):
        return None
    if "submitit" in program.module.words:
        return None  # its JobEnvironment exports the four variables
    if event.context:
        return _spawned_gap(program, group) if _by_default_from_environment(group, None) else None
    return _slurm_gap(program, group)


def _by_default_from_environment(group: Group, process: Process | None) -> bool:
    """Whether the rendezvous is ``env://``, in this process if one is given.

    An option counts as its default, which is what runs if nobody types it.
    """
    if group.init_method is None:
        return True
    value = group.init_method.value
    while process is not None and isinstance(value, Choice):
        known = process.truth(value.condition)
        if known is None:
            break
        value = value.then if known else value.other
    return all(isinstance(one, Const) and str(one.value).startswith("env:") for one in possible(value))


def _uses_mpi(group: Group) -> bool:
    backend = group.event.arguments.get("backend")
    return backend is not None and any(
        isinstance(value, Const) and value.value == "mpi" for value in possible(backend.value)
    )


def _given(group: Group, name: str) -> bool:
    argument = {"RANK": "rank", "WORLD_SIZE": "world_size"}.get(name)
    return argument is not None and argument in group.event.arguments


def _expected(program: Program, name: str) -> bool:
    """Whether somebody outside is meant to set a variable: the script reads it, or one that comes with it."""
    together = RENDEZVOUS if name.startswith("MASTER_") else (name,)
    reads = [run.reads[other] for run in program.runs for other in together if other in run.reads]
    return any(not _is_default(read.node) for read in reads)


def _is_default(node: cst.CSTNode) -> bool:
    """``os.environ.setdefault(...)``: the script provides what it asks for, and expects nobody else to."""
    return isinstance(node, cst.Call) and isinstance(node.func, cst.Attribute) and node.func.attr.value == "setdefault"


def _spawned_gap(program: Program, group: Group) -> Gap | None:
    missing = [
        name
        for name in RENDEZVOUS
        if not _given(group, name) and name not in group.event.environ and not _expected(program, name)
    ]
    if not missing:
        return None
    child = group.event.context[-1]
    who = "a process that mp.spawn started" if child.kind == "spawn" else "a process that the script started"
    return Gap(tuple(missing), who, _late(program, group, missing))


def _late(program: Program, group: Group, missing: list[str]) -> int | None:
    for run in program.runs:
        for event in run.events:
            if event.kind != "store" or event.name not in missing or event.order < group.event.order:
                continue
            if event.context == group.event.context and event.module is group.event.module:
                return event.module.positions.line(event.node)
    return None


def _slurm_gap(program: Program, group: Group) -> Gap | None:
    """The Slurm branch of a launcher chain: srun sets neither address nor port."""
    if SRUN not in group.mentioned or group.rank is None:
        return None
    if not any(_is_slurm_rank(name) for name in sources(group.rank)) or not _also_for_torchrun(group):
        return None  # a script for srun alone: its batch script is there to export the address
    if any("MASTER_ADDR" in text for text in program.launch_files()):
        return None
    scenario = Scenario(SRUN)
    missing: set[str] = set()

    def without_exports(processes: list[Process]) -> Verdict:
        first = processes[0]
        if not _by_default_from_environment(group, first):
            return Verdict.WRONG
        first.evaluate(group.rank)  # type: ignore[arg-type]  # a required variable that is absent ends this attempt
        if group.world_size is not None and "world_size" in group.event.arguments:
            first.evaluate(group.world_size)
        if any(key[0] == "variable" and answer is not ABSENT for key, answer in first.answers.items()):  # type: ignore[index]
            return Verdict.WRONG  # something was exported by hand: then the address may be, too
        absent = [name for name in RENDEZVOUS if not _given(group, name) and not _is_set(first, group, name)]
        missing.update(absent)
        return Verdict.RIGHT if absent else Verdict.WRONG

    judged = group.judge(scenario, Topology(2, 2), without_exports)
    if judged.verdict is not Verdict.RIGHT:
        return None
    return Gap(tuple(name for name in RENDEZVOUS if name in missing), "a process that srun started", None)


def _also_for_torchrun(group: Group) -> bool:
    """Whether a script tells torchrun and Slurm apart itself: then srun alone must be enough to start it."""
    conditions = [condition for condition, _ in group.event.path.items()] if group.event.path else []
    names = {name for value in (group.rank, *conditions) if value is not None for name in sources(value)}
    return any(name in TORCHRUN.variables and name not in RENDEZVOUS[2:] for name in names)


def _is_set(process: Process, group: Group, name: str) -> bool:
    value: Value = group.event.environ.get(name) or EnvVar(name)
    has = presence(value)
    if isinstance(has, EnvHas) and has.name == name:
        return False  # nobody exports anything in this attempt, and srun does not set it
    known = process.truth(has)
    return known is not False


def _is_slurm_rank(name: str) -> bool:
    return SRUN.variables.get(name) in (Role.RANK, Role.LOCAL_RANK, Role.NODE_RANK)
