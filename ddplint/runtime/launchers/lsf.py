"""LSF's ``jsrun`` (JSM), as on Summit and Sierra.

Source: IBM's page "Environment variables set for job execution" and Lightning ``environments/lsf.py``. Never run. Of
LSB_DJOB_RANKFILE the first line is the launch node, where the job script runs and no rank does; LSB_HOSTS is empty
in large jobs (Lightning #10216). jsrun sets the OMPI_* names as well.
"""

from __future__ import annotations

from ddplint.runtime.launchers.launcher import Environ, Launcher, Read, count, distinct
from ddplint.runtime.topology import Field, Topology, said, unsaid

NAME = "jsrun"
RANKFILE = "LSB_DJOB_RANKFILE"


def hosts(environ: Environ, read: Read) -> Field[tuple[str, ...]]:
    path = environ.get(RANKFILE, "")
    if not path:
        return unsaid(f"{RANKFILE} is not set")
    lines = read(path)
    if lines is None:
        return unsaid(f"{RANKFILE}={path} cannot be read here")
    found = distinct(lines.split()[1:])
    return said(RANKFILE, found) if found else unsaid(f"{RANKFILE}={path} names no host after the launch node")


def describe(environ: Environ, read: Read) -> Topology:
    named = hosts(environ, read)
    nnodes: Field[int] = unsaid(f"LSF says it in {RANKFILE} only")
    if named.value is not None and named.source is not None:
        nnodes = said(named.source, len(named.value))
    return Topology(
        NAME,
        rank=count(environ, "JSM_NAMESPACE_RANK"),
        local_rank=count(environ, "JSM_NAMESPACE_LOCAL_RANK"),
        node_rank=unsaid("jsrun numbers no nodes"),
        world_size=count(environ, "JSM_NAMESPACE_SIZE"),
        local_world_size=unsaid("jsrun does not say it reliably"),
        nnodes=nnodes,
        hosts=named,
    )


# LSB_JOBINDEX is the index in a job array (the same page of IBM's). No variable of JSM's own that names the step was
# found; as every PMIx server, it sets PMIX_NAMESPACE (OpenPMIx src/server/pmix_server.c).
BATCH_JOB = (("LSB_JOBID",), ("LSB_JOBINDEX",))
LAUNCHER = Launcher(NAME, ("JSM_NAMESPACE_RANK", "JSM_NAMESPACE_SIZE"), describe, job=(*BATCH_JOB, ("PMIX_NAMESPACE",)))
