"""The corrected start of a process group. The only file of the runtime that imports torch.

from ddplint.runtime import init_process_group

process = init_process_group()
model = DistributedDataParallel(model.to(process.device))
"""

from __future__ import annotations

import atexit
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from types import TracebackType
from typing import Any

import torch
import torch.distributed as dist

from ddplint.runtime import machine
from ddplint.runtime.detection import detect
from ddplint.runtime.devices import NoDevice, device_index
from ddplint.runtime.equipment import Equipment
from ddplint.runtime.files import file_text
from ddplint.runtime.launchers import torchelastic
from ddplint.runtime.meeting import (
    Meeting,
    Reported,
    attendance,
    exported,
    located,
    meet,
    own_warnings,
    refuse,
    seconds,
)
from ddplint.runtime.problem import ERROR, Problem, StartError, aside
from ddplint.runtime.rollcall import Verdict, attend_store
from ddplint.runtime.topology import DetectionError, Topology
from ddplint.runtime.validation import problems

# All are there when the group is formed, so what takes longer than this will not come.
INIT_TIMEOUT = timedelta(minutes=2)


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
# The number of meetings: after the first the port is torch's.
_met = 0
_leaves_in_order = False
_failed = False


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
    errors = [problem for problem in problems(topology, os.environ) if problem.severity == ERROR]
    if errors and (topology.rank.value is None or topology.world_size.value is None):
        raise StartError(errors)
    for warning in own_warnings(topology, os.environ):
        say(aside(warning))
    device, wrong = pinned(topology)
    process = start(
        topology,
        device,
        backend or default_backend(device),
        timeout=timeout,
        init_timeout=init_timeout,
        reported=Reported(equipment(device), sys.argv, wrong) if roll_call else None,
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
    **options: Any,
) -> Process:
    """Call the roll, form the group, and remember it.

    Args:
        reported: what the others are to know; None: the roll is not called.
    """
    global _current
    rank, world_size = topology.rank.value, topology.world_size.value
    assert rank is not None
    assert world_size is not None
    if options.get("device_id") is None and _binds(device, backend):
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
        store = _met_store(topology, reported, init_timeout)
    store.set_timeout(init_timeout)
    _init(backend, dist.PrefixStore("default_pg", store), rank, world_size, init_timeout, options)
    after = timeout or _default_timeout(backend)
    store.set_timeout(after)
    _set_timeout(after)
    _current = Process(rank, topology.local_rank.value or 0, world_size, device, str(dist.get_backend()), topology)
    _leave_in_order(backend)
    return _current


# torch's own, also where the shim has replaced it before this module was imported.
torch_init: Any = getattr(dist.init_process_group, "before_ddplint", dist.init_process_group)


def _init(
    backend: str, store: dist.Store, rank: int, world_size: int, timeout: timedelta, options: dict[str, Any]
) -> None:
    torch_init(backend, store=store, rank=rank, world_size=world_size, timeout=timeout, **options)


def _met_store(topology: Topology, reported: Reported | None, timeout: timedelta) -> dist.Store:
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
        return store
    if reported is None or _met:
        return dist.TCPStore(
            address, port, world_size, rank == 0, timeout=timeout, wait_for_workers=False, multi_tenant=True
        )
    meeting = meet(topology, os.environ, reported, limit, say)
    _met += 1
    warn(meeting.verdict, rank)
    return _store(meeting, rank, world_size, timeout)


def _agents(topology: Topology, limit: float) -> dist.Store:
    """The store of torchrun's agent, which listens at the master port: a server of our own would be in its way."""
    address, port, world_size = topology.master_addr.value, topology.master_port.value, topology.world_size.value
    return dist.TCPStore(address, port, world_size, False, timeout=timedelta(seconds=limit))


def _through_agent(store: dist.Store, topology: Topology, reported: Reported, limit: float) -> Verdict:
    own = attendance(topology, os.environ, reported)
    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    verdict = attend_store(own, store, f"ddplint/roll-call/{attempt}/{_met}", limit, say)
    refuse(verdict, own)
    return verdict


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


def say(text: str) -> None:
    """A line on standard error."""
    print(f"ddplint: {text}", file=sys.stderr, flush=True)


def warn(verdict: Verdict, rank: int) -> None:
    """Say the warnings of a verdict, once in the job."""
    if rank == 0:
        for problem in verdict.problems:
            if problem.severity != ERROR:
                say(aside(problem))


def existing() -> Process:
    """The group that somebody has started, described as if it had been started here."""
    if _current is not None:
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


def pin(topology: Topology) -> torch.device:
    """Make the device of this process the current one, before anything allocates on another, and return it.

    Raises:
        NoDevice: there is no such device.
    """
    if not torch.cuda.is_available():
        return torch.device("cpu")
    index = device_index(topology, torch.cuda.device_count())
    torch.cuda.set_device(index)
    return torch.device("cuda", index)


def pinned(topology: Topology) -> tuple[torch.device, tuple[Problem, ...]]:
    """The device of this process, made the current one; else the CPU, and why. The others are to hear of it."""
    try:
        return pin(topology), ()
    except NoDevice as error:
        return torch.device("cpu"), (error.problem,)


def version() -> str:
    """torch's."""
    return str(torch.__version__)


