"""How a script is started on some of the nodes, with two processes on each, as its users would start it.

Every launcher gives the commands to run. Each launch has a port of its own, so that none meets what another left.
"""

from __future__ import annotations

import itertools
import os
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from launch import Command
from network import HERE, SCRIPTS, Machine, Network

PORTS = itertools.count(20000)
# Seconds in which srun and mpirun end their jobs.
GRACE = 5.0
ASK = (sys.executable, "-I", "-S", str(HERE / "ask.py"))


# To run a script under it: ``Job(network, DDPLINT, nnodes, ("run", script))``.
DDPLINT = HERE.parents[1] / "ddplint" / "__main__.py"


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

    @property
    def words(self) -> tuple[str, ...]:
        """What stands behind ``python``. torchrun forks no module, so then ddplint is a file too."""
        program = ("-m", "ddplint") if self.script == DDPLINT and not self.fork else (str(self.script),)
        return (*program, *self.options)

    def python(self, *words: str) -> tuple[str, ...]:
        """Python with these words, as srun or mpirun starts it."""
        return (*ASK, str(self.network.folder), ".", "--fork", *words) if self.fork else (sys.executable, *words)


Launcher = Callable[[Job], list[Command]]


def python(fork: bool) -> tuple[str, ...]:
    return () if fork else (sys.executable,)


def by_hand(job: Job) -> list[Command]:
    """The same command on every node; a batch system has exported the number of nodes and this one's."""
    port = str(next(PORTS))
    meeting = {"MASTER_ADDR": "node0", "MASTER_PORT": port, "NNODES": str(job.nnodes)}
    words = (*python(job.fork), *job.words)
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


def torchrun_standalone(job: Job) -> list[Command]:
    [node] = job.nodes
    return [torchrun(job, node, "--standalone")]


def torchrun_c10d(job: Job) -> list[Command]:
    port = str(next(PORTS))
    meeting = ("--rdzv-backend", "c10d", "--rdzv-endpoint", f"node0:{port}", "--rdzv-id", port)
    return [torchrun(job, node, *meeting) for node in job.nodes]


def torchrun_port_29500(job: Job) -> list[Command]:
    """Where the launcher was told the port that stands in the script."""
    [node] = job.nodes
    return [torchrun(job, node, "--node-rank", "0", "--master-addr", "localhost", "--master-port", "29500")]


def torchrun(job: Job, node: Machine, *meeting: str) -> Command:
    words = [*python(job.fork), "-m", "torch.distributed.run", "--nnodes", str(job.nnodes), "--nproc-per-node", "2"]
    words += [*meeting, "--rdzv-conf", "timeout=30,join_timeout=30", *forks(job), *job.words]
    return Command(node, tuple(words), job.environment | fork_environment(job), job.fork)


def forks(job: Job) -> tuple[str, ...]:
    """torchrun's agent is the real one. Forked, its workers are forked from it in turn, by two options of its own."""
    return ("--run-path", "--start-method", "fork") if job.fork else ()


def fork_environment(job: Job) -> dict[str, str]:
    """An interpreter finds what lies beside its script; a fork of the agent does not."""
    return {"PYTHONPATH": f"{job.script.parent}{os.pathsep}{SCRIPTS}"} if job.fork else {}


def ddplint_torchrun(job: Job) -> list[Command]:
    """``ddplint run`` on every node, told what torchrun would be told; it hands over to torchrun."""
    command, *options = job.options
    told = ("--nnodes", str(job.nnodes), "--nproc-per-node", "2", "--master-addr", "node0")
    told += ("--master-port", str(next(PORTS)))
    commands = []
    for number, node in enumerate(job.nodes):
        one = replace(job, options=(command, *told, "--node-rank", str(number), *options))
        commands.append(Command(node, (*python(job.fork), *one.words), job.environment, job.fork))
    return commands


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
    exported = {"MASTER_PORT": str(next(PORTS)), **({"MASTER_ADDR": "node0"} if address else {})}
    return srun_with(job, f"--ntasks-per-node={tasks}", "--kill-on-bad-exit=1", exported=exported)


def srun_with(job: Job, *options: str, exported: Mapping[str, str] | None = None) -> Command:
    """srun as it is, with these options; the batch script has exported nothing else."""
    # By name: a step before may not have left its node yet, and rank 0 is looked for on node0.
    nodes = ",".join(node.name for node in job.nodes)
    return Command(
        job.network.controller,
        ("srun", f"--nodelist={nodes}", f"--nodes={job.nnodes}", *options, *job.python(*job.words)),
        dict(exported or {}) | job.environment,
        fork=False,
        contain=False,
        patience=GRACE,
    )


def srun_options(*options: str) -> Launcher:
    """Two tasks on each node unless the options say otherwise, and no address and no port of ours."""

    def launcher(job: Job) -> list[Command]:
        return [srun_with(job, "--kill-on-bad-exit=1", *(options or ("--ntasks-per-node=2",)))]

    return launcher


