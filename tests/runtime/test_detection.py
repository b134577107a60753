"""Order, contradictions, the override, and variables that cannot be read."""

from __future__ import annotations

import pytest
import recorded
from hypothesis import given
from hypothesis import strategies as st

from ddplint.runtime.conflict import Conflict
from ddplint.runtime.detection import detect
from ddplint.runtime.launchers import ORDER
from ddplint.runtime.topology import DetectionError, Field
from ddplint.runtime.validation import problems

STEP = recorded.launch("slurm-srun-cyclic")[2]
TORCH = {"RANK": "2", "LOCAL_RANK": "1", "WORLD_SIZE": "4", "MASTER_ADDR": "node0", "MASTER_PORT": "29500"}


def test_nobody_launched_it() -> None:
    topology = detect({})
    assert topology.launcher == "plain"
    assert (topology.rank.value, topology.world_size.value, topology.notes) == (0, 1, ())


def test_equal_claims_are_named() -> None:
    topology = detect({**STEP, **TORCH})
    assert topology.launcher == "slurm"
    assert [claim.source for claim in topology.rank.claims] == ["SLURM_PROCID", "RANK"]
    assert topology.master_addr.source == "MASTER_ADDR"
    assert [claim.source for claim in topology.master_addr.others] == ["first of SLURM_STEP_NODELIST"]
    assert topology.master_port.value == 29500


@pytest.mark.parametrize(
    ("name", "wrong"),
    [("RANK", "0"), ("WORLD_SIZE", "8"), ("LOCAL_RANK", "2"), ("NODE_RANK", "1"), ("PMI_RANK", "0")],
)
def test_different_claims_are_an_error_with_both_tables(name: str, wrong: str) -> None:
    with pytest.raises(Conflict) as error:
        detect({**STEP, **TORCH, "PMI_SIZE": "4", name: wrong})
    text = str(error.value)
    assert "slurm and " in text
    assert f"{wrong} ({name})" in text
    assert "(SLURM_" in text
    assert "DDPLINT_LAUNCHER=slurm or DDPLINT_LAUNCHER=" in text


def test_the_text_of_a_conflict() -> None:
    with pytest.raises(Conflict) as error:
        detect({**STEP, "RANK": "0", "WORLD_SIZE": "8", "MASTER_ADDR": "10.0.0.1"})
    lines = [line.rstrip() for line in str(error.value).splitlines()]
    assert lines == [
        "slurm and environment disagree about this process",
        "",
        "                    slurm                              environment",
        "* rank              2 (SLURM_PROCID)                   0 (RANK)",
        "  local rank        1 (SLURM_LOCALID)                  -",
        "  node rank         0 (SLURM_NODEID)                   -",
        "* world size        4 (SLURM_STEP_NUM_TASKS)           8 (WORLD_SIZE)",
        "  local world size  2 (SLURM_STEP_TASKS_PER_NODE)      -",
        "  nnodes            2 (SLURM_STEP_NUM_NODES)           -",
        "  hosts             node0,node1 (SLURM_STEP_NODELIST)  -",
        "  master addr       -                                  10.0.0.1 (MASTER_ADDR)",
        "",
        "Unset the variables that are left over from elsewhere, or set DDPLINT_LAUNCHER=slurm or "
        "DDPLINT_LAUNCHER=environment to say which one is right.",
    ]


def test_a_world_size_alone_contradicts_a_step() -> None:
    # NVIDIA/pyxis #111: one task was started, and WORLD_SIZE=8 exported.
    with pytest.raises(Conflict) as error:
        detect({**STEP, "WORLD_SIZE": "8"})
    assert "set DDPLINT_LAUNCHER=slurm to say" in str(error.value)


def test_a_world_size_alone_launches_nothing() -> None:
    topology = detect({"WORLD_SIZE": "8"})
    assert topology.launcher == "plain"
    assert topology.notes == ("WORLD_SIZE=8 without RANK: that launches nothing",)


@pytest.mark.parametrize("by_variable", [True, False])
def test_the_override_settles_it(by_variable: bool) -> None:
    environ = {**STEP, **TORCH, "RANK": "0"}
    for name, rank in (("slurm", 2), ("environment", 0), ("plain", 0)):
        topology = detect({**environ, "DDPLINT_LAUNCHER": name}) if by_variable else detect(environ, launcher=name)
        assert (topology.launcher, topology.rank.value) == (name, rank)
    assert detect(environ, launcher="slurm").rank.disputed
    assert detect(environ, launcher="plain").world_size.value == 1


def test_an_override_that_cannot_be() -> None:
    with pytest.raises(DetectionError, match="no launcher is called 'pytorch'; known are torchrun"):
        detect({}, launcher="pytorch")
    with pytest.raises(DetectionError, match=r"openmpi is asked for, but OMPI_COMM_WORLD_RANK and .* are not set"):
        detect(STEP, launcher="openmpi")


