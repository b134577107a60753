"""What each launcher puts into the environment of the processes that it starts.

One table, the source of every fact beside it. A variable means the same thing wherever it is read; which variables a
process has depends on who started it. Recorded environments of real launches confirm the tables in the tests.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass


class Role(enum.Enum):
    """What a number counts, in torch's own words."""

    RANK = "global rank"
    LOCAL_RANK = "local rank"
    NODE_RANK = "node rank"
    WORLD_SIZE = "world size"
    LOCAL_WORLD_SIZE = "processes per node"
    NNODES = "number of nodes"
    GPUS = "GPUs on the node"
    MASTER_ADDR = "master address"
    MASTER_PORT = "master port"
    HOSTLIST = "compressed host list"
    LAUNCH_HOST = "host that srun ran on"
    OTHER = "something else"


@dataclass(frozen=True, slots=True, eq=False)
class Launcher:
    """A way to start processes: its name, the command people type, and the variables it sets."""

    name: str
    command: str
    variables: Mapping[str, Role]


# torch 2.13, torch/distributed/elastic/agent/server/local_elastic_agent.py, LocalElasticAgent._start_workers;
# torch.distributed.launch sets the same variables (torch/distributed/launch.py).
TORCHRUN = Launcher(
    "torchrun",
    "torchrun",
    {
        "RANK": Role.RANK,
        "LOCAL_RANK": Role.LOCAL_RANK,
        "GROUP_RANK": Role.NODE_RANK,
        "ROLE_RANK": Role.RANK,
        "WORLD_SIZE": Role.WORLD_SIZE,
        "LOCAL_WORLD_SIZE": Role.LOCAL_WORLD_SIZE,
        "GROUP_WORLD_SIZE": Role.NNODES,
        "ROLE_WORLD_SIZE": Role.WORLD_SIZE,
        "MASTER_ADDR": Role.MASTER_ADDR,
        "MASTER_PORT": Role.MASTER_PORT,
        "TORCHELASTIC_RUN_ID": Role.OTHER,
        "TORCHELASTIC_RESTART_COUNT": Role.OTHER,
        "TORCHELASTIC_MAX_RESTARTS": Role.OTHER,
        "TORCHELASTIC_USE_AGENT_STORE": Role.OTHER,
        "TORCHELASTIC_ERROR_FILE": Role.OTHER,
        "OMP_NUM_THREADS": Role.OTHER,
    },
)

# Slurm 22.05, src/common/env.c (env_array_for_step, setup_env); man srun(1), OUTPUT ENVIRONMENT VARIABLES.
# SLURM_GPUS_ON_NODE counts the step's GPUs on this node; SLURM_GPUS_PER_NODE is the request and may be "a100:4".
SRUN = Launcher(
    "srun",
    "srun",
    {
        "SLURM_PROCID": Role.RANK,
        "SLURM_LOCALID": Role.LOCAL_RANK,
        "SLURM_NODEID": Role.NODE_RANK,
        "SLURM_NTASKS": Role.WORLD_SIZE,
        "SLURM_NPROCS": Role.WORLD_SIZE,
        "SLURM_STEP_NUM_TASKS": Role.WORLD_SIZE,
        "SLURM_NTASKS_PER_NODE": Role.LOCAL_WORLD_SIZE,
        "SLURM_TASKS_PER_NODE": Role.OTHER,
        "SLURM_STEP_TASKS_PER_NODE": Role.OTHER,
        "SLURM_NNODES": Role.NNODES,
        "SLURM_JOB_NUM_NODES": Role.NNODES,
        "SLURM_STEP_NUM_NODES": Role.NNODES,
        "SLURM_GPUS_ON_NODE": Role.GPUS,
        "SLURM_GPUS_PER_NODE": Role.GPUS,
        "SLURM_NODELIST": Role.HOSTLIST,
        "SLURM_JOB_NODELIST": Role.HOSTLIST,
        "SLURM_STEP_NODELIST": Role.HOSTLIST,
        "SLURM_LAUNCH_NODE_IPADDR": Role.LAUNCH_HOST,
        "SLURM_SRUN_COMM_HOST": Role.LAUNCH_HOST,
        "SLURM_JOB_ID": Role.OTHER,
        "SLURM_JOBID": Role.OTHER,
        "SLURM_JOB_NAME": Role.OTHER,
        "SLURM_STEP_ID": Role.OTHER,
        "SLURMD_NODENAME": Role.OTHER,
    },
)