def srun_wrapped(line: str) -> Launcher:
    """Two tasks on each node, each of them in a shell that runs this line first. Those that fail end no others."""

    def launcher(job: Job) -> list[Command]:
        wrapper = ("sh", "-c", f'{line}; exec "$@"', "sh")
        return [srun_with(job, "--ntasks-per-node=2", "--kill-on-bad-exit=0", *wrapper)]

    return launcher


def sbatch_srun(job: Job) -> list[Command]:
    """A batch script that starts two tasks on each node."""
    return [batch(job, 2, f"srun --kill-on-bad-exit=1 {shlex.join(job.python(*job.words))}")]


def sbatch_torchrun(job: Job) -> list[Command]:
    """A batch script that starts one torchrun on each node, which starts two processes."""
    agent = shlex.join(job.python("-m", "torch.distributed.run", "--nproc-per-node", "2", *forks(job)))
    meeting = "--nnodes $SLURM_JOB_NUM_NODES --rdzv-id $SLURM_JOB_ID --rdzv-backend c10d --rdzv-endpoint $first:$port"
    lines = (
        'first=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)',
        f"port={next(PORTS)}",
        f"srun --kill-on-bad-exit=1 {agent} {meeting} {shlex.join(job.words)}",
    )
    return [batch(replace(job, environment=job.environment | fork_environment(job)), 1, *lines)]


def batch(job: Job, tasks: int, *lines: str) -> Command:
    """Submit a batch script, wait for it, show what it has printed, and end as it has ended."""
    # sbatch --wait would look every ten seconds only.
    body = "\n".join(lines)
    text = f"""
id=$(sbatch --parsable --nodes={job.nnodes} --ntasks-per-node={tasks} --output=batch.log <<'BATCH'
#!/bin/sh
{body}
echo $? > batch.status
BATCH
) || exit 1
trap 'scancel $id; exit 1' TERM
while [ -n "$(squeue --noheader --jobs=$id --format=%t)" ]; do sleep 0.1; done
cat batch.log
exit $(cat batch.status)
"""
    words = ("sh", "-c", text)
    return Command(job.network.controller, words, job.environment, fork=False, contain=False, patience=GRACE)


def ssh(job: Job) -> str:
    """A program that mpirun takes for ssh. As over ssh, nothing of the environment goes along."""
    agent = job.network.folder / "rsh"
    # Hydra gives ssh an option, -x, before the host.
    text = f'#!/bin/sh\n[ "$1" != -x ] || shift\nexec {shlex.join(ASK)} {job.network.folder} "$@"\n'
    agent.write_text(text, encoding="utf-8")
    agent.chmod(0o755)
    return str(agent)


def mpirun(job: Job) -> list[Command]:
    """Two processes on each node. As over ssh, nothing is in their environment but what ``-x`` names."""
    meeting = {"MASTER_ADDR": "node0", "MASTER_PORT": str(next(PORTS))}
    return [openmpi(job, meeting, (*meeting, "STANDIN_RECORDS", "PYTHONPATH", "OMP_NUM_THREADS"))]


def mpirun_meeting(job: Job) -> list[Command]:
    """Where they meet is all that is passed on."""
    meeting = {"MASTER_ADDR": "node0", "MASTER_PORT": str(next(PORTS))}
    return [openmpi(job, meeting, tuple(meeting))]


def mpirun_alone(job: Job) -> list[Command]:
    """Nothing is passed on."""
    return [openmpi(job, {}, ())]


def openmpi(job: Job, meeting: Mapping[str, str], names: Sequence[str]) -> Command:
    words = ["mpirun.openmpi", "--allow-run-as-root", "-np", str(2 * job.nnodes), "--host", slots(job)]
    for name, value in (("plm_rsh_agent", ssh(job)), ("oob_tcp_if_include", "eth0"), ("btl", "self,tcp")):
        words += ["--mca", name, value]
    for name in names:
        words += ["-x", name]
    return mpi(job, words, meeting)


def mpich_meeting(job: Job) -> list[Command]:
    """Two processes on each node, and they are told where to meet."""
    return [mpich(job, "-genv", "MASTER_ADDR", "node0", "-genv", "MASTER_PORT", str(next(PORTS)))]


def mpich_alone(job: Job) -> list[Command]:
    """Hydra passes its own environment on, unlike Open MPI; there is no address in it."""
    return [mpich(job)]


def mpich(job: Job, *options: str) -> Command:
    words = ["mpirun.mpich", "-np", str(2 * job.nnodes), "-hosts", slots(job), "-launcher", "ssh"]
    return mpi(job, [*words, "-launcher-exec", ssh(job), *options], {})


def slots(job: Job) -> str:
    return ",".join(f"{node.name}:2" for node in job.nodes)


def mpi(job: Job, words: Sequence[str], exported: Mapping[str, str]) -> Command:
    return Command(
        job.nodes[0],
        (*words, *job.python(*job.words)),
        dict(exported) | job.environment,
        fork=False,
        contain=False,
        patience=GRACE,
    )
