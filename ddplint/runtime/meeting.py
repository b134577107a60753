"""All processes of a job meet before torch is asked to join them: where that is, and what the roll-call finds.

After it, rank 0 still holds the socket that everybody has reached. It becomes that of torch's store, so nobody can take
the port in between.
"""

from __future__ import annotations

import os
import shlex
import socket
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from multiprocessing import parent_process
from pathlib import Path

from ddplint.runtime import addresses, exchange, machine
from ddplint.runtime.equipment import Equipment
from ddplint.runtime.job import job_of, key
from ddplint.runtime.job import port as port_of
from ddplint.runtime.launchers.launcher import Environ
from ddplint.runtime.ports import PortTaken, listen
from ddplint.runtime.problem import ERROR, Problem, StartError
from ddplint.runtime.rollcall import Attendance, AtTheDoor, Inside, Job, Verdict, answer, attend, knock, server
from ddplint.runtime.rollcall.client import Started, nobody
from ddplint.runtime.topology import Field, Topology, said
from ddplint.runtime.validation import is_loopback, problems

TIMEOUT = "DDPLINT_ROLLCALL_TIMEOUT"
SECONDS = 60.0
# Where torch itself looks for rank 0 if nobody says otherwise (torch 2.13, torch/distributed/run.py).
DEFAULT_PORT = 29500
# Where a port comes from that no launcher and no user has chosen.
AGREED = "from the job's id"
# How long a full roll-call waits for somebody who is too many. Where nothing names the job it is all that keeps two
# identical jobs from starting as one, if they come at the same time; who comes later ends what has started.
SETTLE, SETTLE_UNNAMED = 0.3, 0.6
# A process that comes as late as the roll-call allows takes so long to find the job that has started.
LATE = 5.0
# How long it waits for an answer there.
KNOCKING = 3.0
# How long rank 0 tries to get a port that is taken: an earlier job may be ending.
PATIENCE = 5.0
# How long it asks whoever has the port, before it tries again.
ASKING = 1.0
# An option with one of these in its name may well differ between the processes of one job.
_OWN = ("rank", "gpu", "device", "node", "host", "addr", "port", "url", "log", "out", "dir", "path", "data", "cache")

Say = Callable[[str], None]
Running = Callable[[str, int, Attendance], Problem | None]
Door = Callable[[str, int], int | None]


@dataclass(frozen=True)
class Meeting:
    """Where a process has met the others, and what came of it."""

    address: str
    port: int
    verdict: Verdict
    # Of rank 0: bound to the port and listening; whoever takes it owns it.
    listener: socket.socket | None = None
    # Of a job that nothing names: who comes late ends it.
    watch: AtTheDoor | Inside | None = None


@dataclass(frozen=True)
class Reported:
    """What a process says of itself besides its place."""

    equipment: Equipment = field(default_factory=Equipment)
    # The script and its arguments, as they were given.
    command: Sequence[str] = ()
    # Why it cannot start, whatever the others say.
    problems: tuple[Problem, ...] = ()


def seconds(environ: Environ) -> float:
    """How long the roll-call waits: `DDPLINT_ROLLCALL_TIMEOUT`, or 60.

    Raises:
        StartError: it is no positive number.
    """
    given = environ.get(TIMEOUT, "").strip()
    try:
        value = float(given) if given else SECONDS
    except ValueError:
        value = -1.0
    if not 0 < value < float("inf"):
        fix = f"unset {TIMEOUT}, or set it to a number of seconds such as 120"
        raise StartError([Problem(ERROR, f"{TIMEOUT}={given!r}", "the roll-call waits for a number of seconds", fix)])
    return value


def check_place(topology: Topology, environ: Environ) -> None:
    """Make sure that a process has a rank and a world size, without which it can tell nobody anything.

    Raises:
        StartError: it has not; says why.
    """
    if topology.rank.value is None or topology.world_size.value is None:
        raise StartError([one for one in problems(topology, environ) if one.severity == ERROR])


def located(topology: Topology, environ: Environ, limit: float) -> Topology:
    """The topology with an address and a port of rank 0.

    Where no variable says them, the process manager may know rank 0's host, and all processes can work out the same
    port from the name of their job.

    Raises:
        StartError: nobody knows where rank 0 is.
    """
    address, port = topology.master_addr, topology.master_port
    if address.value is None:
        source, found = _from_manager(topology, environ, limit)
        if found is None:
            errors = [one for one in problems(topology, environ) if one.severity == ERROR]
            raise StartError(errors or [_NO_ADDRESS])
        address = said(source, found)
    if port.value is None:
        port = agreed_port(topology, environ)
    return replace(topology, master_addr=address, master_port=port)


def agreed_port(topology: Topology, environ: Environ) -> Field[int]:
    """The port that all processes take where nobody has chosen one: from the name of their job, else torch's own."""
    agreed = port_of(job_of(topology, environ))
    return said("the default", DEFAULT_PORT) if agreed is None else said(AGREED, agreed)


