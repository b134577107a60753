"""A task of a Slurm step: what ``srun`` started.

Source: Slurm ``src/common/env.c`` (``env_array_for_step``, ``setup_env``), ``slurm/slurm.h`` (the ids of steps that
nobody launched) and ``doc/man/man1/srun.1``; run with 22.05. The variables of the *step* count: those of the job
(SLURM_NTASKS, SLURM_JOB_NODELIST) are the request, or stay as they were outside, and SLURM_NTASKS_PER_NODE is an
option.
"""

from __future__ import annotations

from ddplint.runtime.hostlist import HostlistError, expand, expand_counts
from ddplint.runtime.launchers.launcher import Environ, Launcher, Read, count
from ddplint.runtime.topology import DetectionError, Field, Topology, said, unsaid

NAME = "slurm"
STEP_ID, STEP_TASKS = "SLURM_STEP_ID", "SLURM_STEP_NUM_TASKS"
LAYOUT, NODELIST = "SLURM_STEP_TASKS_PER_NODE", "SLURM_STEP_NODELIST"
# slurm.h: extern 0xfffffffc, batch 0xfffffffb, interactive 0xfffffffa; printed with %d they are negative.
FIRST_RESERVED = 0xFFFFFFF0


def is_step(environ: Environ) -> bool:
    """Whether srun started this process: a batch script and salloc's shell have SLURM_PROCID=0 as well."""
    step = environ.get(STEP_ID, environ.get("SLURM_STEPID", "")).strip()
    return step.isascii() and step.isdigit() and len(step) < 19 and int(step) < FIRST_RESERVED


def layout(environ: Environ) -> tuple[int, ...]:
    """The tasks of each node of the step; empty where it is not said."""
    text = environ.get(LAYOUT, "")
    if not text:
        return ()
    try:
        return expand_counts(text)
    except ValueError as error:
        raise DetectionError(f"{LAYOUT}: {error}") from error


def describe(environ: Environ, read: Read) -> Topology:
    node_rank = count(environ, "SLURM_NODEID")
    return Topology(
        NAME,
        rank=count(environ, "SLURM_PROCID"),
        local_rank=count(environ, "SLURM_LOCALID"),
        node_rank=node_rank,
        world_size=count(environ, STEP_TASKS, "SLURM_NTASKS"),
        local_world_size=_tasks_here(layout(environ), node_rank.value),
        nnodes=count(environ, "SLURM_STEP_NUM_NODES"),
        hosts=_hosts(environ),
    )


def _tasks_here(tasks: tuple[int, ...], node_rank: int | None) -> Field[int]:
    if node_rank is None or not tasks:
        return unsaid(f"{LAYOUT} or SLURM_NODEID is not set")
    if node_rank >= len(tasks):
        raise DetectionError(f"SLURM_NODEID={node_rank}, but {LAYOUT} has {len(tasks)} nodes")
    return said(LAYOUT, tasks[node_rank])


def _hosts(environ: Environ) -> Field[tuple[str, ...]]:
    text = environ.get(NODELIST, "")
    if not text:
        # SLURM_JOB_NODELIST is the whole job's: its first host need not be one of this step's.
        return unsaid(f"{NODELIST} is not set")
    try:
        return said(NODELIST, expand(text))
    except HostlistError as error:
        raise DetectionError(f"{NODELIST}: {error}") from error


def note(environ: Environ) -> str | None:
    tasks = environ.get("SLURM_NTASKS", "")
    asked = f" of the {tasks} that SLURM_NTASKS asks for" if tasks else ""
    return (
        f"SLURM_PROCID={environ['SLURM_PROCID']} does not make this a task{asked}: a batch script and the shell of "
        "salloc have it too; srun starts the tasks"
    )


def step_note(environ: Environ) -> str | None:
    return note(environ) if "SLURM_PROCID" in environ and not is_step(environ) else None


# A requeued job keeps its id (SLURM_RESTART_COUNT: sbatch.1). SLURM_JOB_ID is the same in all components of a
# heterogeneous job.
BATCH_JOB = (("SLURM_JOB_ID", "SLURM_JOBID"), ("SLURM_RESTART_COUNT",))
JOB = (BATCH_JOB[0], (STEP_ID, "SLURM_STEPID"), BATCH_JOB[1])
LAUNCHER = Launcher(
    NAME, ("SLURM_PROCID", "SLURM_LOCALID", STEP_TASKS), describe, started=is_step, note=step_note, job=JOB
)
