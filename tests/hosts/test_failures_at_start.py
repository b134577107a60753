"""The roll-call in the ten cases in which torch fails at the start, hangs, or trains two jobs as one.

The processes are started by hand, each with torch's variables in its environment. What ought to fail ends by itself
and in time, and in every process's own output stands who or what is to blame. What torch itself does in these cases is
minutes of waiting, and in none of them it names the culprit (torch 2.13).
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from launch import Command, launch, started, text
from launchers import PORTS
from network import SCRIPTS, Machine, Network

pytestmark = [pytest.mark.torch, pytest.mark.hosts]

SECONDS = 3
# After that a process is late.
LATER = 5
# Longer than a process that comes a second late waits for a port.
LONG = 4.5
TWO_NODES = {"NNODES": "2"}
# Launches at once; each has a handful of processes.
AT_ONCE = 6


@dataclass(frozen=True)
class Member:
    """A process to be started, and when. The job is what it belongs to in truth."""

    rank: int
    world_size: int = 2
    node: int = 0
    environment: dict[str, str] = field(default_factory=dict)
    arguments: tuple[str, ...] = ()
    job: int = 0
    delay: float = 0.0
    trains: float = 0.0

    def command(self, hosts: Network, number: int, port: int) -> Command:
        own = {
            "RANK": self.rank,
            "WORLD_SIZE": self.world_size,
            "LOCAL_RANK": 0,
            "MASTER_ADDR": "node0",
            "MASTER_PORT": port,
            "DDPLINT_ROLLCALL_TIMEOUT": SECONDS,
            "MEMBER_NUMBER": number,
            "MEMBER_JOB": self.job,
            "MEMBER_DELAY": self.delay,
            "MEMBER_TRAINS": self.trains,
        }
        environment = {name: str(value) for name, value in own.items()} | self.environment
        return Command(hosts.nodes[self.node], (str(SCRIPTS / "member.py"), *self.arguments), environment)


@dataclass(frozen=True)
class Process:
    """What became of one."""

    member: Member
    port: int
    host: str
    pid: int
    began: float
    status: int | None
    output: str
    # How many processes of each job it has trained with, if only for a moment.
    trained_with: list[int] | None

    @property
    def place(self) -> str:
        return f"{self.host} pid {self.pid}"

    @property
    def name(self) -> str:
        return f"rank {self.member.rank} on {self.place}"


Trial = Sequence[Member]


def start(hosts: Network, folder: Path, *trials: Trial) -> list[list[Process]]:
    """Run some launches side by side, each on a port of its own; all end in time."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(lambda number: run(hosts, folder / str(number), trials[number]), range(len(trials))))


def run(hosts: Network, folder: Path, members: Trial) -> list[Process]:
    port = next(PORTS)
    commands = [member.command(hosts, number, port) for number, member in enumerate(members)]
    begin = time.monotonic()
    outcome = launch(commands, folder, deadline=30)
    took = time.monotonic() - begin
    assert not outcome.hung, outcome.output
    assert took < max(member.delay for member in members) + SECONDS + LATER, outcome.output
    starts = {event["number"]: event for event in outcome.events if event["event"] == "started"}
    groups = {event["number"]: event for event in outcome.events if event["event"] == "trained"}
    finished = {event["number"] for event in outcome.events if event["event"] == "finished"}
    processes = []
    for number, (member, command) in enumerate(zip(members, commands, strict=True)):
        event: dict[str, Any] = starts[number]
        output = text(folder / command.machine.name / f"output-{number}")
        status, group = outcome.statuses[number], groups.get(number)
        # Nobody trains to the end and fails, or does neither.
        assert (status == 0) == (number in finished), outcome.output
        members_of = None if group is None else group["members"]
        processes.append(
            Process(member, port, command.machine.name, event["pid"], event["time"], status, output, members_of)
        )
    return processes


def assert_refused(processes: Sequence[Process], *parts: str) -> None:
    """All have failed, and each says all of this itself."""
    for process in processes:
        assert process.status == 1, process.output
        assert "StartError: the process group is not started" in process.output
        for part in parts:
            assert part in process.output, process.output


