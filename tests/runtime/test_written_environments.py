"""Launchers and platforms that could not be run: their environments are written by hand from the sources they name."""

from __future__ import annotations

from pathlib import Path

import pytest
import recorded

from ddplint.runtime.detection import detect

# The launcher, rank, local rank, node rank, world size, local world size, nodes, hosts and master; None is "not said".
EXPECTED = {
    "azureml-mpi": ("openmpi", 5, 1, None, 8, 4, None, None, "10.0.0.4"),
    "azureml-pytorch": ("azureml", 5, 1, 1, 8, None, None, None, "10.0.0.4"),
    "deepspeed": ("deepspeed", 5, 1, 1, 8, 4, 2, None, "10.0.0.4"),
    "enroot-in-a-step": ("slurm", 3, 1, 1, 4, 2, 2, ("node4", "node3"), "node4"),
    "enroot-without-the-step": ("enroot", 3, 1, None, 4, None, None, None, "node4"),
    "hydra-pmi-port": ("hydra", 1, 1, None, None, 2, None, None, None),
    "indexed-job": ("indexed-job", None, None, 3, None, None, None, None, None),
    "indexed-job-with-names": ("environment", 3, None, None, 4, None, None, None, "pytorch-workers-0-0.pytorch"),
    "jsrun": ("jsrun", 7, 1, None, 12, None, 2, ("a01", "a02"), "a01"),
    "kubeflow-elastic": ("kubeflow-trainer", None, None, None, None, None, None, None, None),
    "kubeflow-four-processes": ("kubeflow", None, None, 1, 8, None, 2, None, "job-master-0"),
    "kubeflow-one-process": ("kubeflow", 1, 0, 1, 2, 1, 2, None, "job-master-0"),
    "kubeflow-trainer": ("kubeflow-trainer", None, None, 1, None, None, 2, None, "job-node-0-0.job"),
    "mvapich2": ("mvapich2", 3, 1, None, 4, 2, None, None, None),
    "openmpi-under-slurm-daemons": ("openmpi", 5, 1, None, 6, 2, None, None, None),
    "pai-dlc": ("volcano", None, None, 1, None, None, 2, None, "dlc-master-0"),
    "pals-in-pbs": ("pals", 5, 1, 1, 8, 4, 2, ("x1", "x2"), "x1"),
    "pbs-pbsdsh": ("pbs", None, None, 1, None, None, 2, ("x1", "x2"), "x1"),
    "pbs-script": ("plain", 0, 0, 0, 1, 1, 1, None, None),
    "sagemaker-one-host": ("sagemaker", 0, 0, 0, 1, 1, 1, ("algo-1",), "algo-1"),
    "sagemaker-torchrun": ("torchrun", 3, 1, 1, 4, 2, 2, None, "algo-1"),
    "sagemaker-two-hosts": ("sagemaker", None, None, 1, None, None, 2, ("algo-1", "algo-2"), "algo-1"),
    "salloc-interactive-step": ("plain", 0, 0, 0, 1, 1, 1, None, None),
    "srun-pmi2": ("slurm", 3, 1, 1, 4, 2, 2, ("node0", "node1"), "node0"),
    "volcano": ("volcano", 1, 0, 1, 3, 1, 3, None, "job-master-0.job"),
}
FILES = {"nodefile": "x1\nx1\nx2\nx2\n", "rankfile": "batch1\na01\na01\na02\na02\n"}
PATHS = sorted(recorded.WRITTEN.glob("*.env"))


def test_every_file_says_that_it_was_written_and_from_what() -> None:
    assert {path.stem for path in PATHS} == set(EXPECTED)
    for path in PATHS:
        first = path.read_text(encoding="utf-8").splitlines()[0]
        assert first.startswith("# Written by hand, not recorded: "), path


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_written_environment(path: Path) -> None:
    topology = detect(recorded.read(path), read=FILES.get)
    values = [found.value for name, found in topology.fields() if name != "master_port"]
    assert (topology.launcher, *values) == EXPECTED[path.stem]


def test_a_file_that_cannot_be_read_here_is_a_reason() -> None:
    topology = detect(recorded.read(recorded.WRITTEN / "pals-in-pbs.env"))
    assert topology.hosts.value is None
    assert topology.hosts.reason == "PBS_NODEFILE=nodefile cannot be read here"


def test_a_pod_that_counts_processes_has_no_rank() -> None:
    rank = detect(recorded.read(recorded.WRITTEN / "kubeflow-four-processes.env")).rank
    assert rank.reason is not None
    assert "RANK=1 is the number of the pod" in rank.reason
    assert "torchrun" in rank.reason


def test_the_step_of_a_daemon_is_around_its_processes() -> None:
    topology = detect(recorded.read(recorded.WRITTEN / "openmpi-under-slurm-daemons.env"))
    assert topology.inside == ("slurm",)
    assert not topology.rank.others


def test_the_same_rank_from_three_voices() -> None:
    rank = detect(recorded.read(recorded.WRITTEN / "enroot-in-a-step.env")).rank
    assert [(claim.source, claim.value) for claim in rank.claims] == [("SLURM_PROCID", 3), ("RANK", 3)]
    rank = detect(recorded.read(recorded.WRITTEN / "srun-pmi2.env")).rank
    assert [(claim.source, claim.value) for claim in rank.claims] == [("SLURM_PROCID", 3), ("PMI_RANK", 3)]


@pytest.mark.parametrize("name", ["salloc-interactive-step", "pbs-script"])
def test_a_script_or_a_shell_is_no_task_and_that_is_said(name: str) -> None:
    [note] = detect(recorded.read(recorded.WRITTEN / f"{name}.env")).notes
    assert "salloc" in note or "PBS job script" in note
