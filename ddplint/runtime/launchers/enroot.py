"""The hook of enroot (pyxis) that gives a container in a Slurm step the names of torch.

Source: NVIDIA/enroot ``conf/hooks/extra/50-slurm-pytorch.sh`` at 29541a8: RANK, LOCAL_RANK and WORLD_SIZE are copies
of SLURM_PROCID, SLURM_LOCALID and SLURM_NTASKS, MASTER_PORT is 61000 + job id % 4536, each only where it was not
set; the container has PYTORCH_VERSION. Never run. WORLD_SIZE may be wrong where SLURM_NTASKS is the job's, so
Slurm's step is asked first, and this one where the step's own variables did not reach the container.
"""

from __future__ import annotations

from ddplint.runtime.launchers import slurm
from ddplint.runtime.launchers.launcher import Environ, Launcher, Read, count, text
from ddplint.runtime.topology import Topology

NAME = "enroot"


def started(environ: Environ) -> bool:
    return environ.get("RANK") == environ.get("SLURM_PROCID") and environ.get("LOCAL_RANK") == environ.get(
        "SLURM_LOCALID"
    )


def describe(environ: Environ, read: Read) -> Topology:
    return Topology(
        NAME,
        rank=count(environ, "RANK"),
        local_rank=count(environ, "LOCAL_RANK"),
        node_rank=count(environ, "SLURM_NODEID"),
        world_size=count(environ, "WORLD_SIZE"),
        master_addr=text(environ, "MASTER_ADDR"),
        master_port=count(environ, "MASTER_PORT"),
    )


LAUNCHER = Launcher(
    NAME,
    ("PYTORCH_VERSION", "SLURM_PROCID", "RANK", "LOCAL_RANK", "WORLD_SIZE"),
    describe,
    started=started,
    job=slurm.BATCH_JOB,
)