def assert_trained(processes: Sequence[Process], members: list[int]) -> None:
    for process in processes:
        assert (process.status, process.trained_with) == (0, members), process.output


def assert_ended(processes: Sequence[Process], late: Process) -> None:
    """They have started, and have ended because of one that came late, which each names with the repair."""
    for process in processes:
        assert process.status == 1, process.output
        assert "the process group is ended" in process.output
        assert_told(process, late, processes)


def assert_ended_by(processes: Sequence[Process], late: Sequence[Process]) -> None:
    """The first of the late ones is named, and hears it; who comes after the end misses somebody."""
    named = [process for process in late if f"{process.name} came" in processes[0].output]
    assert named, processes[0].output
    for process in named:
        assert_ended(processes, process)
        assert_told(process, process, processes)
    assert_refused(late)


def assert_told(process: Process, late: Process, started: Sequence[Process]) -> None:
    assert f"{late.name} came" in process.output, process.output
    assert "DDPLINT_JOB_TOKEN" in process.output
    for one in started:
        if one.member.rank == late.member.rank:
            assert f"rank {one.member.rank} is {one.place}" in process.output


def test_a_a_rank_is_missing(hosts: Network, tmp_path: Path) -> None:
    nodes = TWO_NODES | {"LOCAL_WORLD_SIZE": "2", "NODE_RANK": "0"}
    last, node, first = start(
        hosts,
        tmp_path,
        [Member(0, 3), Member(1, 3, node=1)],
        [Member(0, 4, environment=nodes), Member(1, 4, environment=nodes)],
        [Member(1, 3), Member(2, 3, node=1)],
    )
    assert_refused(last, "Detected: rank 2 of 3 did not come")
    assert_refused(node, "Detected: ranks 2-3 of 4 did not come", "no process of node 1 of 2 came")
    # Without rank 0 there is nobody to hear the others.
    assert_refused(first, f"nothing listens at node0:{first[0].port}", "look at the output of rank 0")


def test_b_a_rank_comes_twice(hosts: Network, tmp_path: Path) -> None:
    trials = [[Member(0, 3), Member(1, 3), Member(1, 3, node=node)] for node in (0, 1)]
    for processes in start(hosts, tmp_path, *trials):
        _, one, other = processes
        assert_refused(processes, "rank 1 is claimed twice", one.place, other.place, "rank 2 of 3 did not come")


def test_b2_there_are_two_rank_0(hosts: Network, tmp_path: Path) -> None:
    alone, with_rank_1, later, apart = start(
        hosts,
        tmp_path,
        [Member(0), Member(0)],
        [Member(0), Member(0), Member(1, node=1, delay=0.5)],
        [Member(0), Member(0, delay=0.5)],
        [Member(0), Member(0, node=1)],
    )
    for processes in (alone, with_rank_1, later):
        first, second, *_ = processes
        assert_refused(processes, "rank 0 is claimed twice", first.place, second.place)
    # They do not meet. The one in the wrong place knows that it is.
    assert_refused(apart, "rank 1 of 2 did not come")
    assert_refused(apart[1:], "rank 0 runs on node1, but master address node0")


def test_c_they_disagree_about_the_world_size(hosts: Network, tmp_path: Path) -> None:
    trials = [[Member(0, sizes[0]), Member(1, sizes[1], node=1)] for sizes in ((2, 3), (3, 2))]
    for processes in start(hosts, tmp_path, *trials):
        says = [f"{process.member.world_size} (WORLD_SIZE) says {process.name}" for process in processes]
        assert_refused(processes, "disagree about the world size", *says)


def test_d_a_rank_is_not_below_the_world_size(hosts: Network, tmp_path: Path) -> None:
    both, [alone] = start(hosts, tmp_path, [Member(0), Member(2, node=1)], [Member(2)])
    assert_refused(both, f"{both[1].name} (RANK) with a world size of 2 (WORLD_SIZE)")
    assert_refused([alone], "rank 2 (RANK) with world size 2 (WORLD_SIZE)")


