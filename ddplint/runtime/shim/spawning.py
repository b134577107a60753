"""``mp.spawn``: where the launcher has started one process a rank there is nothing to spawn, and where it has started
one a node the spawned processes are told their global rank."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ddplint.runtime.meeting import exported
from ddplint.runtime.problem import ERROR, Problem, StartError
from ddplint.runtime.shim import session as sessions
from ddplint.runtime.shim.corrections import place
from ddplint.runtime.shim.session import Options, Session, current
from ddplint.runtime.topology import Topology, said


@dataclass(frozen=True)
class Spawned:
    """The function that a spawned process runs. It is pickled, so it starts a session of its own there."""

    function: Callable[..., Any]
    nprocs: int
    node: Topology
    options: Options
    command: Sequence[str]

    def __call__(self, index: int, *args: Any) -> Any:
        from ddplint.runtime.shim import install

        topology = spawned(self.node, index, self.nprocs)
        sessions.begin(self.options, self.command, topology)
        install.install()
        return self.function(index, *args)


def spawned(node: Topology, index: int, nprocs: int) -> Topology:
    """The place of the process with this index, on a node whose launcher started one process."""
    number, nodes = node.node_rank.value, node.nnodes.value
    assert number is not None
    assert nodes is not None
    how = f"{node.node_rank.source} x {nprocs} spawned + index"
    return replace(
        node,
        rank=said(how, number * nprocs + index),
        local_rank=said("the index of mp.spawn", index),
        world_size=said(f"{node.nnodes.source} x {nprocs} spawned", nodes * nprocs),
        local_world_size=said("nprocs of mp.spawn", nprocs),
    )


def patch(module: Any, package: Any) -> None:
    """Put the corrected ``start_processes`` into torch.multiprocessing; ``spawn`` calls it."""
    original = module.start_processes

    @functools.wraps(original)
    def start_processes(fn: Any, args: Any = (), nprocs: int = 1, join: bool = True, *rest: Any, **kwargs: Any) -> Any:
        session = current()
        how = _how(session)
        if session is None or how is None or nprocs < 1:
            return original(fn, args, nprocs, join, *rest, **kwargs)
        if how == "here":
            if not session.options.correct or nprocs != session.topology.local_world_size.value:
                raise StartError([_twice(session, nprocs)])
            return _run_here(session, fn, args, nprocs, join)
        wrapped = Spawned(fn, nprocs, session.topology, session.options, session.command)
        return original(wrapped, args, nprocs, join, *rest, **kwargs)

    module.start_processes = package.start_processes = start_processes


def _how(session: Session | None) -> str | None:
    """Whether the function runs "here", in "spawned" processes that are told who they are, or as the script has it."""
    if session is None or not session.launched or _group_stands():
        # Who has a group already spawns helpers, not ranks.
        return None
    topology = session.topology
    here, world = topology.local_world_size.value, topology.world_size.value
    if here is None or world is None:
        return None
    if here > 1:
        return "here"
    # One process here, and more of them elsewhere: is it one a node?
    nodes = topology.nnodes.value
    one_a_node = nodes is not None and nodes == world and topology.node_rank.value is not None
    return "spawned" if one_a_node else None


def _group_stands() -> bool:
    dist = sys.modules["torch.distributed"]
    return bool(dist.is_available() and dist.is_initialized())


def _twice(session: Session, nprocs: int) -> Problem:
    here, launcher = session.topology.local_world_size.value, session.topology.launcher
    also = "" if nprocs == here else f" or {nprocs} of them"
    started = f"each of the {here} processes that {launcher} has started on this node"
    return Problem(
        ERROR,
        f"{place()}: mp.spawn(nprocs={nprocs}) in {started}",
        "one of the two starts the processes of a node; both together start more than the group has ranks",
        f"start one process a node{also}, or take mp.spawn out and read the rank that {launcher} gives",
    )


class _Finished:
    """What ``spawn(join=False)`` returns, when all is over already."""

    processes: tuple[Any, ...] = ()

    def join(self, timeout: float | None = None, grace_period: float | None = None) -> bool:
        return True

    def pids(self) -> list[int]:
        return [os.getpid()]


def _run_here(session: Session, fn: Any, args: Any, nprocs: int, join: bool) -> Any:
    topology = session.topology
    here, local_rank = topology.local_world_size, topology.local_rank.value
    if local_rank is None:
        # Cannot be told apart from the others of this node: the script's own way is as good.
        local_rank = (topology.rank.value or 0) % (here.value or 1)
    session.overrule(
        f"mp.spawn(nprocs={nprocs}) is run in the {here.value} processes that {topology.launcher} has started on this "
        "node, not in new ones",
        "",
    )
    os.environ.update(exported(topology))
    fn(local_rank, *args)
    return None if join else _Finished()
