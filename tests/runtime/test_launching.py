"""What ``ddplint run`` hands over to torchrun, and when."""

from __future__ import annotations

import sys

import pytest

from ddplint.runtime import launching
from ddplint.runtime.detection import detect
from ddplint.runtime.launching import Wish
from ddplint.runtime.problem import StartError

NOTHING = Wish()
PROGRAM = ("-m", "ddplint", "run", "train.py")
SLURM = {
    "SLURM_JOB_ID": "7", "SLURM_STEP_ID": "0", "SLURM_PROCID": "1", "SLURM_LOCALID": "0", "SLURM_NODEID": "1",
    "SLURM_STEP_NUM_TASKS": "2", "SLURM_STEP_NUM_NODES": "2", "SLURM_STEP_TASKS_PER_NODE": "1(x2)",
    "SLURM_STEP_NODELIST": "node[0-1]",
}  # fmt: skip
TORCHRUN = {
    "TORCHELASTIC_RUN_ID": "none", "RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "a",
    "MASTER_PORT": "1",
}  # fmt: skip
TRAINER = {"PET_NNODES": "4", "PET_NODE_RANK": "2", "PET_MASTER_ADDR": "job-node-0-0.job", "PET_MASTER_PORT": "29500"}
KUBEFLOW = {"RANK": "1", "WORLD_SIZE": "8", "PET_NNODES": "2", "MASTER_ADDR": "job-master-0", "MASTER_PORT": "23456"}


def options(environ: dict[str, str], wish: Wish = NOTHING, devices: int = 0) -> list[str] | None:
    found = launching.words(detect(environ), environ, wish, devices, PROGRAM)
    if found is None:
        return None
    end = found.index("--no-python")
    assert found[end:] == ["--no-python", sys.executable, *PROGRAM]
    return found[:end]


@pytest.mark.parametrize(
    ("environ", "wish", "hands_over"),
    [
        ({}, Wish(), True),
        (SLURM, Wish(), False),
        (SLURM, Wish(nproc_per_node="4"), True),
        (TORCHRUN, Wish(), False),
        (TRAINER, Wish(), True),
        (KUBEFLOW, Wish(), True),
        ({"RANK": "0", "WORLD_SIZE": "1"}, Wish(), False),
    ],
)
def test_when_torchrun_starts_the_processes(environ: dict[str, str], wish: Wish, hands_over: bool) -> None:
    assert launching.hands_over(detect(environ), wish) is hands_over


def test_torchrun_in_torchrun_is_an_error() -> None:
    with pytest.raises(StartError, match="torchrun has started this process"):
        launching.hands_over(detect(TORCHRUN), Wish(nproc_per_node="2"))


def test_one_machine_has_a_process_for_each_device() -> None:
    assert options({}, devices=4) == ["--nnodes=1", "--nproc-per-node=4", "--standalone"]


def test_one_process_without_a_device_needs_no_launcher() -> None:
    assert options({}) is None
    # Scripts for torchrun read its variables, so one GPU is a world of one process.
    assert options({}, devices=1) == ["--nnodes=1", "--nproc-per-node=1", "--standalone"]


def test_what_is_exported_by_hand_counts() -> None:
    by_hand = {"NNODES": "2", "NODE_RANK": "1", "MASTER_ADDR": "node0", "MASTER_PORT": "4000"}
    wanted = ["--nnodes=2", "--nproc-per-node=4", "--node-rank=1", "--master-addr=node0", "--master-port=4000"]
    assert options(by_hand, devices=4) == wanted


def test_the_command_line_comes_first() -> None:
    by_hand = {"NNODES": "2", "NODE_RANK": "1", "MASTER_ADDR": "node0", "MASTER_PORT": "4000"}
    wish = Wish(nnodes="3", nproc_per_node="8", node_rank=0, master_addr="node9", master_port=5000)
    wanted = ["--nnodes=3", "--nproc-per-node=8", "--node-rank=0", "--master-addr=node9", "--master-port=5000"]
    assert options(by_hand, wish) == wanted


def test_one_slurm_task_a_node_says_the_rest() -> None:
    found = options(SLURM, Wish(nproc_per_node="4"))
    assert found is not None
    assert found[:4] == ["--nnodes=2", "--nproc-per-node=4", "--node-rank=1", "--master-addr=node0"]
    other = options(SLURM | {"SLURM_PROCID": "0", "SLURM_NODEID": "0"}, Wish(nproc_per_node="4"))
    assert other is not None
    # Nobody has chosen a port, and all nodes work out the same one.
    assert found[4] == other[4]
    assert 20000 <= int(found[4].removeprefix("--master-port=")) < 32768


def test_a_platform_that_numbers_pods() -> None:
    wanted = ["--nnodes=4", "--nproc-per-node=8", "--node-rank=2", "--master-addr=job-node-0-0.job"]
    assert options(TRAINER, devices=8) == [*wanted, "--master-port=29500"]
    wanted = ["--nnodes=2", "--nproc-per-node=4", "--node-rank=1", "--master-addr=job-master-0", "--master-port=23456"]
    assert options(KUBEFLOW, devices=4) == wanted


def test_a_platform_that_says_how_many_processes_a_pod_has() -> None:
    found = options(TRAINER | {"PET_NPROC_PER_NODE": "3"}, devices=8)
    assert found is not None
    assert found[1] == "--nproc-per-node=3"
    assert options(TRAINER | {"PET_NPROC_PER_NODE": "1", "PET_NNODES": "1"}) is None


def test_torchruns_own_rendezvous_is_handed_on() -> None:
    wish = Wish(nnodes="1:4", nproc_per_node="gpu", more={"rdzv-backend": "c10d", "rdzv-endpoint": "node0:29400"})
    wanted = ["--nnodes=1:4", "--nproc-per-node=gpu", "--rdzv-backend=c10d", "--rdzv-endpoint=node0:29400"]
    assert options({}, wish) == wanted


def test_several_nodes_have_to_find_each_other() -> None:
    with pytest.raises(StartError, match="several nodes, and nobody says --node-rank and --master-addr"):
        options({}, Wish(nnodes="2"), devices=4)
    with pytest.raises(StartError, match="nobody says --master-addr"):
        options({"NODE_RANK": "0"}, Wish(nnodes="2"), devices=4)
