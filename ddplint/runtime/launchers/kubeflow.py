"""Kubeflow's training operator v1: a pod of a PyTorchJob that runs plain ``python``.

Source: training-operator release-1.9 ``pkg/controller.v1/pytorch/envvar.go``, ``master.go``, ``elastic.go``. Never
run. RANK is the number of the *pod*, while WORLD_SIZE counts *processes* (replicas x nprocPerNode): with more than
one process a pod, RANK is nobody's rank (trainer #1790, #1713). Under torchrun, torchrun's own variables count.
"""

from __future__ import annotations

from ddplint.runtime.launchers.launcher import Environ, Launcher, Read, count, number, text
from ddplint.runtime.topology import Claim, Field, Topology, said, unsaid

NAME = "kubeflow"


def started(environ: Environ) -> bool:
    # An elastic job has "1:4" there, and no RANK.
    return environ["PET_NNODES"].strip().isdigit() and "LOCAL_RANK" not in environ


def describe(environ: Environ, read: Read) -> Topology:
    world, nodes = number(environ, "WORLD_SIZE"), number(environ, "PET_NNODES")
    pod = number(environ, "RANK")
    rank: Field[int] = count(environ, "RANK")
    local_rank: Field[int] = said("one process a pod", 0)
    local_world_size: Field[int] = said("one process a pod", 1)
    if world != nodes:
        many = f"WORLD_SIZE={world} counts processes and PET_NNODES={nodes} pods: start the script with torchrun"
        rank = unsaid(f"RANK={pod} is the number of the pod; {many}", *(() if pod is None else (Claim("RANK", pod),)))
        local_rank = local_world_size = unsaid(many)
    return Topology(
        NAME,
        rank=rank,
        local_rank=local_rank,
        node_rank=count(environ, "RANK", "PET_NODE_RANK"),
        world_size=count(environ, "WORLD_SIZE"),
        local_world_size=local_world_size,
        nnodes=count(environ, "PET_NNODES"),
        hosts=unsaid("the operator names the master only"),
        master_addr=text(environ, "MASTER_ADDR", "PET_MASTER_ADDR"),
        master_port=count(environ, "MASTER_PORT", "PET_MASTER_PORT"),
    )


LAUNCHER = Launcher(NAME, ("RANK", "WORLD_SIZE", "PET_NNODES"), describe, started=started)
