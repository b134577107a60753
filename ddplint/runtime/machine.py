"""What is wrong that only the machine shows: devices, names that do not resolve, interfaces that are not there.

What it asks the machine comes in as a `Machine`, so that another machine can stand in for this one.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ddplint.runtime import addresses, validation
from ddplint.runtime.devices import device_problem
from ddplint.runtime.launchers import torchelastic
from ddplint.runtime.launchers.launcher import Environ
from ddplint.runtime.problem import ERROR, WARNING, Problem
from ddplint.runtime.topology import Topology, several_nodes

GLOO, NCCL = "GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME"
# torch 2.14.1 ProcessGroupNCCL.hpp: names with an alias without TORCH_ that is still read ...
_OLD = ("BLOCKING_WAIT", "ASYNC_ERROR_HANDLING", "DESYNC_DEBUG", "ENABLE_TIMING", "USE_TENSOR_REGISTER_ALLOCATOR_HOOK")
# ... and those without one: set so, nobody reads them.
_UNREAD = (
    "AVOID_RECORD_STREAMS",
    "COORD_CHECK_MILSEC",
    "DUMP_ON_TIMEOUT",
    "ENABLE_MONITORING",
    "HEARTBEAT_TIMEOUT_SEC",
    "HIGH_PRIORITY",
    "NAN_CHECK",
    "PROPAGATE_ERROR",
    "WAIT_TIMEOUT_DUMP_MILSEC",
)


def _interfaces() -> tuple[str, ...]:
    try:
        return tuple(name for _, name in socket.if_nameindex())
    except OSError:
        return ()


@dataclass(frozen=True)
class Machine:
    """What is asked of a machine; names are resolved or an OSError says why not."""

    resolve: Callable[[str], tuple[str, ...]] = addresses.resolve
    is_own: Callable[[str], bool] = addresses.is_own
    towards: Callable[[str], str | None] = addresses.towards
    interface_of: Callable[[str], str | None] = addresses.interface_of
    interfaces: Callable[[], tuple[str, ...]] = _interfaces
    own_name: Callable[[], str] = socket.gethostname


THIS = Machine()


@dataclass(frozen=True)
class Unresolved(Problem):
    """A name that does not resolve, which may change: in Kubernetes the names of pods come up late."""


def problems(topology: Topology, environ: Environ, visible: int | None, machine: Machine = THIS) -> tuple[Problem, ...]:
    """What is wrong with the devices and the variables for interfaces; ``visible`` devices, None if not known."""
    device = device_problem(topology, visible) if visible is not None and visible > 1 else None
    found = [*_gloo_names(environ, visible, machine), *_nccl_names(environ, machine), *_renamed(environ)]
    return (*([device] if device else []), *found)


def master_problem(
    topology: Topology,
    resolved: tuple[str, ...] | OSError,
    machine: Machine = THIS,
    behind_a_service: bool = False,
    several: bool = False,
) -> Problem | None:
    """Why the master's address will not do, seen from this process; None where there are not several nodes.

    ``resolved`` is what the address resolves to here, or why it does not (nothing: no reason is known). An
    `Unresolved` may go away with time; no other problem does. ``behind_a_service``: the address may be that of a
    Service of Kubernetes, which is nobody's own and leads to rank 0 all the same. ``several``: there may be several
    nodes although the launcher does not say so.
    """
    master = topology.master_addr
    # An address that is loopback as it stands is told without the machine (validation).
    if master.value is None or not (several or several_nodes(topology)) or validation.is_loopback(master.value):
        return None
    shown = f"master address {master.value} ({master.source})"
    if isinstance(resolved, OSError) or not resolved:
        why = "" if not resolved else f": {getattr(resolved, 'strerror', None) or resolved}"
        return Unresolved(
            ERROR,
            f"{shown} does not resolve on {machine.own_name()}{why}",
            "every node must find the host of rank 0 by this name",
            "use its IP address, or a name that DNS or /etc/hosts of every node knows (in Kubernetes: a headless "
            "Service, and the whole name of the pod)",
        )
    if all(addresses.is_loopback(one) for one in resolved):
        if _with_rank_0(topology, machine):
            # Here, and only here, loopback leads to the right host: Debian gives a machine's own name 127.0.1.1.
            return None
        return Problem(
            ERROR,
            f"{shown} resolves to {', '.join(resolved)} on {machine.own_name()}, which is not the host of rank 0",
            "the address must lead from every node to the host of rank 0; this one leads this node to itself",
            "take the name off the line of 127.0.0.1 or 127.0.1.1 in /etc/hosts, or set MASTER_ADDR to an IP address",
        )
    # torchrun's agent serves the store, and with c10d it need not be on the host of rank 0 (pytorch #137402).
    if topology.rank.value != 0 or topology.launcher == torchelastic.NAME or any(map(machine.is_own, resolved)):
        return None
    return Problem(
        WARNING if behind_a_service else ERROR,
        f"rank 0 runs on {machine.own_name()}, but {shown} is another machine ({', '.join(resolved)})",
        "rank 0 listens on the master's address, so it must be an address of its machine",
        f"set MASTER_ADDR to {machine.own_name()} or one of its addresses, the same in every process, or start "
        "rank 0 on that machine",
    )


def unreachable_master(topology: Topology, environ: Environ, several: bool = False) -> Problem | None:
    """`master_problem` on this machine."""
    resolved: tuple[str, ...] | OSError
    try:
        resolved = addresses.resolve(topology.master_addr.value or "")
    except OSError as error:
        resolved = error
    # Kubernetes sets the variable in every pod.
    behind_a_service = "KUBERNETES_SERVICE_HOST" in environ
    return master_problem(topology, resolved, behind_a_service=behind_a_service, several=several)


def seen_here(topology: Topology, environ: Environ) -> Iterator[Problem]:
    """What is wrong with this process on this machine, as far as it shows without torch."""
    yield from problems(topology, environ, None)
    master = unreachable_master(topology, environ)
    if master is not None:
        yield master
    gloo = gloo_problem(topology, environ, topology.master_addr.value or "")
    if gloo is not None:
        yield gloo


def _with_rank_0(topology: Topology, machine: Machine) -> bool:
    if topology.rank.value == 0 or topology.node_rank.value == 0:
        return True
    name, own = topology.master_addr.value or "", machine.own_name()
    return topology.node_rank.value is None and name.partition(".")[0].lower() == own.partition(".")[0].lower()


def gloo_interface(topology: Topology, environ: Environ, master: str, machine: Machine = THIS) -> str | None:
    """The interface to set GLOO_SOCKET_IFNAME to before gloo starts; None where none is needed or none was found.

    It is the one towards ``master``, a name or an address. Gloo gives the other nodes the address that this machine's
    own name resolves to, or loopback where it does not: then connectFullMesh fails on one node with "Connection
    refused remote=[127.0.1.1]", and the other hangs (run with torch 2.13 on two hosts).
    """
    if not _needs_interface(topology, environ, machine):
        return None
    return next(filter(None, map(machine.interface_of, _reachable(topology, master, machine))), None)


def gloo_problem(topology: Topology, environ: Environ, master: str, machine: Machine = THIS) -> Problem | None:
    """That gloo needs an interface and `gloo_interface` finds none."""
    if not _needs_interface(topology, environ, machine) or gloo_interface(topology, environ, master, machine):
        return None
    name = machine.own_name()
    return Problem(
        WARNING,
        f"this machine's own name, {name}, does not resolve to an address that other nodes can reach",
        "gloo gives the other nodes the address of this name, and loopback where there is none",
        f"set {GLOO} to the interface towards the other nodes ({_list(machine)}), or correct {name} in /etc/hosts",
    )


def _needs_interface(topology: Topology, environ: Environ, machine: Machine) -> bool:
    if environ.get(GLOO) or not several_nodes(topology):
        return False
    try:
        found = machine.resolve(machine.own_name())
    except OSError:
        return True
    # Gloo takes the first one that it can bind to.
    taken = next((one for one in found if machine.is_own(one)), None)
    return taken is None or addresses.is_loopback(taken)


def _reachable(topology: Topology, master: str, machine: Machine) -> Iterator[str]:
    """Own addresses that others may reach, the most likely first.

    On the host of rank 0 the way to the master is loopback or an own address, so the other hosts are asked too, and
    last where the rest of the world is.
    """
    for host in (master, *(topology.hosts.value or ())):
        try:
            found = machine.resolve(host)
        except OSError:
            continue
        yield from _ways(found, machine)
    yield from _ways(addresses.ELSEWHERE, machine)


def _ways(others: tuple[str, ...], machine: Machine) -> Iterator[str]:
    for other in others:
        own = machine.towards(other)
        if own is not None and not addresses.is_loopback(own):
            yield own


def _gloo_names(environ: Environ, visible: int | None, machine: Machine) -> Iterator[Problem]:
    """Torch splits the value at commas and takes each part as one whole name (run with torch 2.13)."""
    value, there = environ.get(GLOO, ""), machine.interfaces()
    absent = [name for name in value.split(",") if name not in there] if value and there else []
    if absent:
        yield Problem(
            # With NCCL gloo may not be used at all.
            ERROR if visible == 0 else WARNING,
            f"{GLOO}={value}, and there is no interface {', '.join(map(repr, absent))} on {machine.own_name()}",
            "gloo takes whole names of interfaces, without the signs ^ and = of NCCL and without blanks",
            f"set {GLOO} to one of {_list(machine)}, or unset it",
        )


def _nccl_names(environ: Environ, machine: Machine) -> Iterator[Problem]:
    """NCCL's user guide: a list of prefixes, after ``=`` of whole names, after ``^`` of what is left out."""
    value, there = environ.get(NCCL, "").strip(), machine.interfaces()
    if not value or value.startswith("^") or not there:
        return
    whole = value.startswith("=")
    # A port may follow a name.
    wanted = [name for part in value.removeprefix("=").split(",") if (name := part.strip().partition(":")[0])]
    if not any(name == one if whole else one.startswith(name) for name in wanted for one in there):
        yield Problem(
            WARNING,
            f"{NCCL}={value}, and no interface of {machine.own_name()} {'has such a name' if whole else 'begins so'}",
            "NCCL needs at least one interface that its list allows",
            f"set {NCCL} to one of {_list(machine)}, or unset it",
        )


def _renamed(environ: Environ) -> Iterator[Problem]:
    for name in (*_OLD, *_UNREAD):
        old, new = f"NCCL_{name}", f"TORCH_NCCL_{name}"
        if not environ.get(old) or environ.get(new):
            continue
        read = name in _OLD
        yield Problem(
            WARNING,
            f"{old}={environ[old]} is set",
            f"torch calls it {new}" + (", and still reads the old name" if read else "; nobody reads the other name"),
            f"set {new} instead",
        )


def _list(machine: Machine) -> str:
    names = [name for name in machine.interfaces() if name != "lo"]
    return ", ".join(names) or "its interfaces"
