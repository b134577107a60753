"""What is wrong with a job, from what its processes say of themselves. Pure: all ranks get the one text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ddplint.runtime.launchers import environment, hydra, mvapich, openmpi, pmi, slurm, torchelastic
from ddplint.runtime.problem import ERROR, WARNING, Problem
from ddplint.runtime.rollcall import naming
from ddplint.runtime.rollcall.attendance import Attendance
from ddplint.runtime.rollcall.contradictions import CHECKS
from ddplint.runtime.rollcall.naming import grouped


@dataclass(frozen=True)
class Notes:
    """What happened at the door, beside the reports."""

    # Of those that are present: who closed the connection before there was a verdict.
    left: tuple[Attendance, ...] = ()
    # Processes with the key of another job: their address, and what they say of themselves.
    strangers: tuple[str, ...] = ()
    # How many connections rank 0 could hold at once, if that was too few.
    crowded: int | None = None


NOTHING = Notes()


def judge(present: Sequence[Attendance], notes: Notes = NOTHING, *, seconds: float) -> tuple[Problem, ...]:
    """All problems of a job out of which these processes came within so many seconds."""
    found = list(contradictions(present, notes))
    found += _missing(present, notes, seconds, any(problem.severity == ERROR for problem in found))
    found += _door(notes)
    return tuple(sorted(found, key=lambda problem: problem.severity != ERROR))


def contradictions(present: Sequence[Attendance], notes: Notes = NOTHING) -> Iterator[Problem]:
    """What is wrong already, whoever may still come."""
    ordered = sorted(present, key=lambda one: (one.rank, naming.label(one.host), one.pid))
    for check in CHECKS:
        yield from check(ordered)
    yield from _left(notes)


def whereabouts(present: Sequence[Attendance]) -> str:
    """Where nobody was heard of, as far as it is known: ``node2 and node3 (SLURM_STEP_NODELIST)``, or nothing."""
    return _silent_hosts(present) or _silent_nodes(present)


def _silent_hosts(present: Sequence[Attendance]) -> str:
    """The hosts of the launcher's list of which none was heard; nothing where the list has other names for them."""
    owner = next((one for one in sorted(present, key=lambda one: one.rank) if one.hosts), None)
    if owner is None:
        return ""
    expected: dict[str, str] = {}
    for host in owner.hosts:
        expected.setdefault(naming.label(host), host)
    heard = {naming.label(one.host) for one in present}
    silent = [host for label, host in expected.items() if label not in heard]
    if not silent or not heard <= expected.keys():
        return ""
    return naming.listed(silent) + (f" ({owner.hosts_source})" if owner.hosts_source else "")


def _silent_nodes(present: Sequence[Attendance]) -> str:
    """The numbers of the nodes of which nobody came, where all know theirs."""
    sizes = {one.nnodes for one in present}
    known = {one.node_rank for one in present if one.node_rank is not None}
    size = sizes.pop() if len(sizes) == 1 else None
    if size is None or any(one.node_rank is None for one in present):
        return ""
    silent = naming.gaps(known, size)
    one_node = len(silent) == 1 and silent[0][0] == silent[0][1]
    return f"{'node' if one_node else 'nodes'} {naming.spelt(silent)} of {size}" if silent else ""


def incomplete_hosts(present: Sequence[Attendance]) -> list[str]:
    """``2 of 4 from node1``: the hosts that were heard and of which not all processes came."""
    by_host = grouped(present, lambda one: one.host)
    found: list[str] = []
    for host, group in by_host.items():
        size = max((one.local_world_size or 0 for one in group), default=0)
        if len(group) < size:
            found.append(f"{len(group)} of {size} from {host}")
    return found


def _missing(present: Sequence[Attendance], notes: Notes, seconds: float, more: bool) -> Iterator[Problem]:
    if not present or len({one.world_size for one in present}) > 1:
        # Who is missing depends on which world size is right.
        return
    size = present[0].world_size
    spans = naming.gaps((one.rank for one in present), size)
    if not spans:
        return
    first = min(present, key=lambda one: one.rank)
    text = f"{naming.ranks(spans)} of {size} did not come within {naming.number(seconds)} s"
    silent_hosts, silent_nodes = _silent_hosts(present), _silent_nodes(present)
    partly = incomplete_hosts(present)
    if silent_hosts:
        text += f"; nothing was heard from {silent_hosts}"
    elif silent_nodes:
        text += f"; no process of {silent_nodes} came"
    if partly:
        text += f"; there came {naming.listed(partly, 4)}"
    text += f" ({len(present)} came: {naming.crowd(present)})"
    fix = _start_them(first.launcher)
    if more:
        fix = f"first the other error, of which this may be a part; then {fix}"
    elif first.master and len(naming.hosts(present)) == 1:
        fix += f"; they must reach {first.master} on {first.host}"
    yield Problem(ERROR, text, f"all {size} processes have to come before the process group can start", fix)


def _start_them(launcher: str) -> str:
    """Where to look for processes that did not come, in the words of their launcher."""
    if launcher == slurm.NAME:
        return "look at the output of the missing tasks (srun --label, --output=%t.out); --kill-on-bad-exit=1 ends all"
    if launcher == torchelastic.NAME:
        return "run torchrun on every node with the same --nnodes and endpoint; see its --log-dir for the missing ranks"
    if launcher in (openmpi.NAME, hydra.NAME, mvapich.NAME, pmi.NAME):
        option = "--tag-output" if launcher == openmpi.NAME else "-prepend-rank"
        return f"look at the output of the missing ranks (mpirun {option}), and at the hosts that mpirun was given"
    if launcher == environment.NAME:
        return "start one process for each rank, or look at its output if it was started: it ended before it came"
    return f"look at the output of the missing ranks, as {launcher} keeps it: they were not started, or ended early"


def _left(notes: Notes) -> Iterator[Problem]:
    if notes.left:
        gone = sorted(notes.left, key=lambda one: one.rank)
        names = naming.listed([naming.process(one) for one in gone])
        yield Problem(
            ERROR,
            f"{names} left while waiting",
            "every process waits until all have come",
            "look at the output of that process: it was ended, killed for its memory, or failed after it had come",
        )


def _door(notes: Notes) -> Iterator[Problem]:
    if notes.strangers:
        yield Problem(
            WARNING,
            f"a process with the key of another job came and was turned away: {naming.listed(notes.strangers)}",
            "one job has the port of its roll-call for itself",
            "if it is one of this job, it was started with other values; else give each job a MASTER_PORT of its own",
        )
    if notes.crowded is not None:
        yield Problem(
            WARNING,
            f"rank 0 could hold only {notes.crowded} connections at once, and turned some away",
            "rank 0 waits with one connection for each other rank",
            "raise the limit of open files on rank 0's host (ulimit -n)",
        )
