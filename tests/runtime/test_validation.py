"""What is wrong with an environment that was resolved."""

from __future__ import annotations

import pytest
import recorded

from ddplint.runtime.detection import detect
from ddplint.runtime.problem import ERROR, WARNING
from ddplint.runtime.validation import is_loopback, problems

STEP = recorded.launch("slurm-srun-N2-tpn2")[2]
TORCHRUN = recorded.launch("netns-torchrun-static")[2]
OPENMPI = recorded.launch("openmpi-netns-2x2")[3]
HAND = {"RANK": "1", "LOCAL_RANK": "1", "WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "node0"}


def found(environ: dict[str, str]) -> list[tuple[str, str]]:
    return [(problem.severity, problem.detected) for problem in problems(detect(environ), environ)]


@pytest.mark.parametrize("environ", [{}, STEP, TORCHRUN, HAND, {**OPENMPI, "MASTER_ADDR": "node0"}])
def test_nothing_is_wrong(environ: dict[str, str]) -> None:
    assert found(environ) == []


def test_three_lines() -> None:
    environ = {**STEP, "MASTER_ADDR": "localhost"}
    [problem] = problems(detect(environ), environ)
    assert str(problem).splitlines() == [
        "Detected: master address localhost (MASTER_ADDR) with 2 nodes",
        "Requirement: the address must lead from every node to the host of rank 0; this one leads every node to itself",
        "Fix: unset MASTER_ADDR, or set it to node0, the first host of the step",
    ]


@pytest.mark.parametrize(
    ("environ", "severity", "detected", "fix"),
    [
        (OPENMPI, ERROR, "no master address", "mpirun -x MASTER_ADDR=HOST"),
        ({**OPENMPI, "MASTER_ADDR": "127.0.1.1"}, ERROR, "master address 127.0.1.1", "mpirun -x"),
        (recorded.launch("mpich-netns-2x2")[0], ERROR, "no master address", "mpiexec -genv MASTER_ADDR HOST"),
        ({**TORCHRUN, "MASTER_ADDR": "localhost"}, WARNING, "localhost", "--rdzv-endpoint"),
        ({**HAND, "RANK": "4"}, ERROR, "rank 4 (RANK) with world size 4", "left over"),
        ({**HAND, "LOCAL_RANK": "2"}, ERROR, "local rank 2 (LOCAL_RANK) with local world size 2", "LOCAL_WORLD_SIZE"),
        ({**HAND, "LOCAL_WORLD_SIZE": "8"}, ERROR, "local world size 8", "LOCAL_WORLD_SIZE"),
        ({**HAND, "MASTER_PORT": "0"}, ERROR, "master port 0", "free port"),
        ({**HAND, "MASTER_PORT": "70000"}, ERROR, "master port 70000", "free port"),
        ({**HAND, "CUDA_VISIBLE_DEVICES": "0,1", "LOCAL_RANK": "2", "LOCAL_WORLD_SIZE": "4"}, ERROR,
         "local rank 2 (LOCAL_RANK) with CUDA_VISIBLE_DEVICES=0,1", "at most 2"),
        (recorded.launch("slurm-srun-N2-n8-gpus8")[7], WARNING, "SLURM_STEP_TASKS_PER_NODE=7,1", "SLURM_LOCALID"),
        (recorded.launch("slurm-sbatch-direct-batchscript")[0], WARNING, "SLURM_PROCID=0", "srun"),
        ({"RANK": "0", "WORLD_SIZE": "8", "MASTER_ADDR": "n0", "SLURM_PROCID": "0"}, ERROR, "SLURM_PROCID=0", "srun"),
        ({"JOB_COMPLETION_INDEX": "1"}, ERROR, "indexed-job gives no rank", "torchrun"),
        ({"PET_STANDALONE": ""}, WARNING, "PET_STANDALONE", "elasticPolicy"),
    ],
)  # fmt: skip
def test_problem(environ: dict[str, str], severity: str, detected: str, fix: str) -> None:
    [problem] = problems(detect(environ), environ)
    assert problem.severity == severity
    assert detected in problem.detected
    assert fix in problem.fix


def test_one_visible_device_a_task_is_device_0() -> None:
    assert found(recorded.launch("slurm-srun-N2-tpn4-gpus-per-task1")[3]) == []
    assert found({**HAND, "CUDA_VISIBLE_DEVICES": "3"}) == []


def test_an_interactive_step_of_one_task() -> None:
    shell = {**STEP, "SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURM_NODEID": "0", "SLURM_NTASKS": "1"}
    shell |= {"SLURM_STEP_NUM_TASKS": "1", "SLURM_STEP_NUM_NODES": "1", "SLURM_STEP_TASKS_PER_NODE": "1"}
    [(severity, detected)] = found({**shell, "SLURM_GPUS_ON_NODE": "4"})
    assert (severity, "one task with 4 GPUs" in detected) == (WARNING, True)
    assert found({**shell, "SLURM_GPUS_ON_NODE": "1"}) == []


@pytest.mark.parametrize(("agents", "severity"), [("2", ERROR), ("1", WARNING), ("4", None)])
def test_more_tasks_than_torchruns(agents: str, severity: str | None) -> None:
    worker = recorded.launch("slurm-sbatch-torchrun")[0]
    step = {"SLURM_STEP_NUM_TASKS": "4", "SLURM_STEP_TASKS_PER_NODE": "2(x2)"}
    answers = found({**worker, **step, "GROUP_WORLD_SIZE": agents})
    assert [one for one, _ in answers] == ([severity] if severity else [])


@pytest.mark.parametrize(
    ("address", "answer"),
    [
        ("localhost", True),
        ("LOCALHOST.", True),
        ("localhost.localdomain", True),
        ("127.0.0.1", True),
        ("127.0.1.1", True),
        ("::1", True),
        ("[::1]", True),
        ("0.0.0.0", True),
        ("10.0.0.1", False),
        ("node0", False),
        ("localhost0", False),
        ("fe80::1", False),
    ],
)
def test_loopback(address: str, answer: bool) -> None:
    assert is_loopback(address) is answer
