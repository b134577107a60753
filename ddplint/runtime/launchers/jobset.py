"""Kubernetes without an operator for torch: an Indexed Job, alone or as part of a JobSet.

Source: jobset ``site/static/examples/pytorch/**`` and ``api/jobset/v1alpha2/jobset_types.go``; JAX
``_src/clusters/k8s_cluster.py``. Never run. JOB_COMPLETION_INDEX counts the pods of *one* Job; how many there are is
known to the API server only.
"""

from __future__ import annotations

from ddplint.runtime.launchers.launcher import Environ, Launcher, Read, count
from ddplint.runtime.topology import Topology, unsaid

NAME = "indexed-job"
NO_RANK = "an Indexed Job numbers pods, not processes: start the script with torchrun"
NO_SIZE = "Kubernetes does not say in a pod how many pods there are"


def describe(environ: Environ, read: Read) -> Topology:
    return Topology(
        NAME,
        rank=unsaid(NO_RANK),
        local_rank=unsaid(NO_RANK),
        node_rank=count(environ, "JOB_COMPLETION_INDEX"),
        world_size=unsaid(NO_SIZE),
        local_world_size=unsaid(NO_RANK),
        nnodes=unsaid(NO_SIZE),
        hosts=unsaid("Kubernetes names no other pods"),
    )


LAUNCHER = Launcher(NAME, ("JOB_COMPLETION_INDEX",), describe)
