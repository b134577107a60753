"""What is wrong that only a machine shows: other machines stand in, and loopback for this one."""

from __future__ import annotations

import socket
import sys

import pytest
import recorded

from ddplint.runtime.detection import detect
from ddplint.runtime.devices import NoDevice, device_index
from ddplint.runtime.machine import Machine, Unresolved, gloo_interface, gloo_problem, master_problem, problems
from ddplint.runtime.problem import ERROR, WARNING
from ddplint.runtime.topology import Topology

OWN = ("127.0.0.1", "127.0.1.1", "10.77.0.11")
NAMES = {
    "node0": ("10.77.0.10",),
    "node1": ("10.77.0.11",),
    "here": ("127.0.1.1",),
    "both": ("127.0.1.1", "10.77.0.11"),
}
STEP = recorded.launch("slurm-srun-N2-tpn2")
OPENMPI = recorded.launch("openmpi-netns-2x2")


def machine(name: str = "node1", names: dict[str, tuple[str, ...]] = NAMES, interface: str | None = "eth0") -> Machine:
    """Host 10.77.0.11 of the two."""

    def resolve(asked: str) -> tuple[str, ...]:
        if asked[:1].isdigit():
            return (asked,)
        if asked not in names:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return names[asked]

    return Machine(
        resolve,
        OWN.__contains__,
        lambda other: other if other.startswith("127.") else "10.77.0.11",
        lambda own: {"10.77.0.11": interface, "127.0.0.1": "lo"}.get(own),
        lambda: ("lo", "eth0", "ib0"),
        lambda: name,
    )


def place(environ: dict[str, str], **more: str) -> Topology:
    return detect({**environ, **more})


@pytest.mark.parametrize(("rank", "visible", "index"), [(3, 4, 1), (3, 2, 1), (3, 1, 0), (2, 1, 0), (2, 8, 0)])
def test_the_device_is_that_of_the_local_rank(rank: int, visible: int, index: int) -> None:
    assert device_index(place(STEP[rank]), visible) == index


@pytest.mark.parametrize("rank", range(8))
def test_one_device_a_task_is_number_0(rank: int) -> None:
    environ = recorded.launch("slurm-srun-N2-tpn4-gpus-per-task1")[rank]
    assert device_index(detect(environ), 1) == 0
    assert problems(detect(environ), environ, 1, machine()) == ()


@pytest.mark.parametrize(
    ("environ", "visible", "detected", "fix"),
    [
        (recorded.launch("slurm-srun-N2-n8-gpus8")[5], 4, "local rank 5 (SLURM_LOCALID) with 4 visible devices",
         "srun --ntasks-per-node=4"),
        (recorded.launch("netns-torchrun-c10d")[3] | {"LOCAL_RANK": "2"}, 2, "local rank 2 (LOCAL_RANK)",
         "torchrun --nproc-per-node=2"),
        (OPENMPI[1] | {"OMPI_COMM_WORLD_LOCAL_RANK": "2"}, 2, "OMPI_COMM_WORLD_LOCAL_RANK", "mpirun -N 2"),
        ({"RANK": "1", "WORLD_SIZE": "4"}, 2, "environment gives no local rank: LOCAL_RANK is not set", "torchrun"),
        ({"RANK": "1", "WORLD_SIZE": "4", "LOCAL_RANK": "3"}, 2, "local rank 3", "start at most 2 processes a node"),
    ],
)  # fmt: skip
def test_no_device(environ: dict[str, str], visible: int, detected: str, fix: str) -> None:
    [problem] = problems(detect(environ), environ, visible, machine())
    assert problem.severity == ERROR
    assert detected in problem.detected
    assert fix in problem.fix
    with pytest.raises(NoDevice) as caught:
        device_index(detect(environ), visible)
    assert caught.value.problem == problem


def test_no_device_at_all() -> None:
    with pytest.raises(NoDevice, match="no device is visible"):
        device_index(place(STEP[0]), 0)
    # Training on the CPU is nothing wrong.
    assert problems(place(STEP[0]), STEP[0], 0, machine()) == ()
    assert problems(place(STEP[0]), STEP[0], None, machine()) == ()


