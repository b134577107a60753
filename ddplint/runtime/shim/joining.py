"""``init_process_group`` as a script calls it, with the launcher's rank, world size and address in place of its own."""

from __future__ import annotations

import functools
import inspect
import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

from ddplint.runtime import process_group
from ddplint.runtime.meeting import AGREED, Reported, exported, loopback, same_host
from ddplint.runtime.problem import Problem, StartError
from ddplint.runtime.shim.corrections import place
from ddplint.runtime.shim.environ import is_variable
from ddplint.runtime.shim.session import Session, current
from ddplint.runtime.topology import Topology, said, several_nodes

# They find their ranks in their own way, or are for tests.
_LEFT_ALONE = ("mpi", "fake")


def patch(dist: Any) -> None:
    """Put the corrected function into torch, and wherever it was imported from there already."""
    original = dist.distributed_c10d.init_process_group
    signature = inspect.signature(original)

    @functools.wraps(original)
    def init_process_group(*args: Any, **kwargs: Any) -> None:
        session = current()
        call = signature.bind(*args, **kwargs).arguments
        if session is None or dist.is_initialized() or str(call.get("backend")).lower() in _LEFT_ALONE:
            original(*args, **kwargs)
        elif call.get("store") is not None or str(call.get("init_method")).startswith("file:"):
            # Whoever made them has seen to it that all find them; they may be for some of the ranks only.
            original(*args, **kwargs)
        elif session.launched or _is_alone(session, call) or _joins_others(session, call):
            join(session, call)
        else:
            original(*args, **kwargs)

    init_process_group.before_ddplint = original  # type: ignore[attr-defined]
    # Where it is imported later, or is being imported just now, it finds the original there.
    group = sys.modules.get("ddplint.runtime.process_group.group")
    if group is not None and hasattr(group, "torch_init"):
        group.torch_init = original  # type: ignore[attr-defined]
    mesh = sys.modules.get("torch.distributed.device_mesh")
    if mesh is not None and hasattr(mesh, "init_process_group"):
        mesh.init_process_group = init_process_group  # type: ignore[attr-defined]
    dist.init_process_group = dist.distributed_c10d.init_process_group = init_process_group


_ALONE = tuple((rank, size, url) for rank, size in ((-1, -1), (0, 1)) for url in (None, "env://"))


def _is_alone(session: Session, call: Mapping[str, Any]) -> bool:
    """Whether a process that nobody launched asks for a group of its own: it needs no address for that."""
    claims = (call.get("rank", -1), call.get("world_size", -1), call.get("init_method"))
    return os.getpid() == session.pid and claims in _ALONE


def _joins_others(session: Session, call: Mapping[str, Any]) -> bool:
    """Whether a process that nobody but the script started (a fork of ours) joins a group by its own numbers."""
    return os.getpid() != session.pid and _number(call.get("rank")) is not None


def _number(value: object) -> int | None:
    """What a script gives as its rank; torch takes -1 for nothing."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def join(session: Session, call: Mapping[str, Any]) -> None:
    """Form the group that the launcher speaks of, whatever the call says."""
    if session.launched:
        topology = _claimed(session, call)
    elif os.getpid() == session.pid:
        topology = session.topology
    else:
        topology = _spoken_for(session, call)
    device, wrong = _device(session, topology, call)
    options = {name: value for name, value in call.items() if name in ("pg_options", "group_name", "_ranks")}
    if call.get("device_id") is not None and device.type != "cpu":
        options["device_id"] = device
    binds = not (device.type == "cuda" and _has_several(topology, sys.modules["torch"]))
    backend = _backend(session, call.get("backend"), device)
    timeout: timedelta | None = call.get("timeout")
    reported = Reported(process_group.equipment(device, backend), session.command, (*wrong, *session.problems()))
    if reported.problems and not session.options.roll_call:
        raise StartError(reported.problems)
    started = process_group.start(
        topology,
        device,
        backend,
        timeout=timeout,
        init_timeout=process_group.INIT_TIMEOUT,
        reported=reported if session.options.roll_call else None,
        binds=binds,
        **options,
    )
    if session.options.correct:
        os.environ.update(exported(started.topology))
    if session.launched:
        session.topology = started.topology
    session.tell(process_group.default_store(), started.rank, started.world_size)


def _claimed(session: Session, call: Mapping[str, Any]) -> Topology:
    """The launcher's topology, with what only the script knows; notes what the call says otherwise."""
    topology = session.topology
    url = urlsplit(str(call.get("init_method") or ""))
    query = parse_qs(url.query)
    claims = {
        "rank": _number(call.get("rank")) if "rank" in call else _query(query, "rank"),
        "world_size": _number(call.get("world_size")) if "world_size" in call else _query(query, "world_size"),
    }
    for name, rule in (("rank", "DDP101"), ("world_size", "DDP102")):
        known = dict(topology.fields())[name]
        claim = claims[name]
        if claim is not None and known.value is not None and claim != known.value:
            session.claims[name] = claim
            session.overrule(
                f"init_process_group is given {name}={claim}{_which(topology, name, claim)} and this process has "
                f"{name.replace('_', ' ')} {known.value} ({known.source}); elsewhere the script goes on with its own",
                rule,
            )
    return _addressed(session, topology, url.hostname if url.scheme == "tcp" else None, url)


