"""What is wrong with a topology, before anything waits for anybody: problems that its own numbers and variables show.

Pure functions as well: names are not resolved and no device is asked here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ddplint.runtime import addresses
from ddplint.runtime.launchers import environment, hydra, openmpi, slurm, torchelastic
from ddplint.runtime.launchers.launcher import Environ, number
from ddplint.runtime.problem import ERROR, WARNING, Problem
from ddplint.runtime.topology import Topology, several_nodes


def problems(topology: Topology, environ: Environ) -> tuple[Problem, ...]:
    """All problems, in the order in which they should be read."""
    return tuple(problem for check in CHECKS for problem in check(topology, environ))


def _said(topology: Topology, environ: Environ) -> Iterator[Problem]:
    for name, field in (("rank", topology.rank), ("world size", topology.world_size)):
        if field.value is None:
            yield Problem(
                ERROR,
                f"{topology.launcher} gives no {name}: {field.reason}",
                f"every process needs its {name} before it can join the others",
                "start the script with torchrun on every node, or set RANK and WORLD_SIZE for each process",
            )
            return


def _in_range(topology: Topology, environ: Environ) -> Iterator[Problem]:
    pairs = (
        ("rank", topology.rank, "world size", topology.world_size),
        ("local rank", topology.local_rank, "local world size", topology.local_world_size),
        ("node rank", topology.node_rank, "number of nodes", topology.nnodes),
        ("local world size", topology.local_world_size, "world size", topology.world_size),
    )
    for name, index, of, size in pairs:
        if index.value is None or size.value is None:
            continue
        most = size.value if name == "local world size" else size.value - 1
        if index.value > most:
            yield Problem(
                ERROR,
                f"{name} {index.value} ({index.source}) with {of} {size.value} ({size.source})",
                f"a {name} is at most {most} here",
                f"correct {index.source} or {size.source}; if you did not set them, they are left over from elsewhere",
            )


def is_loopback(address: str) -> bool:
    """Whether an address leads every host to itself, as far as can be told without resolving it."""
    name = address.strip().strip("[]").rstrip(".").lower()
    named = name in ("localhost", "ip6-localhost", "ip6-loopback") or name.startswith("localhost.")
    return named or addresses.is_loopback(name)


def _master(topology: Topology, environ: Environ) -> Iterator[Problem]:
    address, port = topology.master_addr, topology.master_port
    several = several_nodes(topology)
    if address.value is None and several:
        yield Problem(
            ERROR,
            f"no master address: MASTER_ADDR is not set, and {topology.launcher} does not say where rank 0 is "
            f"({topology.hosts.reason})",
            "all processes must know one address of the host of rank 0",
            _set_master(topology),
        )
    elif address.value is not None and several and is_loopback(address.value):
        nodes = topology.nnodes.value
        # torchrun's agents have met before a worker starts, so they may well be two on one host.
        yield Problem(
            WARNING if topology.launcher == torchelastic.NAME else ERROR,
            f"master address {address.value} ({address.source}) with {nodes or 'several'} nodes",
            "the address must lead from every node to the host of rank 0; this one leads every node to itself",
            _set_master(topology),
        )
    if port.value is not None and not 0 < port.value < 1 << 16:
        yield Problem(
            ERROR,
            f"master port {port.value} ({port.source})",
            "a port is a number from 1 to 65535",
            "set MASTER_PORT to a free port of rank 0's host, the same in every process",
        )


def _set_master(topology: Topology) -> str:
    if topology.launcher == slurm.NAME and topology.hosts.value:
        return f"unset MASTER_ADDR, or set it to {topology.hosts.value[0]}, the first host of the step"
    if topology.launcher == openmpi.NAME:
        return "mpirun -x MASTER_ADDR=HOST -x MASTER_PORT=PORT, with the host of rank 0"
    if topology.launcher == hydra.NAME:
        return "mpiexec -genv MASTER_ADDR HOST -genv MASTER_PORT PORT, with the host of rank 0"
    if topology.launcher == torchelastic.NAME:
        return "torchrun --master-addr HOST (static), or --rdzv-endpoint HOST:PORT and --local-addr, on every node"
    return "set MASTER_ADDR to the host of rank 0, the same in every process"


def _not_launched(topology: Topology, environ: Environ) -> Iterator[Problem]:
    """A batch script, salloc's shell, left-over variables: what looks like one of many and is alone."""
    for note in topology.notes:
        poses = topology.launcher == environment.NAME and (topology.world_size.value or 0) > 1
        yield Problem(
            ERROR if poses else WARNING,
            note,
            "each process of a job is started by a launcher, which gives it its rank",
            "start the script with srun, mpiexec or torchrun" + ("" if poses else ", or go on as a single process"),
        )


