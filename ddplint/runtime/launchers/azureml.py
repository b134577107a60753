"""Azure Machine Learning: its PyTorch distribution; its MPI distribution is Open MPI with a master of its own name.

Source: learn.microsoft.com, page "Distributed GPU training guide" (RANK, LOCAL_RANK, WORLD_SIZE, NODE_RANK,
MASTER_*); DeepSpeed ``deepspeed/comm/comm.py`` (``patch_aml_env_for_torch_nccl_backend``: AZ_BATCH_MASTER_NODE is
"ip:port", AZ_BATCHAI_MPI_MASTER_NODE a name; AZUREML_EXPERIMENT_ID is the sign). Never run.
"""

from __future__ import annotations

from ddplint.runtime.launchers.launcher import Environ, Launcher, Read, count, text
from ddplint.runtime.topology import Field, Topology, said

NAME = "azureml"
MARKER = "AZUREML_EXPERIMENT_ID"
BATCH_MASTER, MPI_MASTER = "AZ_BATCH_MASTER_NODE", "AZ_BATCHAI_MPI_MASTER_NODE"


def mpi_master(environ: Environ) -> Field[str]:
    """Where rank 0 is under the MPI distribution, which sets no MASTER_ADDR."""
    address = environ.get(BATCH_MASTER, "").rpartition(":")[0]
    return said(BATCH_MASTER, address) if address else text(environ, MPI_MASTER)


def describe(environ: Environ, read: Read) -> Topology:
    return Topology(
        NAME,
        rank=count(environ, "RANK"),
        local_rank=count(environ, "LOCAL_RANK"),
        node_rank=count(environ, "NODE_RANK"),
        world_size=count(environ, "WORLD_SIZE"),
        master_addr=text(environ, "MASTER_ADDR"),
        master_port=count(environ, "MASTER_PORT"),
    )


# AZUREML_RUN_ID: azureml-core ``azureml/core/run.py`` (``get_context``); one run, however many nodes it has.
LAUNCHER = Launcher(NAME, (MARKER, "RANK", "LOCAL_RANK", "WORLD_SIZE"), describe, job=(("AZUREML_RUN_ID",),))
