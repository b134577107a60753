"""What the processes of a job contradict each other in, or know of themselves. Pure, as all of the judgement."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence

from ddplint.runtime.problem import ERROR, WARNING, Problem
from ddplint.runtime.rollcall import naming
from ddplint.runtime.rollcall.attendance import Attendance
from ddplint.runtime.rollcall.naming import grouped
from ddplint.runtime.validation import is_loopback

# Of the commands that are compared, the part that a line of a terminal can hold.
SHOWN_COMMAND = 80
_THREE_LINES = re.compile(r"Detected: (.*)\nRequirement: (.*)\nFix: (.*)", re.DOTALL)


def _own_problems(present: Sequence[Attendance]) -> Iterator[Problem]:
    texts: dict[str, list[Attendance]] = defaultdict(list)
    for one in present:
        for text in one.problems:
            texts[text].append(one)
    for text, group in list(texts.items())[: naming.MOST_NAMED]:
        lines = _THREE_LINES.fullmatch(text.strip())
        found, requirement, fix = lines.groups() if lines else (text, "", "")
        yield Problem(
            ERROR,
            f"{naming.crowd(group)} cannot start: {found}",
            requirement or "every process has to be able to start before any does",
            fix or "correct it there, and start the job again",
        )
    rest = [one for group in list(texts.values())[naming.MOST_NAMED :] for one in group]
    if rest:
        yield Problem(
            ERROR,
            f"{naming.crowd(rest)} cannot start for {len(texts) - naming.MOST_NAMED} reasons more",
            "every process has to be able to start before any does",
            "look at the output of these processes",
        )


def _sizes(present: Sequence[Attendance]) -> Iterator[Problem]:
    groups: dict[int, list[Attendance]] = defaultdict(list)
    for one in present:
        groups[one.world_size].append(one)
    if len(groups) < 2:
        return
    says = []
    for size, group in sorted(groups.items(), key=lambda item: (-len(item[1]), item[0])):
        sources = sorted({one.sources["world_size"] for one in group if "world_size" in one.sources})
        source = f" ({naming.listed(sources)})" if sources else ""
        says.append(f"{size}{source} {'says' if len(group) == 1 else 'say'} {naming.crowd(group)}")
    yield Problem(
        ERROR,
        f"the processes disagree about the world size: {_some(says)}",
        "the world size is the number of all processes of the job, the same in each",
        "start all with one launcher, or correct the variable where it differs; else two jobs use one port",
    )


def _out_of_range(present: Sequence[Attendance]) -> Iterator[Problem]:
    beyond = [one for one in present if one.rank >= one.world_size]
    if beyond:
        names = [
            f"{naming.process(one)}{_source(one, 'rank')} with a world size of {one.world_size}"
            f"{_source(one, 'world_size')}"
            for one in beyond
        ]
        yield Problem(
            ERROR,
            naming.listed(names),
            "ranks run from 0 to the world size less one",
            "correct the rank or the world size there; if you did not set them, they are left over from elsewhere",
        )


def _duplicates(present: Sequence[Attendance]) -> Iterator[Problem]:
    claims: dict[int, list[Attendance]] = defaultdict(list)
    for one in present:
        claims[one.rank].append(one)
    twice = {rank: claimants for rank, claimants in claims.items() if len(claimants) > 1}
    if not twice:
        return
    requirement = "each process has a rank of its own, from 0 to the world size less one"
    everyone = [one for claimants in twice.values() for one in claimants]
    if _local_as_global(twice):
        yield Problem(
            ERROR,
            f"the same {_ranks(everyone)} on several hosts: {_claims(twice)}; a local rank was taken for the rank",
            requirement,
            "rank = node_rank * local_world_size + local_rank; ddplint rule DDP101 finds the place",
        )
        return
    sources = sorted({one.sources["rank"] for one in everyone if "rank" in one.sources})
    yield Problem(
        ERROR,
        _claims(twice),
        requirement,
        f"look at who sets {naming.listed(sources) if sources else 'the rank'} there: a second launch on the same "
        "port, or a rank that is not the global one (ddplint rule DDP101)",
    )


def _local_as_global(twice: dict[int, list[Attendance]]) -> bool:
    """Whether each of these ranks came once a host, as local ranks do."""
    everyone = [one for claimants in twice.values() for one in claimants]
    apart = all(len({naming.label(one.host) for one in claimants}) == len(claimants) for claimants in twice.values())
    if not apart:
        return False
    if all(one.local_rank is not None for one in everyone):
        return all(one.local_rank == one.rank for one in everyone)
    return len(twice) > 1


def _claims(twice: dict[int, list[Attendance]]) -> str:
    parts = []
    for rank, claimants in twice.items():
        times = "twice" if len(claimants) == 2 else f"{len(claimants)} times"
        parts.append(f"rank {rank} is claimed {times}: by {naming.listed([_claimant(one) for one in claimants], 4)}")
    if len(parts) > 4:
        parts[4:] = [f"and so {len(parts) - 4} ranks more"]
    return "; ".join(parts)


def _claimant(one: Attendance) -> str:
    return f"{naming.place(one)}{_source(one, 'rank')}"


def _source(one: Attendance, name: str) -> str:
    source = one.sources.get(name)
    return f" ({source})" if source else ""


def _extra(present: Sequence[Attendance]) -> Iterator[Problem]:
    sizes = {one.world_size for one in present}
    if len(sizes) == 1 and len(present) > min(sizes):
        yield Problem(
            ERROR,
            f"{len(present)} processes came, and the world size is {min(sizes)}",
            "the world size is the number of all processes of the job",
            "start as many processes as the world size says, and look for another launch on the same port",
        )


def _two_jobs(present: Sequence[Attendance]) -> Iterator[Problem]:
    commands: list[str] = []
    spawners: list[str] = []
    runs = grouped([one for one in present if one.command], lambda one: one.command)
    if len(runs) > 1:
        first, *others = sorted(runs.values(), key=len, reverse=True)
        # Rank 0 gives the verdict, so it is the others that are elsewhere.
        if any(one.rank == 0 for other in others for one in other):
            first, others = next(o for o in others if any(one.rank == 0 for one in o)), [first]
        for other in others:
            theirs, ours = _different(other[0].command, first[0].command)
            commands.append(f"{naming.crowd(other)} {_run(other)} `{theirs}`, {_ranks(first)} {_run(first)} `{ours}`")
    for group in grouped(present, lambda one: naming.label(one.host)).values():
        parents = grouped([one for one in group if one.spawner is not None], lambda one: str(one.spawner))
        if len(parents) > 1:
            said = [f"{_ranks(children)} by pid {parent}" for parent, children in parents.items()]
            spawners.append(f"on {group[0].host} {naming.listed(said)}")
    requirement = "one job has the port of its roll-call for itself"
    fix = "end the other job, or give each job a MASTER_PORT of its own"
    if commands:
        yield Problem(ERROR, f"{_some(commands)}: two jobs on one port", requirement, fix)
    if spawners:
        yield Problem(
            ERROR, f"two programs spawned processes, {_some(spawners)}: two jobs on one port", requirement, fix
        )


def _run(group: Sequence[Attendance]) -> str:
    return "runs" if len(group) == 1 else "run"


def _ranks(group: Sequence[Attendance]) -> str:
    numbers = {one.rank for one in group}
    return f"{'rank' if len(numbers) == 1 else 'ranks'} {naming.ranges(numbers)}"


def _different(theirs: str, ours: str) -> tuple[str, str]:
    """Two commands, cut so that what differs can be seen."""
    start = 0
    if max(len(theirs), len(ours)) > SHOWN_COMMAND:
        while theirs[start : start + 1] == ours[start : start + 1]:
            start += 1
        start = max(0, start - 20)
    before = "..." if start else ""
    cut = [before + text[start : start + SHOWN_COMMAND] for text in (theirs, ours)]
    return cut[0], cut[1]


def _devices(present: Sequence[Attendance]) -> Iterator[Problem]:
    users: dict[tuple[str, str], list[Attendance]] = defaultdict(list)
    for one in present:
        if one.device:
            users[naming.label(one.host), one.device].append(one)
    shared = {device: group for (_, device), group in users.items() if len(group) > 1}
    if not shared:
        return
    names = [
        f"GPU {device} of {group[0].host} is used by "
        + naming.listed([f"rank {one.rank} pid {one.pid}" for one in group], 4)
        for device, group in shared.items()
    ]
    everyone = [one for group in shared.values() for one in group]
    if all(len(one.devices) == 1 for one in everyone):
        fix = "each process sees only this one: set CUDA_VISIBLE_DEVICES for each to another GPU, or leave it unset"
    else:
        fix = "torch.cuda.set_device(local_rank) in each process, before anything else uses the GPU"
    fix += "; with CUDA_VISIBLE_DEVICES the local rank counts in its list"
    yield Problem(ERROR, _some(names), "each process of a host uses a GPU of its own", fix)


def _versions(present: Sequence[Attendance]) -> Iterator[Problem]:
    for name in ("torch", "nccl", "cuda"):
        has: dict[str, list[Attendance]] = defaultdict(list)
        for one in present:
            if one.versions.get(name):
                has[one.versions[name]].append(one)
        if len(has) < 2:
            continue
        says = [f"{version} on {naming.crowd(group)}" for version, group in sorted(has.items())]
        releases = {".".join(version.split("+")[0].split(".")[:2]) for version in has}
        yield Problem(
            ERROR if name == "torch" and len(releases) > 1 else WARNING,
            f"different versions of {name}: {_some(says)}",
            f"all processes of a job use one version of {name}",
            "use the same environment or container image on every node",
        )


def _master(present: Sequence[Attendance]) -> Iterator[Problem]:
    if len({naming.label(one.host) for one in present}) < 2:
        return
    first = present[0]
    home = naming.label(first.host) if first.rank == 0 else None
    loops = [one for one in present if one.resolved and all(is_loopback(address) for address in one.resolved)]
    astray = [one for one in loops if naming.label(one.host) != home]
    if astray:
        yield Problem(
            ERROR,
            f"{astray[0].master or 'the master address'} leads to {astray[0].resolved[0]}, to the host itself, for "
            f"{naming.crowd(astray)}",
            "the master address must lead from every host to the host of rank 0",
            "correct /etc/hosts there, or set MASTER_ADDR to an address of rank 0's host that all can reach",
        )
    # Distributions write 127.0.1.1 beside a host's own name, and some operators say localhost to rank 0: it works
    # for the store, which rank 0 serves on all its addresses.
    elif loops and len(loops) < len(present):
        yield Problem(
            WARNING,
            f"{loops[0].master or 'the master address'} leads to {loops[0].resolved[0]} on {loops[0].host}, the host "
            "of rank 0, and elsewhere from the other hosts",
            "an address means the same for all hosts; gloo tells the others where it listens",
            "correct /etc/hosts on that host, or set GLOO_SOCKET_IFNAME and NCCL_SOCKET_IFNAME",
        )
    yield from _apart([one for one in present if one.resolved and one not in loops])


def _apart(present: Sequence[Attendance]) -> Iterator[Problem]:
    """Addresses of rank 0 that have nothing in common with those that others found."""
    if not present:
        return
    groups = grouped(present, lambda one: " ".join(sorted(one.resolved)))
    first = set(present[0].resolved)
    others = [group for group in groups.values() if first.isdisjoint(group[0].resolved)]
    if others:
        mine = groups[" ".join(sorted(present[0].resolved))]
        says = [
            f"{group[0].master or 'the master address'} is {naming.listed(group[0].resolved, 3)} for "
            f"{naming.crowd(group)}"
            for group in [mine, *others]
        ]
        yield Problem(
            WARNING,
            _some(says),
            "the master address leads every process to the same place",
            "set MASTER_ADDR to one address of rank 0's host, or correct the name service where it differs",
        )


def _some(parts: Sequence[str]) -> str:
    shown = list(parts[: naming.MOST_NAMED])
    if len(parts) > len(shown):
        shown.append(f"and {len(parts) - len(shown)} more")
    return "; ".join(shown)


Check = Callable[[Sequence[Attendance]], Iterator[Problem]]
CHECKS: tuple[Check, ...] = (
    _own_problems,
    _sizes,
    _out_of_range,
    _duplicates,
    _extra,
    _two_jobs,
    _devices,
    _versions,
    _master,
)
