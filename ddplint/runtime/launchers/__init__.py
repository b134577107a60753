"""The launchers, in the order in which they are asked.

A launcher that overwrites the variables of others comes before them (torchrun and deepspeed), a launcher before the
batch system that it runs in, a batch system before names that anyone may have set, and last what only gives a part.
"""

from __future__ import annotations

from ddplint.runtime.launchers import (
    azureml,
    deepspeed,
    enroot,
    environment,
    hydra,
    jobset,
    kubeflow,
    lsf,
    mvapich,
    openmpi,
    pals,
    pbs,
    plain,
    pmi,
    sagemaker,
    slurm,
    torchelastic,
    trainer,
    volcano,
)
from ddplint.runtime.launchers.launcher import Launcher

# They start one agent a node, by whatever means, and the agent sets all of its workers' variables.
AGENTS: tuple[Launcher, ...] = (torchelastic.LAUNCHER, deepspeed.LAUNCHER)
# mpirun may start a daemon a node with srun, and the processes inherit the daemon's step.
DAEMONS: tuple[Launcher, ...] = (openmpi.LAUNCHER, mvapich.LAUNCHER, pals.LAUNCHER, hydra.LAUNCHER)
# jsrun sets the names of Open MPI as well, and PALS those of PMI.
ORDER: tuple[Launcher, ...] = (
    *AGENTS,
    lsf.LAUNCHER,
    *DAEMONS,
    slurm.LAUNCHER,
    azureml.LAUNCHER,
    enroot.LAUNCHER,
    kubeflow.LAUNCHER,
    volcano.LAUNCHER,
    environment.LAUNCHER,
    pmi.LAUNCHER,
    sagemaker.LAUNCHER,
    trainer.LAUNCHER,
    jobset.LAUNCHER,
    pbs.LAUNCHER,
    plain.LAUNCHER,
)
BY_NAME = {launcher.name: launcher for launcher in ORDER}