_NO_ADDRESS = Problem(
    ERROR,
    "no master address: MASTER_ADDR is not set",
    "all processes must know one address of the host of rank 0",
    "set MASTER_ADDR to the host of rank 0, the same in every process; localhost if they are all on this one",
)


def _from_manager(topology: Topology, environ: Environ, limit: float) -> tuple[str, str | None]:
    found = exchange.master_through_hnp(environ)
    if found is not None:
        return "OMPI_MCA_orte_hnp_uri, where mpirun runs", found
    rank = topology.rank.value
    assert rank is not None
    return "rank 0, through PMI", exchange.master_through_pmi(rank, environ, addresses.own_address(), limit)


def meet(
    topology: Topology,
    environ: Environ,
    reported: Reported,
    limit: float,
    say: Say,
    running: Running = lambda address, port, own: None,
    door: Door | None = None,
) -> Meeting:
    """Call the roll of a job of several processes, over TCP, at the address and port that `located` has found.

    Args:
        limit: seconds after which this process stops waiting, give or take five.
        say: takes lines about what is being waited for.
        running: asked where nobody answers the roll: whether the job at this address has started already.
        door: the port at which a job without a name that has started at this address hears who comes late; None: this
            process does not start, so it neither disturbs such a job nor watches.

    Raises:
        StartError: somebody is missing, came twice, or cannot start; the text is the same in all processes.
    """
    address, port = topology.master_addr.value, topology.master_port.value
    assert address is not None
    assert port is not None
    own = attendance(topology, environ, reported)
    if topology.rank.value != 0:
        wrong = machine.unreachable_master(topology, environ)
        if wrong is not None and wrong.severity == ERROR and not isinstance(wrong, machine.Unresolved):
            # There is nobody at this address whom it could be told.
            refuse(Verdict((), (wrong,)), own)
    if not 0 < port < 1 << 16:
        refuse(Verdict((), tuple(own_problems(topology, environ, reported))), own)
    name = job_of(topology, environ)
    job = Job(key(name), name.label)
    listener = None
    watches: list[AtTheDoor | Inside] = []
    # A job with a name is told from others by that.
    started: Started = nobody
    stay = 0.0
    if door is not None and not name.name:
        started, stay = partial(_late, own, job, door), limit + LATE
    if topology.rank.value == 0:
        settle = SETTLE if name.name else SETTLE_UNNAMED
        verdict, listener = _host(
            own, job, port, limit, say, settle, stay, lambda kept: watches.append(AtTheDoor(kept)), started
        )
    else:
        verdict = attend(own, job, address, port, limit, say, lambda kept: watches.append(Inside(kept)), started)
    if not verdict.ok:
        if listener is not None:
            listener.close()
            if len(verdict.present) < 2:
                # It may be looking for the others in the wrong place, and they have started without it.
                verdict = started(address, port) or verdict
        late = None if verdict.present else running(address, port, own)
        own_ones = ([] if late is None else [late]) + _unheard(topology, environ, reported, verdict)
        refuse(Verdict(verdict.present, (*own_ones, *verdict.problems)), own)
    return Meeting(address, port, verdict, listener, watches[0] if watches else None)


def _late(own: Attendance, job: Job, door: Door, address: str, port: int) -> Verdict | None:
    """What the job says that has started here without this process; it ends then."""
    found = door(address, port)
    verdict = None if found is None else knock(own, job, address, found, KNOCKING)
    return verdict if verdict is not None and not verdict.ok else None


def _unheard(topology: Topology, environ: Environ, reported: Reported, verdict: Verdict) -> list[Problem]:
    """What this process alone knows: its own errors, if it told them to nobody, and that the others look elsewhere."""
    found = list(own_problems(topology, environ, reported))
    if topology.rank.value == 0 and topology.nnodes.value != 1 and len(verdict.present) < 2:
        # Nobody came here; there may be several hosts although nothing says so.
        astray = machine.unreachable_master(topology, environ, several=True)
        found += [astray] if astray is not None else []
    told = [problem.detected for problem in verdict.problems]
    return [one for one in dict.fromkeys(found) if not any(one.detected in text for text in told)]


def refuse(verdict: Verdict, own: Attendance) -> None:
    """Raise what a verdict says, if it is a refusal; its warnings may say why: somebody was turned away."""
    if not verdict.ok:
        raise StartError(verdict.problems, f"rank {own.rank} of {own.world_size} on {own.host}, process {own.pid}")


def _host(
    own: Attendance,
    job: Job,
    port: int,
    limit: float,
    say: Say,
    settle: float,
    stay: float,
    kept: Callable[[server.Kept], None],
    started: Started,
) -> tuple[Verdict, socket.socket | None]:
    """Answer the roll-call; where the port is taken, ask whoever has it."""
    end = time.monotonic() + min(limit, PATIENCE)
    answers: list[Problem] = []
    while True:
        try:
            listener = listen(port)
        except PortTaken as taken:
            # Another process that takes itself for rank 0 of this job tells both.
            verdict = attend(own, job, "localhost", port, min(limit, ASKING), say, started=started)
            if verdict.present:
                return verdict, None
            answers += verdict.problems
            if time.monotonic() > end:
                return Verdict(problems=(_taken(taken), *dict.fromkeys(answers))), None
            time.sleep(0.1)
        else:
            return answer(own, job, listener, limit, say, settle, stay, kept if stay else None), listener


