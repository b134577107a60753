"""Which of the visible devices is this process's."""

from __future__ import annotations

from ddplint.runtime.problem import ERROR, Problem
from ddplint.runtime.topology import DetectionError, Topology


class NoDevice(DetectionError):
    """No visible device is this process's own."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        super().__init__(str(problem))


def device_index(topology: Topology, visible: int) -> int:
    """The index of this process's device among the visible ones.

    One visible device is the scheduler's binding (srun ``--gpus-per-task``, torchrun ``--virtual-local-rank``): then
    it is number 0, whatever the local rank. Never the rank: on the second node there is no such device.

    Raises:
        NoDevice: no visible device, more processes on this node than devices, or no local rank.
    """
    problem = device_problem(topology, visible)
    if problem is not None:
        raise NoDevice(problem)
    return 0 if visible == 1 or topology.local_rank.value is None else topology.local_rank.value


def device_problem(topology: Topology, visible: int) -> Problem | None:
    """Why there is no device for this process; None where there is one."""
    local_rank = topology.local_rank
    if visible == 1:
        return None
    if visible < 1:
        return Problem(
            ERROR,
            f"no device is visible ({_who(topology)})",
            "each process uses a device of its own",
            "ask the scheduler for devices, look at CUDA_VISIBLE_DEVICES and the driver, or train on the CPU with gloo",
        )
    if local_rank.value is None:
        return Problem(
            ERROR,
            f"{visible} devices are visible, and {topology.launcher} gives no local rank: {local_rank.reason}",
            "each process of a node uses another device, which its local rank says",
            "start the script with torchrun, or set LOCAL_RANK for each process",
        )
    if local_rank.value >= visible:
        return Problem(
            ERROR,
            f"local rank {local_rank.value} ({local_rank.source}) with {visible} visible devices",
            f"each process of a node has a device of its own, and {visible} are visible",
            f"{_fewer(topology, visible)}, or make more devices visible",
        )
    return None


def _who(topology: Topology) -> str:
    rank = topology.rank
    return f"{topology.launcher}, rank unknown" if rank.value is None else f"rank {rank.value}, {rank.source}"


def _fewer(topology: Topology, visible: int) -> str:
    """How the launcher is told to start no more processes a node than there are devices."""
    option = _OPTIONS.get(topology.launcher)
    return option.format(visible) if option else f"start at most {visible} processes a node"


_OPTIONS = {
    "slurm": "srun --ntasks-per-node={}",
    "torchrun": "torchrun --nproc-per-node={}",
    "deepspeed": "deepspeed --num_gpus={}",
    # Both Open MPI 4 and 5: at most so many processes on each node.
    "openmpi": "mpirun -N {}",
    "hydra": "mpiexec -ppn {}",
    "pals": "mpiexec --ppn {}",
}