def test_e_the_address_leads_each_host_to_itself(hosts: Network, tmp_path: Path) -> None:
    unsaid = {"MASTER_ADDR": "localhost"}
    known, unknown, number = start(
        hosts,
        tmp_path,
        *(
            [Member(0, environment=environment), Member(1, node=1, environment=environment)]
            for environment in (unsaid | TWO_NODES, unsaid, {"MASTER_ADDR": "127.0.0.1"} | TWO_NODES)
        ),
    )
    for address, (zero, one) in (("localhost", known), ("127.0.0.1", number)):
        assert_refused([zero], f"master address {address} (MASTER_ADDR) with 2 nodes")
        assert_refused([one], f"{address} of {address}:{one.port}", "to this host itself")
    # Nothing says that there are two hosts.
    zero, one = unknown
    assert_refused([zero], "rank 1 of 2 did not come", "they must reach localhost on node0")
    assert_refused([one], f"nothing listens at localhost:{one.port}")


def test_f_the_name_does_not_resolve(hosts: Network, tmp_path: Path) -> None:
    unsaid = {"MASTER_ADDR": "node7"}
    for processes in start(
        hosts,
        tmp_path,
        *(
            [Member(0, environment=environment), Member(1, node=1, environment=environment)]
            for environment in (unsaid | TWO_NODES, unsaid)
        ),
    ):
        zero, one = processes
        assert_refused([zero], "master address node7 (MASTER_ADDR) does not resolve on node0")
        assert_refused([one], f"node7 of node7:{one.port}", "did not resolve")


SERVER = """
import os, socket, sys
listener = socket.create_server(("", int(sys.argv[1])))
print(os.getpid(), flush=True)
connections = []
while True:
    connections.append(listener.accept()[0])
    connections[-1].sendall(sys.argv[2].encode())
"""


@contextmanager
def another_program(machine: Machine, port: int, greeting: str, folder: Path) -> Iterator[int]:
    """It listens on a port, and says this to whoever comes; its process number."""
    script = folder / "server.py"
    script.write_text(SERVER, encoding="utf-8")
    with started(Command(machine, (str(script), str(port), greeting)), port, folder):
        end = time.monotonic() + 20
        while not (said := text(folder / machine.name / f"output-{port}")).endswith("\n"):
            assert time.monotonic() < end, said
            time.sleep(0.02)
        yield int(said)


def test_g_another_program_has_the_port(hosts: Network, tmp_path: Path) -> None:
    ports = [next(PORTS), next(PORTS)]
    with ExitStack() as stack:
        pids = [
            stack.enter_context(another_program(hosts.nodes[0], port, greeting, tmp_path))
            for port, greeting in zip(ports, ("", "220 ready\r\n"), strict=True)
        ]
        trials = [
            [Member(rank, node=rank, environment={"MASTER_PORT": str(port)}) for rank in range(2)] for port in ports
        ]
        launches = start(hosts, tmp_path / "launches", *trials)
    for (zero, one), port, pid in zip(launches, ports, pids, strict=True):
        assert_refused([zero], f"port {port} is taken by process {pid} ")
        assert_refused([one], f"what listens at node0:{port}", "is no roll-call", "another program has the port")


def test_h_rank_0_is_not_at_the_address(hosts: Network, tmp_path: Path) -> None:
    unsaid = {"MASTER_ADDR": "node1"}
    for processes in start(
        hosts,
        tmp_path,
        *(
            [
                Member(0, 3, environment=environment),
                Member(1, 3, environment=environment),
                Member(2, 3, node=1, environment=environment),
            ]
            for environment in (unsaid | TWO_NODES, unsaid)
        ),
    ):
        zero, *others = processes
        assert_refused([zero], "rank 0 runs on node0, but master address node1 (MASTER_ADDR) is another machine")
        assert_refused(others, f"nothing listens at node1:{zero.port}", "or it is not on node1")


TOKENS = ("red", "blue")


def token(job: int) -> dict[str, str]:
    return {"DDPLINT_JOB_TOKEN": TOKENS[job]}


