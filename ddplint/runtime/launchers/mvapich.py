"""MVAPICH2: ``mpirun_rsh`` and ``mpiexec``.

Source: accelerate ``src/accelerate/utils/environment.py`` (``get_cpu_distributed_information``). Never run.
"""

from __future__ import annotations

from ddplint.runtime.launchers.launcher import Environ, Launcher, Read, count
from ddplint.runtime.topology import Topology, unsaid

NAME = "mvapich2"


def describe(environ: Environ, read: Read) -> Topology:
    return Topology(
        NAME,
        rank=count(environ, "MV2_COMM_WORLD_RANK"),
        local_rank=count(environ, "MV2_COMM_WORLD_LOCAL_RANK"),
        node_rank=unsaid("MVAPICH2 numbers no nodes"),
        world_size=count(environ, "MV2_COMM_WORLD_SIZE"),
        local_world_size=count(environ, "MV2_COMM_WORLD_LOCAL_SIZE"),
        nnodes=unsaid("MVAPICH2 does not say how many nodes there are"),
        hosts=unsaid("MVAPICH2 names no hosts"),
    )


LAUNCHER = Launcher(NAME, ("MV2_COMM_WORLD_RANK", "MV2_COMM_WORLD_SIZE"), describe)
