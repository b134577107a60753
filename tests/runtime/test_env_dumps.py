"""Every environment recorded from a real launch says who its process was.

Which node each rank ran on is told here, from the launch, and not from the variables that are to be judged. The
launches: Slurm 22.05, Open MPI 4.1 and 5.0, MPICH 4.0, Intel MPI 2021 and torchrun 2.13; those with ``netns`` in the
name and Slurm's on two hosts made of namespaces.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import recorded

from ddplint.runtime.detection import detect
from ddplint.runtime.topology import Topology


@dataclass(frozen=True)
class Launch:
    """``nodes[rank]`` is the node of each rank; the hosts as the launcher writes them, where it does."""

    launcher: str
    nodes: tuple[int, ...]
    hosts: tuple[str, ...] | None = None
    master: str | None = None
    # MPI's launchers number no nodes; on one node that does not matter.
    numbered: bool = True
    # Local ranks, where they do not follow the order of the ranks.
    local_ranks: tuple[int, ...] | None = None
    inside: tuple[str, ...] = ()

    def local_rank(self, rank: int) -> int:
        return self.local_ranks[rank] if self.local_ranks else self.nodes[:rank].count(self.nodes[rank])


NODES = ("node0", "node1")
FOUR_FOUR = (0, 0, 0, 0, 1, 1, 1, 1)


def slurm(*nodes: int, master: str = "node0") -> Launch:
    return Launch("slurm", nodes, hosts=NODES, master=master)


def mpi(launcher: str, *nodes: int, local_ranks: tuple[int, ...] | None = None) -> Launch:
    alone = len(set(nodes)) == 1
    master = "localhost" if alone else None
    return Launch(launcher, nodes, master=master, numbered=alone, local_ranks=local_ranks)


def torchrun(master: str, *nodes: int, inside: tuple[str, ...] = ()) -> Launch:
    return Launch("torchrun", nodes, master=master, inside=inside)


LAUNCHES = {
    "intelmpi2021-np4": mpi("hydra", 0, 0, 0, 0),
    "mpich-netns-2x2": mpi("hydra", 0, 0, 1, 1),
    "mpich-np4": mpi("hydra", 0, 0, 0, 0),
    "netns-torchrun-c10d": torchrun("node0", 0, 0, 1, 1),
    "netns-torchrun-static": torchrun("node0", 0, 0, 1, 1),
    "openmpi-netns-2x2": mpi("openmpi", 0, 0, 1, 1),
    "openmpi-np4": mpi("openmpi", 0, 0, 0, 0),
    "openmpi-np4-lo": mpi("openmpi", 0, 0, 0, 0),
    # Its own numbers: the ranks of one node need not follow the order of the job.
    "openmpi5-np4": mpi("openmpi", 0, 0, 0, 0, local_ranks=(0, 2, 1, 3)),
    # One step over a heterogeneous job: rank 0 in its first component, 1 and 2 in the second.
    "slurm-het0": slurm(0, 1, 1),
    "slurm-het1": slurm(0, 1, 1),
    "slurm-sbatch-direct": slurm(0, 0, 1, 1),
    "slurm-sbatch-torchrun": torchrun("node0", 0, 0, 1, 1, inside=("slurm",)),
    "slurm-srun-N2-n8-gpus8": slurm(0, 0, 0, 0, 0, 0, 0, 1),
    "slurm-srun-N2-tpn1-gpus-per-node4-torchrun-style": slurm(0, 1),
    "slurm-srun-N2-tpn2": slurm(0, 0, 1, 1),
    "slurm-srun-N2-tpn4-gpubind-single1": slurm(*FOUR_FOUR),
    "slurm-srun-N2-tpn4-gpus-per-node4": slurm(*FOUR_FOUR),
    "slurm-srun-N2-tpn4-gpus-per-task1": slurm(*FOUR_FOUR),
    "slurm-srun-N2-tpn4-gres4": slurm(*FOUR_FOUR),
    "slurm-srun-cyclic": slurm(0, 1, 0, 1),
    "torchrun-1x2-standalone": torchrun("localhost", 0, 0),
    "torchrun-1x2-static": torchrun("127.0.0.1", 0, 0),
    "torchrun-2x2-c10d": torchrun("localhost", 0, 0, 1, 1),
    "torchrun-2x2-static": torchrun("127.0.0.1", 0, 0, 1, 1),
}
BATCH_SCRIPT = "slurm-sbatch-direct-batchscript"
CASES = [(name, rank) for name in LAUNCHES for rank in sorted(recorded.launch(name))]


def test_no_launch_is_left_out() -> None:
    assert sorted([*LAUNCHES, BATCH_SCRIPT]) == recorded.names()
    assert len(CASES) == 109


@pytest.mark.parametrize(("name", "rank"), CASES)
def test_a_recorded_process_knows_its_place(name: str, rank: int) -> None:
    launch, topology = LAUNCHES[name], detect(recorded.launch(name)[rank])
    node = launch.nodes[rank]
    assert topology.launcher == launch.launcher
    assert topology.rank.value == rank
    assert topology.local_rank.value == launch.local_rank(rank)
    assert topology.node_rank.value == (node if launch.numbered else None)
    assert topology.world_size.value == len(launch.nodes)
    assert topology.local_world_size.value == launch.nodes.count(node)
    assert topology.nnodes.value == (len(set(launch.nodes)) if launch.numbered else None)
    assert topology.hosts.value == launch.hosts
    assert topology.master_addr.value == launch.master
    assert topology.inside == launch.inside
    assert topology.notes == ()


@pytest.mark.parametrize(("name", "rank"), CASES)
def test_no_variable_of_a_real_launch_contradicts(name: str, rank: int) -> None:
    topology = detect(recorded.launch(name)[rank])
    assert [field for field, found in topology.fields() if found.disputed] == []


def test_a_batch_script_is_a_single_process() -> None:
    topology = detect(recorded.launch(BATCH_SCRIPT)[0])
    assert (topology.launcher, topology.rank.value, topology.world_size.value) == ("plain", 0, 1)
    [note] = topology.notes
    assert "SLURM_PROCID=0 does not make this a task of the 4" in note
    assert "srun" in note


@pytest.mark.parametrize(("name", "rank"), CASES)
def test_every_value_names_a_variable_or_a_reason(name: str, rank: int) -> None:
    environ = recorded.launch(name)[rank]
    for field, found in detect(environ).fields():
        if found.value is None:
            assert found.reason, field
            continue
        words = (found.source or "").replace("first of ", "").split(" = ")
        assert all(word in environ for word in words) or found.source == "there is one node", (field, found)


def test_the_variable_of_each_value() -> None:
    topology = detect(recorded.launch("slurm-srun-cyclic")[2])
    assert {name: found.source for name, found in topology.fields() if found.source} == {
        "rank": "SLURM_PROCID",
        "local_rank": "SLURM_LOCALID",
        "node_rank": "SLURM_NODEID",
        "world_size": "SLURM_STEP_NUM_TASKS",
        "local_world_size": "SLURM_STEP_TASKS_PER_NODE",
        "nnodes": "SLURM_STEP_NUM_NODES",
        "hosts": "SLURM_STEP_NODELIST",
        "master_addr": "first of SLURM_STEP_NODELIST",
    }
    assert isinstance(topology, Topology)
