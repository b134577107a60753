"""Hydra, the launcher of MPICH and of Intel MPI.

Source: MPICH ``src/pm/hydra/proxy/pmip_cb.c``; run with MPICH 4.0 and Intel MPI 2021. In PMI_PORT mode there is
PMI_ID and neither PMI_RANK nor PMI_SIZE. srun sets PMI_RANK too (``--mpi=pmi2``): only MPI_LOCALRANKID is Hydra's
own.
"""

from __future__ import annotations

from ddplint.runtime.launchers.launcher import Environ, Launcher, Read, count
from ddplint.runtime.topology import Topology, unsaid

NAME = "hydra"


def started(environ: Environ) -> bool:
    return bool(environ.get("PMI_RANK") or environ.get("PMI_ID"))


def describe(environ: Environ, read: Read) -> Topology:
    return Topology(
        NAME,
        rank=count(environ, "PMI_RANK", "PMI_ID"),
        local_rank=count(environ, "MPI_LOCALRANKID"),
        node_rank=unsaid("Hydra numbers no nodes"),
        world_size=count(environ, "PMI_SIZE", reason="PMI_SIZE is not set: Hydra's PMI_PORT mode leaves it out"),
        local_world_size=count(environ, "MPI_LOCALNRANKS"),
        nnodes=unsaid("Hydra does not say how many nodes there are"),
        hosts=unsaid("Hydra names no hosts but this one"),
    )


# Intel MPI's only (run): libfabric takes it as the key of the job on all nodes (prov/opx/src/fi_opx_domain.c). MPICH
# sets nothing that names the job.
JOB = (("I_MPI_HYDRA_UUID",),)
LAUNCHER = Launcher(NAME, ("MPI_LOCALRANKID",), describe, started=started, job=JOB)
