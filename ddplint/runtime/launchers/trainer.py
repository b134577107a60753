"""Kubeflow Trainer v2 (TrainJob), and an elastic PyTorchJob of v1: only PET_* names, which torchrun reads as options.

Source: trainer ``pkg/runtime/framework/plugins/torch/torch.go`` and ``pkg/constants/constants.go``;
training-operator 1.9 ``pkg/controller.v1/pytorch/elastic.go`` (PET_NNODES may be "1:4"). Never run. A script started
with plain ``python`` gets no rank from them.
"""

from __future__ import annotations

from ddplint.runtime.launchers.launcher import Environ, Launcher, Read, count, text
from ddplint.runtime.topology import Field, Topology, unsaid

NAME = "kubeflow-trainer"
USE_TORCHRUN = "PET_* are options for torchrun, which this process was not started with"


def describe(environ: Environ, read: Read) -> Topology:
    nodes = environ["PET_NNODES"].strip()
    nnodes: Field[int] = unsaid(f"PET_NNODES={nodes} is a range: torchrun settles it when the nodes have met")
    return Topology(
        NAME,
        rank=unsaid(USE_TORCHRUN),
        local_rank=unsaid(USE_TORCHRUN),
        node_rank=count(environ, "PET_NODE_RANK"),
        world_size=unsaid(USE_TORCHRUN),
        local_world_size=unsaid(USE_TORCHRUN),
        nnodes=nnodes if ":" in nodes else count(environ, "PET_NNODES"),
        master_addr=text(environ, "PET_MASTER_ADDR"),
        master_port=count(environ, "PET_MASTER_PORT"),
    )


LAUNCHER = Launcher(NAME, ("PET_NNODES",), describe)