def master(topology: Topology, host: Machine, behind_a_service: bool = False) -> tuple[str, str] | None:
    resolved: tuple[str, ...] | OSError
    try:
        resolved = host.resolve(topology.master_addr.value or "")
    except OSError as error:
        resolved = error
    problem = master_problem(topology, resolved, host, behind_a_service)
    return None if problem is None else (problem.severity, problem.detected)


def test_a_good_master() -> None:
    assert master(place(STEP[2]), machine()) is None
    assert master(place(STEP[0], MASTER_ADDR="node1"), machine()) is None
    assert master(place(STEP[0], MASTER_ADDR="10.77.0.11"), machine()) is None
    assert master(place(STEP[0], MASTER_ADDR="both"), machine()) is None
    # One node, one process, or an address that is told to be loopback without the machine.
    assert master(detect(recorded.launch("torchrun-1x2-standalone")[0]), machine()) is None
    assert master(detect({}), machine()) is None
    assert master(place(STEP[2], MASTER_ADDR="localhost"), machine()) is None


def test_a_master_that_does_not_resolve_may_come_later() -> None:
    topology = place(STEP[2], MASTER_ADDR="node7")
    error = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    problem = master_problem(topology, error, machine())
    assert isinstance(problem, Unresolved)
    assert problem.severity == ERROR
    assert problem.detected == (
        "master address node7 (MASTER_ADDR) does not resolve on node1: Name or service not known"
    )
    assert "headless" in problem.fix
    assert isinstance(master_problem(topology, (), machine()), Unresolved)


def test_a_name_that_is_loopback_is_good_on_the_host_of_rank_0_only() -> None:
    """Debian's 127.0.1.1: each machine's own name."""
    for rank in (0, 1):
        assert master(place(STEP[rank], MASTER_ADDR="here"), machine("here")) is None
    found = master(place(STEP[2], MASTER_ADDR="here"), machine())
    assert found == (
        ERROR,
        "master address here (MASTER_ADDR) resolves to 127.0.1.1 on node1, which is not the host of rank 0",
    )
    # MPI numbers no nodes: there the name tells.
    assert (
        master(place(OPENMPI[1], MASTER_ADDR="here.cluster"), machine("here", {"here.cluster": ("127.0.1.1",)})) is None
    )
    assert master(place(OPENMPI[3], MASTER_ADDR="here"), machine()) is not None


def test_a_master_that_is_not_rank_0s() -> None:
    topology = place(STEP[0], MASTER_ADDR="node0")
    found = (ERROR, "rank 0 runs on node1, but master address node0 (MASTER_ADDR) is another machine (10.77.0.10)")
    assert master(topology, machine()) == found
    assert master(topology, machine(), behind_a_service=True) == (WARNING, found[1])
    assert master(place(STEP[1], MASTER_ADDR="node0"), machine()) is None
    # Its agent serves the store, on whichever host.
    assert master(detect(recorded.launch("netns-torchrun-c10d")[0]), machine()) is None


@pytest.mark.parametrize("name", ["here", "unknown", "node0"])
@pytest.mark.parametrize("rank", [0, 2])
def test_gloo_needs_an_interface_where_the_own_name_is_of_no_use(name: str, rank: int) -> None:
    topology = place(STEP[rank])
    assert gloo_interface(topology, STEP[rank], "node0", machine(name)) == "eth0"
    # On rank 0 the name of the master may be loopback as well.
    assert gloo_interface(topology, STEP[rank], "here", machine(name)) == "eth0"
    assert gloo_problem(topology, STEP[rank], "here", machine(name)) is None


def test_gloo_needs_none() -> None:
    topology = place(STEP[2])
    assert gloo_interface(topology, STEP[2], "node0", machine()) is None
    assert gloo_interface(topology, {"GLOO_SOCKET_IFNAME": "ib0"}, "node0", machine("here")) is None
    assert gloo_interface(detect({}), {}, "", machine("here")) is None
    assert gloo_problem(topology, STEP[2], "node0", machine()) is None
    # Gloo takes the first address that it can bind to.
    assert gloo_interface(topology, STEP[2], "node0", machine("both")) == "eth0"
    other = machine("far", {**NAMES, "far": ("10.77.0.99", "10.77.0.11")})
    assert gloo_interface(topology, STEP[2], "node0", other) is None


