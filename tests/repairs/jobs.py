"""Scripts as whole jobs, without torch and without processes: every process is run in turn, and notes what it did.

A stand-in for torch takes its place for as long as a script runs. What is started gets a copy of the environment and
runs the script anew, as a spawned process does; nothing ever waits for another process.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from unittest import mock

from processes import Environment, Process, execute
from torch_standin import MODULES

ADDRESS = ("node0", "29400")

Files = Mapping[str, str]
"""The texts of a script, ``train.py``, and of the modules beside it."""


def run(
    files: Files, launcher: str, nnodes: int, each: int, options: Mapping[str, str], variables: bool = True
) -> list[Process]:
    """The processes of a job that take part in the training, by node and local rank.

    ``variables``: whether somebody who starts the script by hand sets NNODES, NODE_RANK and the address.
    """
    with mock.patch.dict(sys.modules, MODULES):
        return list(_processes(files, launcher, nnodes, each, options, variables))


def _processes(
    files: Files, launcher: str, nnodes: int, each: int, options: Mapping[str, str], variables: bool
) -> Iterator[Process]:
    code = {name.removesuffix(".py"): compile(text, name, "exec", dont_inherit=True) for name, text in files.items()}
    for node in range(nnodes):
        typed = [word for role, option in options.items() for word in (option, str(_role(role, node, nnodes)))]
        if launcher == "hand":
            environment = Environment()
            if variables:
                environment.update(NNODES=str(nnodes), NODE_RANK=str(node))
                environment.update(MASTER_ADDR=ADDRESS[0], MASTER_PORT=ADDRESS[1])
            main = Process(node, 0, each, environment, code)
            execute(main, typed)
            yield from main.started
            continue
        for local in range(each):
            process = Process(node, local, each, told(launcher, node, local, nnodes, each), code)
            flag = [f"--local-rank={local}"] if launcher == "launch" else []
            flag = [f"--local_rank={local}"] if launcher == "launch-1" else flag
            execute(process, [*flag, *typed])
            yield process


def said(files: Files, launcher: str, nnodes: int, each: int, options: Mapping[str, str]) -> list[object] | None:
    """Everything that the processes of a job do, if nobody sets variables; None if it does not work at all.

    The address is left out where a launcher has one: nobody can say that it must be another one.
    """
    try:
        processes = run(files, launcher, nnodes, each, options, variables=False)
    except Exception:
        return None
    if launcher == "hand":
        return [process.events for process in processes]
    return [[event[:3] if event[0] == "init" else event for event in process.events] for process in processes]


def wrong(processes: Sequence[Process], nnodes: int, each: int) -> list[str]:
    """What is wrong with a job of so many nodes."""
    size = nnodes * each
    found: list[str] = []
    places = [(process.node, process.local) for process in processes]
    if places != [(node, local) for node in range(nnodes) for local in range(each)]:
        return [f"processes: {places}"]
    groups = [process.all("init") for process in processes]
    if [[(rank, world) for rank, world, *_ in group] for group in groups] != [[(rank, size)] for rank in range(size)]:
        found.append(f"ranks and world sizes: {groups}")
    addresses = {tuple(event[2:]) for group in groups for event in group}
    if len(addresses) != 1 or (nnodes > 1 and {host for host, _ in addresses} != {ADDRESS[0]}):
        found.append(f"addresses: {addresses}")
    found += [
        f"local rank {process.local} takes GPUs {process.all('device')}"
        for process in processes
        if set(process.all("device")) - {(process.local,)}
    ]
    if sum(len(process.all("save")) for process in processes) > 1:
        found.append(f"saved by {[process.local for process in processes if process.all('save')]}")
    for rank, process in enumerate(processes):
        if set(process.all("sampler")) - {(rank, size)}:
            found.append(f"rank {rank} of {size} takes the part {process.all('sampler')}")
        if set(process.all("learning rate")) - {(size * 0.5,)}:
            found.append(f"rank {rank} of {size} learns for a world of {process.all('learning rate')}")
    for event in ("seed", "print"):
        everywhere = [set(process.all(event)) for process in processes]
        if sum(map(len, everywhere)) != len(set[tuple[object, ...]]().union(*everywhere)):
            found.append(f"two processes have the same {event}: {everywhere}")
    return found


def _role(role: str, node: int, nnodes: int) -> int:
    return {"nnodes": nnodes, "node_rank": node}[role]


def told(launcher: str, node: int, local: int, nnodes: int, each: int) -> Environment:
    """The environment in which a launcher starts a process."""
    rank, size = node * each + local, nnodes * each
    if launcher == "srun":
        numbers = {"PROCID": rank, "LOCALID": local, "NODEID": node, "NTASKS": size, "NPROCS": size}
        numbers |= {"NNODES": nnodes, "JOB_NUM_NODES": nnodes, "NTASKS_PER_NODE": each, "GPUS_ON_NODE": each}
        known = {f"SLURM_{name}": str(number) for name, number in numbers.items()}
        known |= {"SLURM_JOB_ID": "7", "SLURM_NODELIST": "node[0-2]", "SLURMD_NODENAME": f"node{node}"}
    else:
        numbers = {"RANK": rank, "LOCAL_RANK": local, "GROUP_RANK": node, "WORLD_SIZE": size}
        numbers |= {"LOCAL_WORLD_SIZE": each, "GROUP_WORLD_SIZE": nnodes}
        known = {name: str(number) for name, number in numbers.items()} | {"TORCHELASTIC_RUN_ID": "7"}
    return Environment(known, MASTER_ADDR=ADDRESS[0], MASTER_PORT=ADDRESS[1])
