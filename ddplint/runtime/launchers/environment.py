"""The names of torch set by hand or by something unknown: ``RANK``, ``WORLD_SIZE``, ``MASTER_ADDR``, ``MASTER_PORT``.

Source: torch 2.14.1 ``torch/distributed/rendezvous.py`` (``env://`` reads these four); LOCAL_RANK and
LOCAL_WORLD_SIZE are torchrun's, NODE_RANK is Lightning's, composer's and AzureML's. Composer's ``cli/launcher.py``
and accelerate's ``utils/launch.py`` set them too.
"""

from __future__ import annotations

from ddplint.runtime.launchers.launcher import Environ, Launcher, Read, count, text
from ddplint.runtime.topology import Topology, unsaid

NAME = "environment"
NAMES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "NODE_RANK")


def describe(environ: Environ, read: Read) -> Topology:
    return Topology(
        NAME,
        rank=count(environ, "RANK", reason="RANK is not set"),
        local_rank=count(environ, "LOCAL_RANK", reason="LOCAL_RANK is not set"),
        node_rank=count(environ, "NODE_RANK", reason="NODE_RANK is not set"),
        world_size=count(environ, "WORLD_SIZE", reason="WORLD_SIZE is not set"),
        local_world_size=count(environ, "LOCAL_WORLD_SIZE", reason="LOCAL_WORLD_SIZE is not set"),
        nnodes=count(environ, "NNODES", reason="NNODES is not set"),
        hosts=unsaid("no variable names the hosts"),
        master_addr=text(environ, "MASTER_ADDR", reason="MASTER_ADDR is not set"),
        master_port=count(environ, "MASTER_PORT", reason="MASTER_PORT is not set"),
    )


def note(environ: Environ) -> str | None:
    found = [f"{name}={environ[name]}" for name in NAMES if environ.get(name)]
    missing = [name for name in ("RANK", "WORLD_SIZE") if not environ.get(name)]
    if not found or not missing:
        return None
    return f"{', '.join(found)} without {' and '.join(missing)}: that launches nothing"


LAUNCHER = Launcher(NAME, ("RANK", "WORLD_SIZE"), describe, note=note)
