"""Cray PALS: ``mpiexec`` of HPE's systems, often inside a PBS job.

Source: read second-hand, no page of HPE's was found: ezpz ``src/ezpz/distributed.py`` (the variables of Polaris,
Aurora and Sunspot) and PRRTE ``src/mca/ess/AGENTS.md`` (PALS_NODEID, PALS_APID). Never run.
"""

from __future__ import annotations

from ddplint.runtime.launchers import pbs
from ddplint.runtime.launchers.launcher import Environ, Launcher, Read, count
from ddplint.runtime.topology import Field, Topology, said, unsaid

NAME = "pals"
MARKERS = ("PALS_NODEID", "PALS_LOCAL_RANKID", "PALS_APID", "PALS_RANKID")


def started(environ: Environ) -> bool:
    return any(environ.get(name) for name in MARKERS)


def describe(environ: Environ, read: Read) -> Topology:
    hosts = pbs.hosts(environ, read)
    nnodes: Field[int] = unsaid("PALS does not say how many nodes there are")
    if hosts.value is not None and hosts.source is not None:
        nnodes = said(hosts.source, len(hosts.value))
    return Topology(
        NAME,
        rank=count(environ, "PMI_RANK"),
        local_rank=count(environ, "PALS_LOCAL_RANKID", "PMI_LOCAL_RANK", "PMIX_LOCAL_RANK"),
        node_rank=count(environ, "PALS_NODEID"),
        world_size=count(environ, "PMI_SIZE"),
        local_world_size=count(environ, "PMI_LOCAL_SIZE"),
        nnodes=nnodes,
        hosts=hosts,
    )


LAUNCHER = Launcher(NAME, ("PMI_RANK",), describe, started=started, job=(("PALS_APID",),))
