"""The name of a job: equal in all its processes, another one for another job."""

from __future__ import annotations

from hashlib import sha256
from itertools import combinations

import pytest
import recorded

from ddplint.runtime.detection import detect
from ddplint.runtime.job import FIRST_PORT, LAST_PORT, JobName, job_of, key, port
from ddplint.runtime.launchers import BY_NAME

LAUNCHES = [name for name in recorded.names() if not name.endswith("batchscript")]
# Two files of one launch.
HET = ("slurm-het0", "slurm-het1")


# In the records of these launches, and not in the files that are kept of them; equal in all ranks.
IDS = {
    "intelmpi2021-np4": {"I_MPI_HYDRA_UUID": "a0470000-ecf0-dc11-d960-0600eae15345"},
    "openmpi-netns-2x2": {"PMIX_NAMESPACE": "1828519937"},
    "openmpi-np4": {"PMIX_NAMESPACE": "1566965761"},
    "openmpi5-np4": {"PMIX_NAMESPACE": "prterun-vm-19089@1"},
}


def launch(name: str) -> list[dict[str, str]]:
    return [{**environ, **IDS.get(name, {})} for environ in recorded.launch(name).values()]


def jobs(name: str) -> list[JobName]:
    return [job_of(detect(environ), environ) for environ in launch(name)]


def job(environ: dict[str, str]) -> JobName:
    return job_of(detect(environ), environ)


def written(name: str, **more: str) -> dict[str, str]:
    return {**recorded.read(recorded.WRITTEN / f"{name}.env"), **more}


@pytest.mark.parametrize("name", LAUNCHES)
def test_all_processes_of_a_launch_name_one_job(name: str) -> None:
    found = jobs(name)
    assert set(found) == {found[0]}
    assert {one.label for one in found} == {found[0].label}
    assert {(key(one), port(one)) for one in found} == {(key(found[0]), port(found[0]))}


def test_the_components_of_a_heterogeneous_job_are_one() -> None:
    assert jobs(HET[0])[0] == jobs(HET[1])[0]


def test_launches_with_an_id_are_told_apart() -> None:
    names = {name: jobs(name)[0] for name in LAUNCHES if name != HET[1]}
    # MPICH sets nothing that names the job, and torchrun without --rdzv-id calls every job "none".
    nameless = {name for name, found in names.items() if found == JobName() or found.name[0][1] == "none"}
    assert nameless == {
        "mpich-np4", "mpich-netns-2x2", "torchrun-1x2-static", "torchrun-2x2-static", "netns-torchrun-static",
    }  # fmt: skip
    # Recorded under controllers that were set up anew, so that both are Slurm's job 3.
    same = {("slurm-sbatch-direct", "slurm-srun-N2-tpn4-gres4")}
    for one, other in combinations(sorted(names.keys() - nameless), 2):
        assert (names[one] == names[other]) == ((one, other) in same), (one, other)


@pytest.mark.parametrize(
    ("environ", "label"),
    [
        ({}, "no job id"),
        ({"DDPLINT_JOB_TOKEN": " mine "}, "job token mine"),
        (recorded.launch("slurm-srun-cyclic")[0], "Slurm job 11, step 0"),
        ({**recorded.launch("slurm-srun-cyclic")[0], "SLURM_RESTART_COUNT": "1"}, "Slurm job 11, step 0, restart 1"),
        ({**recorded.launch("slurm-srun-cyclic")[0], "DDPLINT_JOB_TOKEN": "mine"}, "job token mine"),
        (recorded.launch("torchrun-1x2-static")[0], "torchrun run none"),
        ({**recorded.launch("torchrun-1x2-static")[0], "TORCHELASTIC_RESTART_COUNT": "1"},
         "torchrun run none, restart 1"),
        (recorded.launch("openmpi-np4-lo")[0], "PMIx namespace 169082881"),
        (launch("openmpi5-np4")[0], "PMIx namespace prterun-vm-19089@1"),
        (launch("intelmpi2021-np4")[0], "Intel MPI job a0470000-ecf0-dc11-d960-0600eae15345"),
        (written("pals-in-pbs"), "PALS application 0f1e"),
        (written("pbs-pbsdsh"), "PBS job 17.head"),
        (written("jsrun", LSB_JOBINDEX="2", PMIX_NAMESPACE="3"), "LSF job 99, array index 2, PMIx namespace 3"),
        (written("enroot-without-the-step", SLURM_JOB_ID="17"), "Slurm job 17"),
        (written("azureml-pytorch", AZUREML_RUN_ID="r"), "AzureML run r"),
        (written("sagemaker-one-host", TRAINING_JOB_NAME="t"), "SageMaker job t"),
        (written("kubeflow-one-process"), "no job id"),
        # A batch system around a launcher without an id of its own.
        ({**recorded.launch("mpich-np4")[1], "SLURM_JOB_ID": "7", "SLURM_RESTART_COUNT": "2"},
         "Slurm job 7, restart 2"),
        ({**recorded.launch("mpich-np4")[1], "PBS_JOBID": "17.head"}, "PBS job 17.head"),
        ({**recorded.launch("mpich-np4")[1], "LSB_JOBID": "99"}, "LSF job 99"),
        # Ranks set by hand may have been started with ssh from the one shell that is in the job.
        ({"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "n", "SLURM_JOB_ID": "7"}, "no job id"),
    ],
)  # fmt: skip
def test_label(environ: dict[str, str], label: str) -> None:
    assert job(environ).label == label


def test_an_agent_counts_its_own_failures_only() -> None:
    """After a failure under one of two agents, its worker says 1 and the other's 0, in one group."""
    worker = recorded.launch("netns-torchrun-c10d")[0]
    again = {**worker, "TORCHELASTIC_RESTART_COUNT": "1"}
    assert job(worker) == job(again)
    assert key(job(worker)) == key(job(again))


def test_a_restart_alone_names_nothing() -> None:
    assert job({**recorded.launch("mpich-np4")[0], "SLURM_RESTART_COUNT": "1"}) == JobName()


def test_the_key_is_the_digest_of_the_pairs() -> None:
    assert key(JobName()) == key(JobName((), "another label"))
    assert len(key(JobName())) == 32
    assert key(JobName((("A", "1"),))) == sha256(b'[["A","1"]]').digest()
    assert len({key(JobName(name)) for name in ((), (("A", "1"),), (("A", "2"),), (("B", "1"),))}) == 4
    assert key(JobName((("A", "\udcff"),)))


def test_the_port_is_below_those_that_linux_gives_out() -> None:
    found = {port(JobName((("SLURM_JOB_ID", str(number)),))) for number in range(2000)}
    assert None not in found
    assert all(FIRST_PORT <= one <= LAST_PORT for one in found if one is not None)
    assert len(found) > 1800
    assert port(JobName()) is None


def test_every_launcher_names_its_variables_once() -> None:
    for launcher in BY_NAME.values():
        names = [name for part in launcher.job for name in part]
        assert len(names) == len(set(names)), launcher.name