def test_i_two_jobs_with_a_token_each(hosts: Network, tmp_path: Path) -> None:
    patient = token(0) | {"DDPLINT_ROLLCALL_TIMEOUT": str(SECONDS + LATER)}
    at_once, crossed, meanwhile = start(
        hosts,
        tmp_path,
        [Member(rank, node=rank, environment=token(job), job=job, trains=LONG) for job in (0, 1) for rank in (0, 1)],
        [Member(rank, node=rank, environment=token(rank), job=rank) for rank in (0, 1)],
        # The first waits for its rank 1 while the second comes and goes.
        [
            Member(0, environment=patient),
            Member(1, node=1, environment=patient, delay=LONG),
            *(Member(rank, node=rank, environment=token(1), job=1, delay=0.5) for rank in (0, 1)),
        ],
    )
    [winner] = {process.member.job for process in at_once if process.status == 0}
    assert_one_job(at_once, winner)
    zero, one = crossed
    assert_refused([zero], "rank 1 of 2 did not come", f"turned away: {one.name} of job token blue")
    assert_refused([one], f"port at node0:{one.port}", "belongs to another job: job token red")
    assert_one_job(meanwhile, 0)
    assert_refused(meanwhile[2:], "belongs to another job: job token red; this one is job token blue")


def assert_one_job(processes: Sequence[Process], job: int) -> None:
    """It has trained, with nobody of the other one; that is told about the port and by rank 0 who has it."""
    assert_trained([process for process in processes if process.member.job == job], [2 - 2 * job, 2 * job])
    others = [process for process in processes if process.member.job != job]
    holder = next(process for process in processes if process.member.job == job and process.member.rank == 0)
    for process in others:
        assert_refused([process], f":{process.port} (MASTER_ADDR, MASTER_PORT)")
        if process.member.rank == 0:
            assert_refused([process], f"port {process.port} is taken by process {holder.pid} ")


def test_i_two_jobs_with_other_arguments(hosts: Network, tmp_path: Path) -> None:
    def member(job: int, rank: int, node: int = 0, **more: float) -> Member:
        return Member(rank, node=node, arguments=("--seed", str(job)), job=job, **more)

    one_host, two_hosts, all_at_once, apart = start(
        hosts,
        tmp_path,
        [member(0, 0), member(1, 1)],
        [member(0, 0), member(1, 1, node=1)],
        [member(job, rank, node=rank, delay=rank / 2) for job in (0, 1) for rank in (0, 1)],
        [member(job, rank, node=rank, delay=job, trains=LONG - job) for job in (0, 1) for rank in (0, 1)],
    )
    for processes in (one_host, two_hosts, all_at_once):
        assert_refused(processes, "two jobs on one port", "`member.py --seed 0`", "`member.py --seed 1`")
    assert_one_job(apart, 0)


# All orders in which two jobs of two can come; which one is called the first does not matter.
PLACES = tuple(itertools.product((0, 1), (0, 1)))
ORDERS = [order for order in itertools.permutations(PLACES) if order[0][0] == 0]
STEP = 0.06
# The roll-call waits for so long after all ranks have come.
SETTLE = 0.3


def test_i_two_jobs_that_nothing_tells_apart(hosts: Network, tmp_path: Path) -> None:
    """Who comes twice is told as long as both jobs come at one time."""
    trials = [
        [Member(rank, node=rank, job=job, delay=STEP * order.index((job, rank))) for job, rank in PLACES]
        for order in ORDERS
    ]
    for processes in start(hosts, tmp_path, *trials):
        begins = [process.began for process in processes]
        if max(begins) - min(begins) >= SETTLE:
            # This machine is busy; the next test is about that.
            continue
        groups = [process.trained_with for process in processes if process.status == 0]
        assert [1, 1] not in groups
        if not groups:
            places = [process.place for process in processes]
            assert_refused(processes, "rank 0 is claimed twice", "rank 1 is claimed twice", *places)


