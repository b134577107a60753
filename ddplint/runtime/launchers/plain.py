"""Nobody launched this process: it is the only one."""

from __future__ import annotations

from ddplint.runtime.launchers.launcher import Environ, Launcher, Read
from ddplint.runtime.topology import Topology, said, unsaid

NAME = "plain"
ALONE = "a single process"


def describe(environ: Environ, read: Read) -> Topology:
    nobody = f"{ALONE} needs none"
    return Topology(
        NAME,
        rank=said(ALONE, 0),
        local_rank=said(ALONE, 0),
        node_rank=said(ALONE, 0),
        world_size=said(ALONE, 1),
        local_world_size=said(ALONE, 1),
        nnodes=said(ALONE, 1),
        hosts=unsaid(nobody),
        master_addr=unsaid(nobody),
        master_port=unsaid(nobody),
    )


LAUNCHER = Launcher(NAME, (), describe)