@pytest.mark.parametrize("step", ["-5", "-6", "4294967291", "4294967292", "", "batch"])
def test_what_srun_did_not_start_is_no_step(step: str) -> None:
    assert detect({**STEP, "SLURM_STEP_ID": step}).launcher == "plain"


def test_the_host_of_the_step_not_of_the_job() -> None:
    topology = detect({**STEP, "SLURM_STEP_NODELIST": "node[3,1]", "SLURM_JOB_NODELIST": "node[0-3]"})
    assert topology.master_addr.value == "node3"


def test_torchrun_overwrote_what_stood_there() -> None:
    worker = recorded.launch("slurm-sbatch-torchrun")[3]
    topology = detect({**worker, "NODE_RANK": "7", "PMI_RANK": "1", "PMI_SIZE": "2"})
    assert (topology.launcher, topology.rank.value, topology.node_rank.value) == ("torchrun", 3, 1)
    assert topology.inside == ("slurm", "pmi")


def test_what_does_not_count_need_not_be_readable() -> None:
    worker = recorded.launch("slurm-sbatch-torchrun")[3]
    assert detect({**worker, "SLURM_STEP_NODELIST": "(null"}).rank.value == 3
    assert detect({**STEP, "RANK": "two", "WORLD_SIZE": "4"}, launcher="slurm").rank.value == 2
    with pytest.raises(DetectionError, match="RANK='two'"):
        detect({**STEP, "RANK": "two", "WORLD_SIZE": "4"})


def test_mpirun_in_a_batch_script() -> None:
    script = recorded.launch("slurm-sbatch-direct-batchscript")[0]
    topology = detect({**script, **recorded.launch("openmpi-netns-2x2")[3]})
    assert (topology.launcher, topology.rank.value, topology.inside) == ("openmpi", 3, ())
    assert topology.master_addr.value == "node0"


def test_a_job_submitted_from_inside_mpirun() -> None:
    # sbatch exports the whole environment: the variables of a shell under mpirun come along to every task.
    stale = {"OMPI_COMM_WORLD_RANK": "0", "OMPI_COMM_WORLD_SIZE": "1", "OMPI_COMM_WORLD_LOCAL_RANK": "0"}
    task = recorded.launch("slurm-srun-N2-tpn1-gpus-per-node4-torchrun-style")[1]
    with pytest.raises(Conflict, match="openmpi and slurm disagree"):
        detect({**task, **stale})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SLURM_PROCID", "two"),
        ("SLURM_LOCALID", "-1"),
        ("SLURM_STEP_NUM_TASKS", "4.0"),
        ("SLURM_STEP_TASKS_PER_NODE", "2(2)"),
        ("SLURM_STEP_NODELIST", "node[0-"),
        ("SLURM_NODEID", "9"),
        ("MASTER_PORT", "http"),
        ("SLURM_PROCID", "9" * 5000),
        ("SLURM_PROCID", "\u0661"),
    ],
)
def test_a_value_that_cannot_be_read_is_named(name: str, value: str) -> None:
    with pytest.raises(DetectionError) as error:
        detect({**STEP, name: value})
    assert name in str(error.value)


@pytest.mark.parametrize("hosts", ["algo-1", "[]", "[1]", "{}", "[" * 100_000])
def test_hosts_that_are_no_json_list(hosts: str) -> None:
    with pytest.raises(DetectionError, match="SM_HOSTS="):
        detect({"SM_HOSTS": hosts, "SM_CURRENT_HOST": "algo-1"})


NAMES = sorted(
    {name for launch in recorded.names() for environ in recorded.launch(launch).values() for name in environ}
)


@given(st.dictionaries(st.sampled_from(NAMES), st.sampled_from(["0", "1", "2", "", "x", "a[0-1]", "1(x2)"])))
def test_any_environment_is_resolved_or_refused(environ: dict[str, str]) -> None:
    try:
        topology = detect(environ)
        problems(topology, environ)
    except DetectionError:
        return
    assert topology.launcher in {launcher.name for launcher in ORDER}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("openmpi-np4", "mpich-netns-2x2"),
        ("openmpi-np4", "intelmpi2021-np4"),
        ("openmpi-np4", "slurm-srun-cyclic"),
        ("openmpi5-np4", "slurm-srun-N2-n8-gpus8"),
        ("mpich-netns-2x2", "slurm-srun-cyclic"),
        ("intelmpi2021-np4", "slurm-srun-N2-n8-gpus8"),
    ],
)
def test_two_launchers_at_once_never_pass_in_silence(first: str, second: str) -> None:
    """Rank 1 of one launch with the variables of rank 2 of another beside its own."""
    with pytest.raises(Conflict):
        detect({**recorded.launch(first)[1], **recorded.launch(second)[2]})


def test_a_field_has_a_value_or_a_reason() -> None:
    with pytest.raises(ValueError, match="a value with its source"):
        Field(3)
    with pytest.raises(ValueError, match="a value with its source"):
        Field()
