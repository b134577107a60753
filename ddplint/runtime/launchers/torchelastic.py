"""torchrun, ``python -m torch.distributed.run`` and whatever else starts workers through torchelastic's agent.

Source: torch 2.14.1, ``torch/distributed/elastic/agent/server/local_elastic_agent.py`` (the variables of a worker)
and ``elastic/rendezvous/api.py``; run with 2.13.0. The agent overwrites RANK and its kin, so what stood there before
has no say; NODE_RANK is not its variable.
"""

from __future__ import annotations

from ddplint.runtime.launchers.launcher import Environ, Launcher, Read, count, text
from ddplint.runtime.topology import Topology, unsaid

NAME = "torchrun"
RUN_ID = "TORCHELASTIC_RUN_ID"


def describe(environ: Environ, read: Read) -> Topology:
    # With --virtual-local-rank (2.13 on) LOCAL_RANK is 0 in every worker, because each sees one device: it stays what
    # it is, the index of the device.
    return Topology(
        NAME,
        rank=count(environ, "RANK"),
        local_rank=count(environ, "LOCAL_RANK"),
        node_rank=count(environ, "GROUP_RANK"),
        world_size=count(environ, "WORLD_SIZE"),
        local_world_size=count(environ, "LOCAL_WORLD_SIZE"),
        nnodes=count(environ, "GROUP_WORLD_SIZE"),
        hosts=unsaid("torchrun names the master only"),
        master_addr=text(environ, "MASTER_ADDR"),
        master_port=count(environ, "MASTER_PORT"),
    )


# TORCHELASTIC_RESTART_COUNT counts the failures under one *agent*: with two agents (c10d, run with 2.13) one worker's
# failure starts a new round in which its own agent says 1 and the other 0. It is no part of the name.
LAUNCHER = Launcher(NAME, (RUN_ID, "RANK", "LOCAL_RANK", "WORLD_SIZE"), describe, job=((RUN_ID,),))
