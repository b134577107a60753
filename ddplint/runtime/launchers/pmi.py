"""A process manager that only speaks PMI or PMIx: srun with ``--mpi=pmi2`` or ``pmix``, cray_shasta, others unknown.

Source: Slurm ``src/plugins/mpi/pmi2/mpi_pmi2.c`` (PMI_RANK, PMI_SIZE); OpenPMIx ``src/server/pmix_server.c``
(PMIX_RANK). Under srun this is a second voice beside Slurm's own; a launcher that is known comes first.
"""

from __future__ import annotations

from ddplint.runtime.launchers.launcher import Environ, Launcher, Read, count
from ddplint.runtime.topology import Topology, unsaid

NAME = "pmi"
NO_PLACE = "PMI does not say where a process runs"


def describe(environ: Environ, read: Read) -> Topology:
    return Topology(
        NAME,
        rank=count(environ, "PMI_RANK"),
        local_rank=count(environ, "PMI_LOCAL_RANK", reason=NO_PLACE),
        node_rank=unsaid(NO_PLACE),
        world_size=count(environ, "PMI_SIZE"),
        local_world_size=count(environ, "PMI_LOCAL_SIZE", reason=NO_PLACE),
        nnodes=unsaid(NO_PLACE),
        hosts=unsaid(NO_PLACE),
    )


LAUNCHER = Launcher(NAME, ("PMI_RANK", "PMI_SIZE"), describe)
