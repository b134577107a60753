"""Which job a process belongs to, so that two jobs that meet on one port are told apart.

Two jobs with the same address and port form one group and train together without an error (run with torch 2.13). The
variables of a job are those of its launcher's module; they are equal in all processes of one launch.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256

from ddplint.runtime.launchers import BY_NAME, DAEMONS, lsf, pbs, slurm
from ddplint.runtime.launchers.launcher import Environ
from ddplint.runtime.topology import Topology

OVERRIDE = "DDPLINT_JOB_TOKEN"
# Below the ports that Linux gives out on its own, 32768 to 60999 (Documentation/networking/ip-sysctl.rst,
# ip_local_port_range), so that no connection of somebody else's happens to sit on it.
FIRST_PORT, LAST_PORT = 20000, 32767

# Batch systems that a launcher without a name for its job may run in. A step is not asked for: the daemons of mpirun
# may be in one, and what mpirun starts beside itself is not.
_AROUND = (slurm.BATCH_JOB, pbs.BATCH_JOB, lsf.BATCH_JOB)
_WORDS = {
    OVERRIDE: "job token",
    "AZUREML_RUN_ID": "AzureML run",
    "I_MPI_HYDRA_UUID": "Intel MPI job",
    "LSB_JOBID": "LSF job",
    "LSB_JOBINDEX": "array index",
    "PALS_APID": "PALS application",
    "PBS_JOBID": "PBS job",
    "PMIX_NAMESPACE": "PMIx namespace",
    "SLURM_JOB_ID": "Slurm job",
    "SLURM_RESTART_COUNT": "restart",
    "SLURM_STEP_ID": "step",
    "TORCHELASTIC_RUN_ID": "torchrun run",
    "TRAINING_JOB_NAME": "SageMaker job",
}


@dataclass(frozen=True)
class JobName:
    """The variables that name a job, with their values; none where nothing does. The label is for people only."""

    name: tuple[tuple[str, str], ...] = ()
    label: str = field(default="no job id", compare=False)


def job_of(topology: Topology, environ: Environ) -> JobName:
    """The name of this process's job: what the user says, else its launcher, else the batch system around it.

    torchrun's run id is "none" unless ``--rdzv-id`` is given; a batch system is then not asked, because its agents
    may have been started from one shell of a job here and with ssh there.
    """
    token = environ.get(OVERRIDE, "").strip()
    if token:
        return _named(((OVERRIDE, token),), environ)
    launcher = BY_NAME[topology.launcher]
    ways = [launcher.job]
    if launcher in DAEMONS:
        # Hydra and its kin hand mpiexec's whole environment to all processes, also on other hosts.
        ways += _AROUND
    for parts in ways:
        found = tuple(_found(parts, environ))
        if found and found[0][0] == parts[0][0]:
            return _named(found, environ)
    return JobName()


def _found(parts: tuple[tuple[str, ...], ...], environ: Environ) -> Iterator[tuple[str, str]]:
    for names in parts:
        value = next((text for name in names if (text := environ.get(name, "").strip())), "")
        if value:
            yield names[0], value


def _named(name: tuple[tuple[str, str], ...], environ: Environ) -> JobName:
    words = [f"{_WORDS.get(variable, variable)} {value}" for variable, value in name]
    restart = environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    if name[0][0] == "TORCHELASTIC_RUN_ID" and restart != "0":
        words.append(f"restart {restart}")
    return JobName(name, ", ".join(words))


def key(job: JobName) -> bytes:
    """32 bytes that are equal for equal names; the same ones for every job without a name."""
    return sha256(json.dumps(job.name, separators=(",", ":")).encode("utf-8", "surrogateescape")).digest()


def port(job: JobName) -> int | None:
    """A port that all processes of a job agree on without talking; None where nothing names the job.

    It is likely, not certain, to be free and to be this job's alone.
    """
    if not job.name:
        return None
    return FIRST_PORT + int.from_bytes(key(job)[:8], "big") % (LAST_PORT - FIRST_PORT + 1)