def test_i_halves_of_two_jobs_that_nothing_tells_apart(hosts: Network, tmp_path: Path) -> None:
    """Where rank 0 of one and rank 1 of the other come first they are a job: same script, arguments, ranks and port.

    What could tell them apart is an id from a launcher or from DDPLINT_JOB_TOKEN. But the other halves come too.
    """
    halves = [Member(0, job=0, trains=LONG + 2), Member(1, node=1, job=1, trains=LONG + 2)]
    rank_1 = Member(1, node=1, job=0, delay=2.5)
    rank_0 = Member(0, job=1, delay=2.5)
    elsewhere = Member(0, node=1, job=1, delay=2.5)
    for first, second, *late in start(
        hosts,
        tmp_path,
        [*halves, rank_1],
        [*halves, rank_0],
        # Its address leads to the others, and it is not there.
        [*halves, elsewhere],
        [*halves, rank_1, rank_0],
    ):
        assert [first.trained_with, second.trained_with] == [[1, 1], [1, 1]]
        assert_ended_by([first, second], late)


# So far apart that two that are a job have started before the next one comes.
APART = 0.9


def test_i_two_jobs_one_process_after_the_other(hosts: Network, tmp_path: Path) -> None:
    """In no order do two of them train: whatever has started, those that come later belong to two jobs."""
    trials = [
        [Member(rank, node=rank, job=job, delay=APART * order.index((job, rank)), trains=LONG) for job, rank in PLACES]
        for order in ORDERS
    ]
    groups = 0
    for processes in start(hosts, tmp_path, *trials):
        started = [process for process in processes if "the process group is ended" in process.output]
        late = [process for process in processes if process not in started]
        assert_refused(late)
        if started:
            groups += 1
            assert {process.member.rank for process in started} == {0, 1}
            assert_ended_by(started, late)
    assert groups


def test_i_who_comes_late_and_is_no_other_job(hosts: Network, tmp_path: Path) -> None:
    """A successor of a process that has ended, and any process where the job has a name, end nobody."""
    successor, named = start(
        hosts,
        tmp_path,
        [Member(0, trains=LONG + 2), Member(1, node=1), Member(1, node=1, delay=2.5)],
        [
            Member(0, trains=LONG, environment=token(0)),
            Member(1, node=1, trains=LONG, environment=token(0)),
            Member(1, node=1, delay=2.5, environment=token(0)),
        ],
    )
    for *two, third in (successor, named):
        assert_trained(two, [2, 0])
        assert_refused([third], f"node0:{third.port}", "one too many")


def test_j_there_is_one_process_too_many(hosts: Network, tmp_path: Path) -> None:
    def job(seconds: float) -> list[Member]:
        return [Member(rank, trains=seconds, environment=token(0)) for rank in (0, 1)]

    third = Member(1, node=1, environment=token(0), delay=1)
    at_once, unnamed, late, too_late = start(
        hosts,
        tmp_path,
        [Member(0, trains=LONG), Member(1, trains=LONG), Member(1, node=1)],
        [Member(0, trains=LONG), Member(1, trains=LONG), Member(1, node=1, delay=2.5)],
        [*job(7), third],
        # The job ends while it waits.
        [*job(2.5), third],
    )
    if "the process group is ended" in at_once[0].output:
        # One of the three came later than the others waited.
        *two, last = sorted(at_once, key=lambda process: "the process group is ended" not in process.output)
        assert_ended(two, last)
    else:
        assert_refused(at_once, "rank 1 is claimed twice", at_once[1].place, at_once[2].place)
    assert_ended(unnamed[:2], unnamed[2])
    assert_refused([unnamed[2]], unnamed[1].place)
    for *two, last in (late, too_late):
        assert_trained(two, [2, 0])
        assert_refused([last], f"node0:{last.port}", "one too many")
    # Torch's store says who has the rank, as long as the job is there.
    assert_refused([late[2]], f"has started at node0:{late[2].port} already, in which rank 1 is {late[1].place}")


def test_all_are_told_who_cannot_start(hosts: Network, tmp_path: Path) -> None:
    absent = {"GLOO_SOCKET_IFNAME": "absent0"}
    for unfit, processes in enumerate(
        start(
            hosts,
            tmp_path,
            *(
                [Member(rank, 3, node=rank % 2, environment=absent if rank == unfit else {}) for rank in range(3)]
                for unfit in range(3)
            ),
        )
    ):
        blamed = processes[unfit]
        assert_refused(processes, f"{blamed.name} cannot start", f"no interface 'absent0' on {blamed.host}")
