"""The store through which a group forms: torch's, at the port that the roll-call has held, or torchrun's."""

from __future__ import annotations

import os
import socket
import sys
from datetime import timedelta
from typing import Any

import torch.distributed as dist

from ddplint.runtime.launchers import torchelastic
from ddplint.runtime.meeting import Meeting, Reported, attendance, meet, refuse, seconds
from ddplint.runtime.problem import ERROR, aside
from ddplint.runtime.process_group import roster, watching
from ddplint.runtime.rollcall import Verdict, attend_store
from ddplint.runtime.topology import Topology

# The number of meetings: after the first the port is torch's.
_met = 0


def met_store(topology: Topology, reported: Reported | None, timeout: timedelta) -> dist.Store:
    """The store through which the group forms, after the roll-call if it is called."""
    global _met
    rank, world_size = topology.rank.value, topology.world_size.value
    address, port = topology.master_addr.value, topology.master_port.value
    assert rank is not None
    assert world_size is not None
    assert address is not None
    assert port is not None
    limit = seconds(os.environ)
    if _agent_store():
        store = _agents(topology, limit)
        if reported is not None:
            warn(_through_agent(store, topology, reported, limit), rank)
        _met += 1
        return dist.PrefixStore(f"ddplint/{_attempt()}/{_met}", store)
    if reported is None or _met:
        return dist.TCPStore(
            address, port, world_size, rank == 0, timeout=timeout, wait_for_workers=False, multi_tenant=True
        )
    meeting = meet(topology, os.environ, reported, limit, say, roster.problem, roster.door)
    _met += 1
    warn(meeting.verdict, rank)
    who = f"rank {rank} of {world_size} on {socket.gethostname()}, process {os.getpid()}"
    if rank != 0:
        # Rank 0 may end while this process looks for its store.
        watching.begin(meeting.watch, who)
    store = _store(meeting, rank, world_size, timeout)
    if rank == 0:
        door = watching.open_door(meeting.watch)
        roster.post(store, meeting.verdict, door)
        watching.begin(meeting.watch, who)
    return store


def _agents(topology: Topology, limit: float) -> dist.Store:
    """The store of torchrun's agent, which listens at the master port: a server of our own would be in its way."""
    address, port, world_size = topology.master_addr.value, topology.master_port.value, topology.world_size.value
    return dist.TCPStore(address, port, world_size, False, timeout=timedelta(seconds=limit))


def _through_agent(store: dist.Store, topology: Topology, reported: Reported, limit: float) -> Verdict:
    own = attendance(topology, os.environ, reported)
    verdict = attend_store(own, store, f"ddplint/roll-call/{_attempt()}/{_met}", limit, say)
    refuse(verdict, own)
    return verdict


def _attempt() -> str:
    """The agent's store outlives a worker: what an earlier attempt has left there is not this one's."""
    return os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")


def agent_roll_call(topology: Topology, reported: Reported, limit: float) -> Verdict | None:
    """The roll-call through torchrun's agent; None where there is none.

    Raises:
        StartError: as `meet` does.
    """
    return _through_agent(_agents(topology, limit), topology, reported, limit) if _agent_store() else None


def _store(meeting: Meeting, rank: int, world_size: int, timeout: timedelta) -> dist.Store:
    descriptor = None if meeting.listener is None else meeting.listener.detach()
    # Multi-tenant, as torch's own env:// is: init_rpc in this process shares it.
    return dist.TCPStore(
        # Rank 0's own name may lead elsewhere on its own host.
        "localhost" if rank == 0 else meeting.address,
        meeting.port,
        world_size,
        rank == 0,
        timeout=timeout,
        wait_for_workers=False,
        multi_tenant=True,
        master_listen_fd=descriptor,
    )


def _agent_store() -> bool:
    # torch 2.13 torch/distributed/rendezvous.py, _torchelastic_use_agent_store.
    return bool(os.environ.get(torchelastic.RUN_ID)) and os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"


def warn(verdict: Verdict, rank: int) -> None:
    """Say the warnings of a verdict, once in the job."""
    if rank == 0:
        for problem in verdict.problems:
            if problem.severity != ERROR:
                say(aside(problem))


def say(text: str) -> None:
    """A line on standard error."""
    print(f"ddplint: {text}", file=sys.stderr, flush=True)


def default_store() -> Any:
    """The store through which the group has formed; torch has no public name for it (2.13)."""
    return dist.distributed_c10d._get_default_store()
