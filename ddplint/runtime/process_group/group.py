"""The start of a process group: device, roll-call, store, group, and its end."""

from __future__ import annotations

import atexit
import os
import sys
import time
import warnings
from dataclasses import dataclass, field
from datetime import timedelta
from types import TracebackType
from typing import Any

import torch
import torch.distributed as dist

from ddplint.runtime import machine
from ddplint.runtime.detection import detect
from ddplint.runtime.files import file_text
from ddplint.runtime.meeting import Reported, check_place, exported, located, own_warnings, seconds
from ddplint.runtime.problem import StartError, aside
from ddplint.runtime.process_group import watching
from ddplint.runtime.process_group.accelerator import default_backend, equipment, may_bind, pin, pinned
from ddplint.runtime.process_group.stores import met_store, say
from ddplint.runtime.topology import DetectionError, Topology

# All are there when the group is formed, so what takes longer than this will not come.
INIT_TIMEOUT = timedelta(minutes=2)
# Seconds; a hundredth is enough on an idle machine.
GLOO_FINISHES = 0.2


@dataclass(frozen=True)
class Process:
    """The place of this process in its group, and its device."""

    rank: int
    local_rank: int
    world_size: int
    device: torch.device
    backend: str
    topology: Topology = field(repr=False)


_current: Process | None = None
_leaves_in_order = False
_failed = False


def current() -> Process | None:
    """The process as it was when its group was started here; None where it was not."""
    return _current


def init_process_group(
    backend: str | None = None,
    *,
    timeout: timedelta | None = None,
    launcher: str | None = None,
    roll_call: bool = True,
    init_timeout: timedelta = INIT_TIMEOUT,
    **options: Any,
) -> Process:
    """Start the process group of whatever launched this process, and return its place and device.

    Called again it returns the same; where a group exists already it describes that one. A process that nobody
    launched gets a group of its own, for which no port is opened.

    Args:
        backend: "nccl", "gloo", "cpu:gloo,cuda:nccl", ...; default: NCCL with a CUDA device, else gloo.
        timeout: of collectives, once the group is formed; default: torch's (NCCL 10 minutes, others 30).
        launcher: the one to believe (see ``ddplint env --help``) where several launchers' variables disagree.
        roll_call: make sure that all processes are there before torch waits for them.
        init_timeout: how long forming the group may take.
        options: ``pg_options``, ``group_name`` of torch's function.

    Raises:
        StartError: the group would not form, or would train something wrong; says why.
        DetectionError: the environment contradicts itself.
    """
    if dist.is_initialized():
        return existing()
    topology = detect(os.environ, file_text, launcher)
    check_place(topology, os.environ)
    for warning in own_warnings(topology, os.environ):
        say(aside(warning))
    device, wrong = pinned(topology, backend)
    backend = backend or default_backend(device)
    process = start(
        topology,
        device,
        backend,
        timeout=timeout,
        init_timeout=init_timeout,
        reported=Reported(equipment(device, backend), sys.argv, wrong) if roll_call else None,
        **options,
    )
    os.environ.update({name: value for name, value in exported(process.topology).items() if name not in os.environ})
    return process


def start(
    topology: Topology,
    device: torch.device,
    backend: str,
    *,
    timeout: timedelta | None,
    init_timeout: timedelta,
    reported: Reported | None,
    binds: bool = True,
    **options: Any,
) -> Process:
    """Call the roll, form the group, and remember it.

    Args:
        binds: the device is the only one of this process, and may be bound to the group.
        reported: what the others are to know; None: the roll is not called.
    """
    global _current
    rank, world_size = topology.rank.value, topology.world_size.value
    assert rank is not None
    assert world_size is not None
    if options.get("device_id") is None and binds and may_bind(device, backend):
        options["device_id"] = device
    if options.get("device_id") is not None and rank == 0 and os.environ.get("TORCH_DISTRIBUTED_DEBUG") == "DETAIL":
        say("warning: TORCH_DISTRIBUTED_DEBUG=DETAIL makes torch ignore device_id (pytorch issue 178977)")
    if world_size == 1 and rank == 0:
        if reported is not None and reported.problems:
            raise StartError(reported.problems)
        store: dist.Store = dist.HashStore()
    else:
        topology = located(topology, os.environ, seconds(os.environ))
        _prepare_gloo(topology)
        store = met_store(topology, reported, init_timeout)
    if not _can_change_timeout(backend):
        init_timeout = timeout or default_timeout(backend)
    store.set_timeout(init_timeout)
    _init(backend, dist.PrefixStore("default_pg", store), rank, world_size, init_timeout, options)
    after = timeout or default_timeout(backend)
    store.set_timeout(after)
    _set_timeout(after)
    watching.formed()
    _current = Process(rank, topology.local_rank.value or 0, world_size, device, str(dist.get_backend()), topology)
    _leave_in_order(backend)
    return _current


