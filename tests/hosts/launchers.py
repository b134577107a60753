"""How a script is started on some of the nodes, with two processes on each, as its users would start it.

Every launcher gives the commands to run. Each launch has a port of its own, so that none meets what another left.
"""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from launch import Command
from network import HERE, SCRIPTS, Machine, Network

PORTS = itertools.count(20000)
# Seconds in which srun and mpirun end their jobs.
GRACE = 5.0
ASK = (sys.executable, "-I", "-S", str(HERE / "ask.py"))


@dataclass(frozen=True)
class Job:
    """A script, the nodes it runs on, and what is the same for all of them."""

    network: Network
    script: Path
    nnodes: int
    options: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    # False: real interpreters, started by the launcher itself.
    fork: bool = True

    @property
    def nodes(self) -> Sequence[Machine]:
        return self.network.nodes[: self.nnodes]


Launcher = Callable[[Job], list[Command]]


def python(fork: bool) -> tuple[str, ...]:
    return () if fork else (sys.executable,)


def by_hand(job: Job) -> list[Command]:
    """The same command on every node; a batch system has exported the number of nodes and this one's."""
    port = str(next(PORTS))
    meeting = {"MASTER_ADDR": "node0", "MASTER_PORT": port, "NNODES": str(job.nnodes)}
    words = (*python(job.fork), str(job.script), *job.options)
    return [
        Command(node, words, meeting | {"NODE_RANK": str(number)} | job.environment, job.fork)
        for number, node in enumerate(job.nodes)
    ]


def torchrun_static(job: Job) -> list[Command]:
    port = str(next(PORTS))
    return [
        torchrun(job, node, "--node-rank", str(number), "--master-addr", "node0", "--master-port", port)
        for number, node in enumerate(job.nodes)
    ]


def torchrun_c10d(job: Job) -> list[Command]:
    port = str(next(PORTS))
    meeting = ("--rdzv-backend", "c10d", "--rdzv-endpoint", f"node0:{port}", "--rdzv-id", port)
    return [torchrun(job, node, *meeting) for node in job.nodes]


def torchrun_port_29500(job: Job) -> list[Command]:
    """Where the launcher was told the port that stands in the script."""
    [node] = job.nodes
    return [torchrun(job, node, "--node-rank", "0", "--master-addr", "localhost", "--master-port", "29500")]


def torchrun(job: Job, node: Machine, *meeting: str) -> Command:
    """torchrun's agent is the real one. Forked, its workers are forked from it in turn, by two options of its own."""
    words = [*python(job.fork), "-m", "torch.distributed.run", "--nnodes", str(job.nnodes), "--nproc-per-node", "2"]
    words += [*meeting, "--rdzv-conf", "timeout=30,join_timeout=30"]
    environment = dict(job.environment)
    if job.fork:
        words += ["--run-path", "--start-method", "fork"]
        # An interpreter finds what lies beside its script; a fork of the agent does not.
        environment["PYTHONPATH"] = f"{job.script.parent}{os.pathsep}{SCRIPTS}"
    return Command(node, (*words, str(job.script), *job.options), environment, job.fork)


def srun(job: Job) -> list[Command]:
    """Two tasks on each node. ``cluster`` has put where Slurm is into the job's environment."""
    return [step(job, 2)]


def srun_one_task(job: Job) -> list[Command]:
    """One task on each node, which starts its processes itself."""
    return [step(job, 1)]


def srun_no_address(job: Job) -> list[Command]:
    """Two tasks on each node, and the batch script has exported a port but no MASTER_ADDR."""
    return [step(job, 2, address=False)]


def step(job: Job, tasks: int, address: bool = True) -> Command:
    # By name: a step before may not have left its node yet, and rank 0 is looked for on node0.
    nodes = ",".join(node.name for node in job.nodes)
    counts = (f"--nodes={job.nnodes}", f"--ntasks-per-node={tasks}")
    words = ("srun", f"--nodelist={nodes}", *counts, "--kill-on-bad-exit=1")
    exported = {"MASTER_PORT": str(next(PORTS)), **({"MASTER_ADDR": "node0"} if address else {})}
    return Command(
        job.network.controller,
        (*words, *ASK, str(job.network.folder), ".", "--fork", str(job.script), *job.options),
        exported | job.environment,
        fork=False,
        contain=False,
        patience=GRACE,
    )


def mpirun(job: Job) -> list[Command]:
    """Two processes on each node. As over ssh, nothing is in their environment but what ``-x`` names."""
    agent = job.network.folder / "rsh"
    agent.write_text(f'#!/bin/sh\nexec {" ".join(ASK)} {job.network.folder} "$@"\n', encoding="utf-8")
    agent.chmod(0o755)
    hosts = ",".join(f"{node.name}:2" for node in job.nodes)
    words = ["mpirun.openmpi", "--allow-run-as-root", "-np", str(2 * job.nnodes), "--host", hosts]
    for name, value in (("plm_rsh_agent", str(agent)), ("oob_tcp_if_include", "eth0"), ("btl", "self,tcp")):
        words += ["--mca", name, value]
    meeting = {"MASTER_ADDR": "node0", "MASTER_PORT": str(next(PORTS))}
    for name in (*meeting, "STANDIN_RECORDS", "PYTHONPATH", "OMP_NUM_THREADS"):
        words += ["-x", name]
    program = (*ASK, str(job.network.folder), ".", "--fork", str(job.script), *job.options)
    return [
        Command(
            job.nodes[0],
            (*words, *program),
            meeting | job.environment,
            fork=False,
            contain=False,
            patience=GRACE,
        )
    ]
