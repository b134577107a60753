"""DeepSpeed's ``deepspeed`` command.

Source: DeepSpeed ``deepspeed/launcher/launch.py`` at 048b0d5: it sets CROSS_RANK, CROSS_SIZE and LOCAL_SIZE beside
the names of torch, and overwrites what stood there. Never run.
"""

from __future__ import annotations

from ddplint.runtime.launchers.launcher import Environ, Launcher, Read, count, text
from ddplint.runtime.topology import Topology

NAME = "deepspeed"


def describe(environ: Environ, read: Read) -> Topology:
    return Topology(
        NAME,
        rank=count(environ, "RANK"),
        local_rank=count(environ, "LOCAL_RANK"),
        node_rank=count(environ, "CROSS_RANK"),
        world_size=count(environ, "WORLD_SIZE"),
        local_world_size=count(environ, "LOCAL_SIZE"),
        nnodes=count(environ, "CROSS_SIZE"),
        master_addr=text(environ, "MASTER_ADDR"),
        master_port=count(environ, "MASTER_PORT"),
    )


LAUNCHER = Launcher(NAME, ("CROSS_RANK", "CROSS_SIZE", "LOCAL_SIZE", "RANK", "LOCAL_RANK", "WORLD_SIZE"), describe)