# torch's own, also where the shim has replaced it before this module was imported.
torch_init: Any = getattr(dist.init_process_group, "before_ddplint", dist.init_process_group)


def _init(
    backend: str, store: dist.Store, rank: int, world_size: int, timeout: timedelta, options: dict[str, Any]
) -> None:
    torch_init(backend, store=store, rank=rank, world_size=world_size, timeout=timeout, **options)


def existing() -> Process:
    """The group that somebody has started, described as if it had been started here."""
    if _current is not None and (_current.rank, _current.world_size) == (dist.get_rank(), dist.get_world_size()):
        return _current
    topology = detect(os.environ, file_text)
    if topology.rank.value != dist.get_rank():
        raise DetectionError(
            f"a process group exists, in which this is rank {dist.get_rank()} of {dist.get_world_size()}; "
            f"{topology.launcher} says rank {topology.rank.value} ({topology.rank.source})"
        )
    device = pin(topology)
    backend = str(dist.get_backend())
    return Process(dist.get_rank(), topology.local_rank.value or 0, dist.get_world_size(), device, backend, topology)


def default_timeout(backend: str) -> timedelta:
    # torch 2.13 torch/distributed/constants.py; ProcessGroupNCCL.hpp kProcessGroupNCCLDefaultTimeout.
    return timedelta(minutes=10 if "nccl" in backend else 30)


def _can_change_timeout(backend: str) -> bool:
    """Whether the short time for the start can be made longer afterwards: torch does so for these two as they are.

    With TORCH_DISTRIBUTED_DEBUG=DETAIL they are wrapped (torch 2.13, distributed_c10d.py, _set_pg_timeout).
    """
    parts = {part.rpartition(":")[2] for part in backend.lower().split(",")}
    return parts <= {"gloo", "nccl"} and os.environ.get("TORCH_DISTRIBUTED_DEBUG", "").upper() != "DETAIL"


def _set_timeout(timeout: timedelta) -> None:
    # Public as set_timeout in 2.14; before, the private name is all there is.
    change = getattr(dist, "set_timeout", None) or getattr(dist.distributed_c10d, "_set_pg_timeout", None)
    if change is not None:
        with warnings.catch_warnings():
            # Other backends than these two have no timeout to change.
            warnings.simplefilter("ignore")
            change(timeout)


def _prepare_gloo(topology: Topology) -> None:
    """Name the interface that leads to rank 0, where this host's own name leads gloo to itself."""
    if "GLOO_SOCKET_IFNAME" not in os.environ:
        interface = machine.gloo_interface(topology, os.environ, topology.master_addr.value or "")
        if interface is not None:
            os.environ["GLOO_SOCKET_IFNAME"] = interface
        problem = machine.gloo_problem(topology, os.environ, topology.master_addr.value or "")
        if problem is not None:
            say(aside(problem))


def _leave_in_order(backend: str) -> None:
    """See to it that the interpreter can end: destroy a group of NCCL, unless an error ends it; let gloo finish.

    NCCL warns of a group that is left (since 2.4), and the others wait in a destroy that one process never reaches,
    so after an error it is left all the same. gloo needs no destroy, and one that comes before the end of the DDP
    object that uses it may hang (torch 2.13, ~Reducer).
    """
    global _leaves_in_order
    if _leaves_in_order:
        return
    _leaves_in_order = True
    if "gloo" in backend:
        atexit.register(_let_gloo_finish)
    if "nccl" in backend:
        _notice_errors()
        atexit.register(_destroy)


def _let_gloo_finish() -> None:
    """Wait until the last collective has been put away.

    A thread of gloo does that (torch 2.13, ProcessGroupGloo::runLoop) and needs the interpreter for it. If that has
    begun to end, the process dies of "terminate called without an active exception" after all its work: 5 to 20 of
    100 processes that end at once, with and without destroy_process_group. Nothing says when the thread is done.
    """
    time.sleep(GLOO_FINISHES)


def _notice_errors() -> None:
    before = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
        global _failed
        _failed = True
        before(kind, error, traceback)

    sys.excepthook = hook


def _destroy() -> None:
    if dist.is_initialized() and not _failed:
        dist.destroy_process_group()
