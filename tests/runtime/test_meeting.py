"""What a process tells the others, and where they meet."""

from __future__ import annotations

import pytest

from ddplint.runtime import meeting
from ddplint.runtime.detection import detect
from ddplint.runtime.meeting import Reported
from ddplint.runtime.problem import StartError

BY_HAND = {"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "0", "MASTER_ADDR": "localhost", "MASTER_PORT": "4000"}
SLURM = {
    "SLURM_JOB_ID": "7", "SLURM_STEP_ID": "0", "SLURM_PROCID": "1", "SLURM_LOCALID": "1", "SLURM_NODEID": "0",
    "SLURM_STEP_NUM_TASKS": "2", "SLURM_STEP_NUM_NODES": "1", "SLURM_STEP_TASKS_PER_NODE": "2",
    "SLURM_STEP_NODELIST": "node0",
}  # fmt: skip


@pytest.mark.parametrize(
    ("command", "common"),
    [
        (["train.py"], "train.py"),
        (["/home/a/train.py", "--lr", "0.1"], "train.py --lr 0.1"),
        (["train.py", "--local_rank=3", "--lr=0.1"], "train.py --lr=0.1"),
        (["train.py", "--local-rank", "3", "--lr", "0.1"], "train.py --lr 0.1"),
        (["train.py", "--gpu", "0", "resnet50"], "train.py resnet50"),
        (["train.py", "--dist-url", "tcp://node0:1", "--master_port", "3", "-x"], "train.py -x"),
        (["train.py", "--output-dir", "/scratch/3", "--data", "here", "--seed", "1"], "train.py --seed 1"),
        ([], ""),
    ],
)
def test_what_two_processes_of_a_job_have_in_common(command: list[str], common: str) -> None:
    assert meeting.common(command) == common


@pytest.mark.parametrize("text", ["soon", "-1", "0", "inf", "nan"])
def test_a_time_limit_that_is_none(text: str) -> None:
    with pytest.raises(StartError, match="DDPLINT_ROLLCALL_TIMEOUT="):
        meeting.seconds({"DDPLINT_ROLLCALL_TIMEOUT": text})


def test_the_time_limit() -> None:
    assert meeting.seconds({}) == 60
    assert meeting.seconds({"DDPLINT_ROLLCALL_TIMEOUT": "2.5"}) == 2.5


def test_a_command_tells_jobs_apart_only_where_nothing_else_does() -> None:
    reported = Reported(command=["train.py", "--lr", "1"])
    assert meeting.attendance(detect(BY_HAND), BY_HAND, reported).command == "train.py --lr 1"
    assert meeting.attendance(detect(SLURM), SLURM, reported).command == ""


def test_the_port_is_agreed_upon_without_talking() -> None:
    found = meeting.located(detect(SLURM), SLURM, 1)
    other = SLURM | {"SLURM_PROCID": "0", "SLURM_LOCALID": "0"}
    assert found.master_port == meeting.located(detect(other), other, 1).master_port
    assert found.master_addr.value == "node0"
    assert found.master_port.source == "from the job's id"


def test_without_a_job_id_it_is_torchs_default() -> None:
    environ = {name: value for name, value in BY_HAND.items() if name != "MASTER_PORT"}
    assert meeting.located(detect(environ), environ, 1).master_port.value == 29500


def test_nobody_knows_where_rank_0_is() -> None:
    environ = {
        "OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_SIZE": "4", "OMPI_COMM_WORLD_LOCAL_RANK": "1",
        "OMPI_COMM_WORLD_LOCAL_SIZE": "2",
    }  # fmt: skip
    with pytest.raises(StartError, match=r"no master address(.|\n)*mpirun -x MASTER_ADDR=HOST"):
        meeting.located(detect(environ), environ, 1)


def test_names_for_those_who_read_them() -> None:
    found = meeting.exported(meeting.located(detect(SLURM), SLURM, 1))
    assert {name: found[name] for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")} == {
        "RANK": "1",
        "WORLD_SIZE": "2",
        "LOCAL_RANK": "1",
        "LOCAL_WORLD_SIZE": "2",
    }
    assert set(found) == {"RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"}