# Open MPI 4.1 and 5.0, docs/tuning-apps/environment-var.rst. OMPI_COMM_WORLD_NODE_RANK counts the processes of all
# jobs on this node: it is a local rank, not the index of the node.
OPENMPI = Launcher(
    "mpirun",
    "mpirun",
    {
        "OMPI_COMM_WORLD_RANK": Role.RANK,
        "OMPI_COMM_WORLD_LOCAL_RANK": Role.LOCAL_RANK,
        "OMPI_COMM_WORLD_NODE_RANK": Role.LOCAL_RANK,
        "OMPI_COMM_WORLD_SIZE": Role.WORLD_SIZE,
        "OMPI_COMM_WORLD_LOCAL_SIZE": Role.LOCAL_WORLD_SIZE,
        "OMPI_UNIVERSE_SIZE": Role.OTHER,  # slots, not processes
        "PMIX_RANK": Role.RANK,
    },
)

# MPICH 4.0, src/pm/hydra/proxy/pmip_cb.c; Intel MPI 2021 is built on it and sets the same.
HYDRA = Launcher(
    "mpiexec",
    "mpiexec (MPICH)",
    {
        "PMI_RANK": Role.RANK,
        "PMI_ID": Role.RANK,
        "PMI_SIZE": Role.WORLD_SIZE,
        "MPI_LOCALRANKID": Role.LOCAL_RANK,
        "MPI_LOCALNRANKS": Role.LOCAL_WORLD_SIZE,
    },
)

# MVAPICH2 user guide, "MVAPICH2 environment variables"; accelerate, utils/environment.py.
MVAPICH = Launcher(
    "mpirun_rsh",
    "mpirun_rsh",
    {
        "MV2_COMM_WORLD_RANK": Role.RANK,
        "MV2_COMM_WORLD_LOCAL_RANK": Role.LOCAL_RANK,
        "MV2_COMM_WORLD_SIZE": Role.WORLD_SIZE,
        "MV2_COMM_WORLD_LOCAL_SIZE": Role.LOCAL_WORLD_SIZE,
    },
)

LAUNCHERS: tuple[Launcher, ...] = (TORCHRUN, SRUN, OPENMPI, HYDRA, MVAPICH)

# Set by a platform or by hand, once a node: PyTorchJob and composer set NODE_RANK; NNODES and NPROC_PER_NODE are what
# batch scripts and Alibaba PAI-DLC export; PET_* are the environment defaults of torchrun (torch 2.13, run.py).
BY_NODE: Mapping[str, Role] = {
    "NODE_RANK": Role.NODE_RANK,
    "PET_NODE_RANK": Role.NODE_RANK,
    "NNODES": Role.NNODES,
    "NUM_NODES": Role.NNODES,
    "PET_NNODES": Role.NNODES,
    "NPROC_PER_NODE": Role.LOCAL_WORLD_SIZE,
    "PET_NPROC_PER_NODE": Role.LOCAL_WORLD_SIZE,
    "PBS_NODENUM": Role.NODE_RANK,
    "JOB_COMPLETION_INDEX": Role.NODE_RANK,
}

RENDEZVOUS = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")

_SCHEDULER = re.compile(r"(SLURM|OMPI|PMI|PMIX|MV2|MPI_LOCAL|PALS|PBS|LSB|JSM)[A-Z0-9]*_")


def meaning(name: str) -> Role | None:
    """What a variable counts, by whoever sets it; None for a name that no launcher uses."""
    for launcher in LAUNCHERS:
        role = launcher.variables.get(name)
        if role is not None:
            return role
    return BY_NODE.get(name)


def owner(name: str) -> Launcher | None:
    """The launcher that sets a variable, if one does."""
    return next((launcher for launcher in LAUNCHERS if name in launcher.variables), None)


def name_of(launcher: Launcher, role: Role) -> str:
    """The variable of a launcher that counts ``role``."""
    return next((name for name, counted in launcher.variables.items() if counted is role), role.value)


def is_scheduler_variable(name: str) -> bool:
    """Whether only a cluster's scheduler or an MPI sets such a name: reading it shows that several nodes are meant."""
    return _SCHEDULER.match(name) is not None