def _one_task(topology: Topology, environ: Environ) -> Iterator[Problem]:
    """``srun --pty bash`` is a step of one task: more devices than processes will wait for nobody."""
    if topology.launcher != slurm.NAME or topology.world_size.value != 1:
        return
    devices = number(environ, "SLURM_GPUS_ON_NODE") or 0
    if devices > 1:
        yield Problem(
            WARNING,
            f"a Slurm step of one task with {devices} GPUs (SLURM_GPUS_ON_NODE): an interactive shell, perhaps",
            "one process uses one GPU",
            f"torchrun --nproc-per-node {devices} SCRIPT here, or srun --ntasks {devices}",
        )


def _uneven(topology: Topology, environ: Environ) -> Iterator[Problem]:
    if topology.launcher == slurm.NAME and len(set(slurm.layout(environ))) > 1:
        yield Problem(
            WARNING,
            f"nodes with different numbers of tasks: {slurm.LAYOUT}={environ[slurm.LAYOUT]}",
            "code that divides the rank by the number of devices needs the same number on every node",
            "srun --ntasks-per-node N, or take the local rank from SLURM_LOCALID only",
        )


def _agents(topology: Topology, environ: Environ) -> Iterator[Problem]:
    """Tasks that each started a torchrun of their own, more of them than torchrun counts nodes."""
    if topology.launcher != torchelastic.NAME or slurm.NAME not in topology.inside:
        return
    tasks, agents = number(environ, slurm.STEP_TASKS), topology.nnodes.value
    if tasks is not None and agents is not None and tasks not in (1, agents):
        yield Problem(
            ERROR if agents > 1 else WARNING,
            f"{tasks} tasks of a Slurm step ({slurm.STEP_TASKS}) started torchrun for {agents} nodes "
            "(GROUP_WORLD_SIZE)",
            "one torchrun a node, and --nnodes is their number; else they claim the same ranks, or train apart",
            f"srun --ntasks-per-node=1 torchrun --nnodes {environ.get('SLURM_STEP_NUM_NODES', 'N')} ...",
        )


def _devices(topology: Topology, environ: Environ) -> Iterator[Problem]:
    """The list of visible devices, where one is set, against the local rank."""
    listed = environ.get("CUDA_VISIBLE_DEVICES")
    local_rank = topology.local_rank
    if not listed or local_rank.value is None:
        return
    visible = [device for device in listed.split(",") if device.strip()]
    # One visible device is the scheduler's binding (--gpus-per-task): every task then uses device 0.
    if len(visible) > 1 and local_rank.value >= len(visible):
        yield Problem(
            ERROR,
            f"local rank {local_rank.value} ({local_rank.source}) with CUDA_VISIBLE_DEVICES={listed}",
            f"each process of a node has a device of its own, and {len(visible)} are visible",
            f"start at most {len(visible)} processes a node, or make more devices visible",
        )


def _options_of_torchrun(topology: Topology, environ: Environ) -> Iterator[Problem]:
    # training-operator 1.9 sets it so, and torch 2.13's torchrun calls int("") on it.
    if environ.get("PET_STANDALONE") == "":
        yield Problem(
            WARNING,
            'PET_STANDALONE="" is set',
            "torchrun reads PET_* as its options, and this one as a number",
            "unset PET_STANDALONE before torchrun (in a PyTorchJob: leave elasticPolicy.standalone out)",
        )


Check = Callable[[Topology, Environ], Iterator[Problem]]
CHECKS: tuple[Check, ...] = (
    _said,
    _not_launched,
    _in_range,
    _master,
    _agents,
    _devices,
    _one_task,
    _uneven,
    _options_of_torchrun,
)
