"""Amazon SageMaker: the script that its toolkit starts once a host.

Source: sagemaker-training-toolkit ``ENVIRONMENT_VARIABLES.md`` and ``torch_distributed.py``;
sagemaker-pytorch-training-toolkit ``training.py`` (MASTER_ADDR and MASTER_PORT=7777 are there for *every* script: no
sign of a launch). Never run. Its torch_distributed and MPI runners set the variables of torchrun and of Open MPI.
"""

from __future__ import annotations

import json

from ddplint.runtime.launchers.launcher import Environ, Launcher, Read, count, text
from ddplint.runtime.topology import DetectionError, Field, Topology, said, unsaid

NAME = "sagemaker"
ONE_HOST = "SM_HOSTS has one host"
NO_RANK = "SageMaker starts this script once a host and gives it no rank: use the estimator's torch_distributed option"


def _hosts(environ: Environ) -> tuple[str, ...]:
    try:
        hosts = json.loads(environ["SM_HOSTS"])
    except (ValueError, RecursionError) as error:
        raise DetectionError(f"SM_HOSTS={environ['SM_HOSTS']!r} is not JSON") from error
    if not (isinstance(hosts, list) and hosts and all(isinstance(host, str) for host in hosts)):
        raise DetectionError(f"SM_HOSTS={environ['SM_HOSTS']!r} is not a list of names")
    return tuple(hosts)


def describe(environ: Environ, read: Read) -> Topology:
    hosts, here = _hosts(environ), environ["SM_CURRENT_HOST"]
    if here not in hosts:
        raise DetectionError(f"SM_CURRENT_HOST={here} is not one of SM_HOSTS={environ['SM_HOSTS']}")
    alone = len(hosts) == 1
    rank: Field[int] = said(ONE_HOST, 0) if alone else unsaid(NO_RANK)
    size: Field[int] = said(ONE_HOST, 1) if alone else unsaid(NO_RANK)
    return Topology(
        NAME,
        rank=rank,
        local_rank=rank,
        node_rank=said("SM_CURRENT_HOST", hosts.index(here)),
        world_size=size,
        local_world_size=size,
        nnodes=said("SM_HOSTS", len(hosts)),
        hosts=said("SM_HOSTS", hosts),
        master_addr=text(environ, "MASTER_ADDR"),
        master_port=count(environ, "MASTER_PORT"),
    )


# TRAINING_JOB_NAME: wandb ``wandb/util.py`` reads it in SageMaker's containers.
LAUNCHER = Launcher(NAME, ("SM_HOSTS", "SM_CURRENT_HOST"), describe, job=(("TRAINING_JOB_NAME",),))