def _taken(taken: PortTaken) -> Problem:
    return Problem(
        ERROR,
        taken.strerror or str(taken),
        "rank 0 listens on the master port, which nobody else may have",
        "end the other program, or set MASTER_PORT to a free port, the same in every process; two jobs on one node "
        "need two ports",
    )


def attendance(topology: Topology, environ: Environ, reported: Reported) -> Attendance:
    """What this process tells the others."""
    rank, world_size, address = topology.rank.value, topology.world_size.value, topology.master_addr.value or ""
    assert rank is not None
    assert world_size is not None
    equipment = reported.equipment
    # Two commands, or two parents on one host, are two jobs only where no launcher gives the job a name.
    named = bool(job_of(topology, environ).name)
    parent = parent_process()
    return Attendance(
        rank=rank,
        world_size=world_size,
        host=socket.gethostname(),
        pid=os.getpid(),
        launcher=topology.launcher,
        local_rank=topology.local_rank.value,
        node_rank=topology.node_rank.value,
        local_world_size=topology.local_world_size.value,
        nnodes=topology.nnodes.value,
        sources={name: found.source for name, found in topology.fields() if found.source is not None},
        hosts=topology.hosts.value or (),
        hosts_source=topology.hosts.source,
        devices=equipment.ids,
        device=equipment.id,
        versions=equipment.versions,
        master=address,
        resolved=_resolved(address),
        command="" if named else common(reported.command),
        spawner=None if named or parent is None else parent.pid,
        problems=tuple(str(problem) for problem in own_problems(topology, environ, reported)),
    )


def own_warnings(topology: Topology, environ: Environ) -> list[Problem]:
    """What a job may go on with, and its user may not want; rank 0 says it for all."""
    if topology.rank.value not in (0, None):
        return []
    found = (*problems(topology, environ), *machine.problems(topology, environ, None))
    return [problem for problem in dict.fromkeys(found) if problem.severity != ERROR]


def own_problems(topology: Topology, environ: Environ, reported: Reported) -> Iterable[Problem]:
    """The errors that this process knows of without the others."""
    if reported.equipment.count is not None and reported.equipment.id is None:
        # No device is used, whatever the shell says of them.
        environ = {name: value for name, value in environ.items() if name != "CUDA_VISIBLE_DEVICES"}
    found = [*reported.problems, *problems(topology, environ)]
    found += machine.problems(topology, environ, reported.equipment.count)
    wrong = machine.unreachable_master(topology, environ)
    # A name that does not resolve may do so a moment later; whoever connects tries again.
    found += [] if wrong is None or isinstance(wrong, machine.Unresolved) else [wrong]
    return [problem for problem in dict.fromkeys(found) if problem.severity == ERROR]


def _resolved(address: str) -> tuple[str, ...]:
    try:
        return addresses.resolve(address) if address else ()
    except OSError:
        return ()


def common(command: Sequence[str]) -> str:
    """The script's name and those of its arguments that all processes of a job have in common."""
    if not command:
        return ""
    words = [Path(command[0]).name]
    skipping = False
    for word in command[1:]:
        option = word.startswith("-")
        if not option and "=" in word and any(part in word.partition("=")[0].lower() for part in _OWN):
            # Hydra's trainer.node_rank=0.
            continue
        if option:
            skipping = any(part in word.partition("=")[0].lower() for part in _OWN)
        if not skipping:
            words.append(word)
        skipping = skipping and option and "=" not in word
    return shlex.join(words)[:1000]


# The names of torch, and the fields of a topology that they stand for.
TORCH_NAMES = {
    "RANK": "rank",
    "WORLD_SIZE": "world_size",
    "LOCAL_RANK": "local_rank",
    "LOCAL_WORLD_SIZE": "local_world_size",
    "MASTER_ADDR": "master_addr",
    "MASTER_PORT": "master_port",
}


def exported(topology: Topology) -> Mapping[str, str]:
    """The names of torch with what is known, for scripts and libraries that read them."""
    fields = dict(topology.fields())
    return {name: str(value) for name, of in TORCH_NAMES.items() if (value := fields[of].value) is not None}


def same_host(one: str, other: str) -> bool:
    """Whether two names or addresses lead to the same host, seen from here."""
    return (
        one.lower() == other.lower()
        or bool(set(_resolved(one)) & set(_resolved(other)))
        or (loopback(one) and loopback(other))
    )


def loopback(address: str) -> bool:
    """Whether an address, resolved here, leads back to this host only."""
    found = _resolved(address)
    return is_loopback(address) or (bool(found) and all(map(is_loopback, found)))
