"""Volcano's pytorch plugin and Alibaba's PAI-DLC: RANK and WORLD_SIZE count *nodes*.

Source: Volcano #4238; Alibaba Cloud, page "General environment variables" of PAI-DLC (NPROC_PER_NODE). Never run.
Volcano alone leaves no name of its own that is sure: it is told by VC_TASK_INDEX, which its env plugin sets, PAI by
NPROC_PER_NODE.
"""

from __future__ import annotations

from ddplint.runtime.launchers.launcher import Environ, Launcher, Read, count, number, text
from ddplint.runtime.topology import Claim, Field, Topology, said, unsaid

NAME = "volcano"


def started(environ: Environ) -> bool:
    return "LOCAL_RANK" not in environ and bool(environ.get("NPROC_PER_NODE") or environ.get("VC_TASK_INDEX"))


def describe(environ: Environ, read: Read) -> Topology:
    node, processes = number(environ, "RANK"), number(environ, "NPROC_PER_NODE")
    rank, world_size = count(environ, "RANK"), count(environ, "WORLD_SIZE")
    local_rank: Field[int] = said("one process a node", 0)
    local_world_size: Field[int] = said("one process a node", 1)
    if processes is not None and processes != 1:
        many = f"RANK and WORLD_SIZE count nodes and NPROC_PER_NODE={processes}: start the script with torchrun"
        rank = unsaid(many, *(() if node is None else (Claim("RANK", node),)))
        world_size = local_rank = local_world_size = unsaid(many)
    return Topology(
        NAME,
        rank=rank,
        local_rank=local_rank,
        node_rank=count(environ, "RANK"),
        world_size=world_size,
        local_world_size=local_world_size,
        nnodes=count(environ, "WORLD_SIZE"),
        master_addr=text(environ, "MASTER_ADDR"),
        master_port=count(environ, "MASTER_PORT"),
    )


LAUNCHER = Launcher(NAME, ("RANK", "WORLD_SIZE"), describe, started=started)