def test_an_interface_that_is_not_found() -> None:
    host = machine("here", interface=None)
    topology = place(OPENMPI[3])
    assert gloo_interface(topology, {}, "node7", host) is None
    problem = gloo_problem(topology, {}, "node7", host)
    assert problem is not None
    assert problem.severity == WARNING
    assert "GLOO_SOCKET_IFNAME" in problem.fix
    assert "eth0, ib0" in problem.fix


@pytest.mark.parametrize("value", ["lo", "eth0", "eth0,ib0"])
def test_a_good_gloo_interface(value: str) -> None:
    assert problems(place(STEP[0]), {"GLOO_SOCKET_IFNAME": value}, 0, machine()) == ()


@pytest.mark.parametrize("value", ["ens5", "^lo", "eth", "=eth0", "eth0, ib0", "eth0,"])
@pytest.mark.parametrize(("visible", "severity"), [(0, ERROR), (1, WARNING), (None, WARNING)])
def test_a_gloo_interface_that_is_not_there(value: str, visible: int | None, severity: str) -> None:
    [problem] = problems(place(STEP[0]), {"GLOO_SOCKET_IFNAME": value}, visible, machine())
    assert problem.severity == severity
    assert f"GLOO_SOCKET_IFNAME={value}, and there is no interface" in problem.detected


@pytest.mark.parametrize("value", ["eth", "eth0", "=eth0", "^lo", "^docker,lo", "^=lo", "bond,ib", "eth0:4000", ""])
def test_a_good_nccl_interface(value: str) -> None:
    assert problems(place(STEP[0]), {"NCCL_SOCKET_IFNAME": value}, 4, machine()) == ()


@pytest.mark.parametrize("value", ["ens5", "=eth", "bond,ens", "lo0"])
def test_an_nccl_interface_that_is_not_there(value: str) -> None:
    [problem] = problems(place(STEP[0]), {"NCCL_SOCKET_IFNAME": value}, 4, machine())
    assert problem.severity == WARNING
    assert f"NCCL_SOCKET_IFNAME={value}" in problem.detected


@pytest.mark.parametrize(
    ("name", "requirement"),
    [
        ("BLOCKING_WAIT", "torch calls it TORCH_NCCL_BLOCKING_WAIT, and still reads the old name"),
        ("ASYNC_ERROR_HANDLING", "still reads the old name"),
        ("HEARTBEAT_TIMEOUT_SEC", "nobody reads the other name"),
        ("DUMP_ON_TIMEOUT", "nobody reads the other name"),
    ],
)
def test_a_name_of_before(name: str, requirement: str) -> None:
    [problem] = problems(place(STEP[0]), {f"NCCL_{name}": "1"}, 1, machine())
    assert (problem.severity, problem.detected) == (WARNING, f"NCCL_{name}=1 is set")
    assert requirement in problem.requirement
    assert problem.fix == f"set TORCH_NCCL_{name} instead"
    assert problems(place(STEP[0]), {f"NCCL_{name}": "1", f"TORCH_NCCL_{name}": "1"}, 1, machine()) == ()


def test_this_machine() -> None:
    """No stand-in: this machine has loopback, and rank 0 may be on it."""
    topology = place(STEP[0], MASTER_ADDR="198.51.100.7")
    problem = master_problem(topology, ("198.51.100.7",))
    assert problem is not None
    assert socket.gethostname() in problem.detected
    assert master_problem(place(STEP[0], MASTER_ADDR="n"), ("127.0.0.1", "198.51.100.7")) is None
    if sys.platform.startswith("linux"):
        assert problems(topology, {"GLOO_SOCKET_IFNAME": "lo", "NCCL_SOCKET_IFNAME": "l"}, 0) == ()
    [wrong] = problems(topology, {"GLOO_SOCKET_IFNAME": "nosuch0"}, 0)
    assert "'nosuch0'" in wrong.detected
