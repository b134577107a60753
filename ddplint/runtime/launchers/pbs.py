"""PBS without an MPI launcher: the job script, and tasks that ``pbsdsh`` or ``pbs_tmrsh`` spawned.

Source: OpenPBS ``src/resmom/start_exec.c`` (the variables of the job script), ``src/lib/Libifl/tm.c`` (of a spawned
task), ``src/cmds/pbs_mpirun.in`` (PBS_NODEFILE: one line a slot). Never run. PBS_TASKNUM counts the tasks of the
whole job, the script being the first: it is no rank.
"""

from __future__ import annotations

from ddplint.runtime.launchers.launcher import Environ, Launcher, Read, count, distinct, number
from ddplint.runtime.topology import Field, Topology, said, unsaid

NAME = "pbs"
NODEFILE, TASK = "PBS_NODEFILE", "PBS_TASKNUM"


def hosts(environ: Environ, read: Read) -> Field[tuple[str, ...]]:
    """The hosts of the job, from the file that PBS_NODEFILE names."""
    path = environ.get(NODEFILE, "")
    if not path:
        return unsaid(f"{NODEFILE} is not set")
    lines = read(path)
    if lines is None:
        return unsaid(f"{NODEFILE}={path} cannot be read here")
    found = distinct(lines.split())
    return said(NODEFILE, found) if found else unsaid(f"{NODEFILE}={path} is empty")


def started(environ: Environ) -> bool:
    task = number(environ, TASK)
    return task is not None and task > 1


def describe(environ: Environ, read: Read) -> Topology:
    named = hosts(environ, read)
    nnodes: Field[int] = unsaid("PBS says it in PBS_NODEFILE only")
    if named.value is not None and named.source is not None:
        nnodes = said(named.source, len(named.value))
    return Topology(
        NAME,
        rank=unsaid(
            "PBS gives its tasks no rank (PBS_TASKNUM counts the tasks of the whole job): use mpiexec or torchrun"
        ),
        local_rank=unsaid("PBS gives its tasks no local rank"),
        node_rank=count(environ, "PBS_NODENUM"),
        world_size=unsaid("PBS does not say how many tasks were spawned"),
        local_world_size=unsaid("PBS does not say how many tasks were spawned"),
        nnodes=nnodes,
        hosts=named,
    )


def note(environ: Environ) -> str | None:
    if environ.get("PBS_JOBID") and not environ.get("PMI_RANK"):
        return "this is a PBS job script: it runs once, on the first node; mpiexec or pbsdsh starts the rest"
    return None


BATCH_JOB = (("PBS_JOBID",),)
LAUNCHER = Launcher(NAME, ("PBS_JOBID", TASK), describe, started=started, note=note, job=BATCH_JOB)