def _which(topology: Topology, name: str, claim: int) -> str:
    if name == "rank" and claim == topology.local_rank.value:
        return ", the local rank,"
    if name == "world_size" and claim == topology.local_world_size.value:
        return ", the processes of one node,"
    return ""


def _query(query: Mapping[str, list[str]], name: str) -> int | None:
    text = query.get(name, [""])[0]
    return int(text) if text.isdigit() else None


def _addressed(session: Session, topology: Topology, host: str | None, url: Any) -> Topology:
    """The topology with the address that counts: the launcher's, else the script's if it leads to rank 0."""
    several = several_nodes(topology)
    address, port = topology.master_addr, topology.master_port
    given = host or os.environ.get("MASTER_ADDR", "").strip()
    source = f"init_method ({place()})" if host is not None else "MASTER_ADDR, set by the script"
    if host is not None and is_variable(address.source) and not same_host(host, address.value or ""):
        session.overrule(f"{url.geturl()} is overruled by {address.value} ({address.source})", "DDP103")
    elif host is not None and several and loopback(host):
        session.overrule(f"{url.geturl()} leads every node to itself", "DDP103")
    elif given and given != address.value and not is_variable(address.source) and not (several and loopback(given)):
        address = said(source, given)
    if port.value is None:
        number = url.port if host is not None else None
        given = os.environ.get("MASTER_PORT", "").strip()
        if number is not None:
            port = said(f"init_method ({place()})", number)
        elif given.isdigit():
            port = said("MASTER_PORT, set by the script", int(given))
    elif host is not None and url.port not in (None, port.value) and port.source != AGREED:
        session.overrule(f"port {url.port} is overruled by {port.value} ({port.source})", "DDP107")
    return replace(topology, master_addr=address, master_port=port)


def _spoken_for(session: Session, call: Mapping[str, Any]) -> Topology:
    """A process that the script has forked is who the script says."""
    rank, world_size = _number(call.get("rank")), _number(call.get("world_size"))
    found = Topology(session.topology.launcher)
    claimed = f"the script, {place()}"
    if rank is not None and world_size is not None:
        found = replace(found, rank=said(claimed, rank), world_size=said(claimed, world_size))
    own = session.topology
    found = replace(found, master_addr=own.master_addr, master_port=own.master_port, nnodes=own.nnodes)
    url = urlsplit(str(call.get("init_method") or ""))
    return _addressed(session, found, url.hostname if url.scheme == "tcp" else None, url)


def _device(session: Session, topology: Topology, call: Mapping[str, Any]) -> tuple[Any, tuple[Problem, ...]]:
    """The device of this process, made the current one unless the script has chosen one that it may have."""
    torch: Any = sys.modules["torch"]
    if not torch.cuda.is_available():
        return torch.device("cpu"), ()
    if session.device_chosen or not session.launched:
        return torch.device("cuda", torch.cuda.current_device()), ()
    device, wrong = process_group.pinned(topology, None if call.get("backend") is None else str(call["backend"]))
    wanted = call.get("device_id")
    index = wanted if isinstance(wanted, int) else getattr(wanted, "index", None)
    if (
        index is not None
        and index != device.index
        and _has_several(topology, torch)
        and index < torch.cuda.device_count()
    ):
        torch.cuda.set_device(index)
        return torch.device("cuda", index), ()
    if index is not None and not wrong and index != device.index:
        session.overrule(f"device_id is cuda:{index}, and this process has cuda:{device.index}", "DDP109")
    return device, wrong


def _has_several(topology: Topology, torch: Any) -> bool:
    """Whether a process may have more than one device: there are more of them here than processes."""
    here = topology.local_world_size.value
    return here is None or bool(torch.cuda.device_count() > here)


def _backend(session: Session, wanted: object, device: Any) -> str:
    if wanted is None:
        return process_group.default_backend(device)
    if "nccl" in str(wanted).lower() and device.type == "cpu":
        session.overrule(f"{wanted} needs a CUDA device, and there is none: gloo is used", "")
        return "gloo"
    return str(wanted)
