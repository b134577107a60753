"""Open MPI 4 and 5: ``mpirun``, ``mpiexec``, ``prterun``.

Source: Open MPI ``docs/tuning-apps/environment-var.rst``; OpenPMIx ``src/mca/pmdl/ompi/pmdl_ompi.c``; run with 4.1
and 5.0. OMPI_COMM_WORLD_NODE_RANK is the rank on this node among all jobs, not the number of the node, and
OMPI_UNIVERSE_SIZE counts slots: neither is read. OMPI_MCA_orte_hnp_uri (4 only) is where mpirun runs, not where rank
0 does.
"""

from __future__ import annotations

from ddplint.runtime.launchers.launcher import Environ, Launcher, Read, count
from ddplint.runtime.topology import Topology, unsaid

NAME = "openmpi"
NO_NODES = "Open MPI numbers no nodes (OMPI_COMM_WORLD_NODE_RANK is the rank on this node, over all jobs)"


def describe(environ: Environ, read: Read) -> Topology:
    return Topology(
        NAME,
        rank=count(environ, "OMPI_COMM_WORLD_RANK", "PMIX_RANK"),
        local_rank=count(environ, "OMPI_COMM_WORLD_LOCAL_RANK"),
        node_rank=unsaid(NO_NODES),
        world_size=count(environ, "OMPI_COMM_WORLD_SIZE"),
        local_world_size=count(environ, "OMPI_COMM_WORLD_LOCAL_SIZE"),
        nnodes=unsaid("Open MPI does not say how many nodes there are"),
        hosts=unsaid("Open MPI names no hosts"),
    )


LAUNCHER = Launcher(NAME, ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"), describe, job=(("PMIX_NAMESPACE",),))