def equipment(device: torch.device) -> Equipment:
    """What the others are to know about devices and versions."""
    versions = {"torch": version(), "python": ".".join(map(str, sys.version_info[:3]))}
    if device.type != "cuda":
        return Equipment(0, versions=versions)
    versions["cuda"] = torch.version.cuda or torch.version.hip or "?"
    if dist.is_nccl_available():
        versions["nccl"] = ".".join(map(str, torch.cuda.nccl.version()))
    ids = tuple(_id(index) for index in range(torch.cuda.device_count()))
    return Equipment(len(ids), ids, ids[device.index], versions)


def _id(index: int) -> str:
    # `uuid` came in torch 2.2; without it two processes on one device are found by NCCL only.
    uuid = getattr(torch.cuda.get_device_properties(index), "uuid", None)
    return f"GPU-{uuid}" if uuid is not None else f"{index} of {os.environ.get('CUDA_VISIBLE_DEVICES', 'all')}"


def default_backend(device: torch.device) -> str:
    """NCCL for CUDA devices, gloo without."""
    return "nccl" if device.type == "cuda" and dist.is_nccl_available() else "gloo"


def _binds(device: torch.device, backend: str) -> bool:
    """Whether ``device_id`` is given to torch, so that NCCL starts at once and barriers know their device.

    It came with 2.3. In 2.6.0 and 2.7.0 it hangs now and then (pytorch issue 153960). With several backends it may
    drop the one for the CPU, and TORCH_DISTRIBUTED_DEBUG=DETAIL ignores it (pytorch issue 178977).
    """
    release = tuple(int(part) for part in torch.__version__.split("+")[0].split(".")[:2] if part.isdigit())
    patch = torch.__version__.split("+")[0].split(".")[2:3]
    hangs = release == (2, 6) or (release == (2, 7) and patch == ["0"])
    return device.type == "cuda" and backend == "nccl" and release >= (2, 3) and not hangs


def _default_timeout(backend: str) -> timedelta:
    # torch 2.13 torch/distributed/constants.py; ProcessGroupNCCL.hpp kProcessGroupNCCLDefaultTimeout.
    return timedelta(minutes=10 if "nccl" in backend else 30)


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
    """Destroy the group when the interpreter exits, unless it exits after an error.

    NCCL warns of a group that is left (since 2.4), and the others wait in a destroy that one process never reaches,
    so after an error it is left all the same. gloo needs no destroy, and one that comes before the end of the DDP
    object that uses it may hang (torch 2.13, ~Reducer).
    """
    global _leaves_in_order
    if "nccl" not in backend or _leaves_in_order:
        return
    _leaves_in_order = True
    before = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
        global _failed
        _failed = True
        before(kind, error, traceback)

    sys.excepthook = hook
    atexit.register(_destroy)


def _destroy() -> None:
    if dist.is_initialized() and not _failed:
        dist.destroy_process_group()


def local_rank() -> int:
    """The index of this process on its node: 0 where nothing was launched."""
    if _current is not None:
        return _current.local_rank
    return detect(os.environ, file_text).local_rank.value or 0


def is_main_process(local: bool = False) -> bool:
    """Whether this is rank 0; with ``local``, the first process of its node."""
    if local:
        return _index_on_node() == 0
    if dist.is_available() and dist.is_initialized():
        return bool(dist.get_rank() == 0)
    return detect(os.environ, file_text).rank.value in (0, None)


def _index_on_node() -> int:
    """The local rank, also under ``torchrun --virtual-local-rank``, where LOCAL_RANK is 0 everywhere."""
    topology = _current.topology if _current is not None else detect(os.environ, file_text)
    rank, node, size = topology.rank.value, topology.node_rank.value, topology.local_world_size.value
    if topology.launcher == torchelastic.NAME and rank is not None and node is not None and size is not None:
        index = rank - node * size
        if 0 <= index < size:
            return index
    return topology.local_rank.value or 0


def print_on_main(*values: object, **options: Any) -> None:
    """``print`` in rank 0 only."""
    if is_main_process():
        print(*values, **{"flush": True, **options})


def default_store() -> Any:
    """The store through which the group has formed; torch has no public name for it (2.13)."""
    return dist.distributed_c10d._get_default_store()


_turns = 0


@contextmanager
def main_process_first(local: bool = False, timeout: timedelta | None = None) -> Iterator[None]:
    """Rank 0 goes through the block first, the others after it: for downloads and caches.

    No collective is used, so a block that takes long hurts nobody's watchdog. If rank 0 fails in the block the others
    stop with an error.

    Args:
        local: the first process of every node, for what is stored on the node's own disk.
        timeout: how long the others wait; default: torch's for collectives.
    """
    global _turns
    if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1:
        yield
        return
    _turns += 1
    store = default_store()
    node = _current.topology.node_rank.value if _current is not None and local else None
    where = f"/{os.uname().nodename}" if local and node is None else f"/{node}" if local else ""
    name = f"ddplint/main_process_first/{_turns}{where}"
    if is_main_process(local):
        outcome = "failed"
        try:
            yield
            outcome = "done"
        finally:
            store.set(name, outcome)
        return
    store.wait([name], timeout or (_default_timeout(str(dist.get_backend()))))
    if store.get(name) != b"done":
        raise RuntimeError("the main process failed in a block of main_process_first")
    yield
