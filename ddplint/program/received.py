"""What torch gets from one process: its rank, the world size, the address to meet at, and its GPU."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ddplint.program import arithmetic
from ddplint.program.events import Event
from ddplint.program.group import Group
from ddplint.program.module import Module
from ddplint.program.place import Place
from ddplint.program.reasons import at, reason
from ddplint.program.topology import OTHER, UNKNOWN, Infeasible
from ddplint.program.values import Const, EnvVar, Op, Origin, Value


@dataclass(frozen=True, slots=True)
class Received:
    """A value, or why it is not known. Both None: there is none."""

    value: Any = None
    why: str | None = None


def receive(place: Place, value: Value, module: Module) -> Received:
    """A value as it is for one process of the script ``module``."""
    try:
        found = place.settle(value)
    except Infeasible:
        found = UNKNOWN
    if found is UNKNOWN or found is OTHER or found is None:
        return Received(why=reason(place, value, module))
    return Received(found)


def number(place: Place, group: Group, name: str, module: Module) -> Received:
    """The ``rank`` or ``world_size`` of a group: the argument, else the environment variable."""
    given = group.event.arguments.get(name)
    if given is not None:
        received = receive(place, given.value, module)
        # -1 is how torch writes "not given": torch 2.13, init_process_group and rendezvous
        if received.value != -1 or not _meets_by_environment(place, group):
            return received
    if _backend(place, group) == "mpi":
        return Received(place.rank if name == "rank" else place.topology.nnodes * place.started)
    if "open" in group.event.arguments:
        return Received(why=f"arguments that are handed through{at(_origin(group.event), module)}")
    if group.event.kind != "command" and not _meets_by_environment(place, group):
        return Received(why=f"init_process_group() is not given a {name}{at(_origin(group.event), module)}")
    variable = group.event.environ.get(name.upper()) or EnvVar(name.upper())
    return receive(place, arithmetic.integer(variable, variable.origin), module)


def endpoint(place: Place, group: Group, module: Module) -> tuple[Received, Received]:
    """The master address and port: of the ``init_method``, else of the environment. None for a file or for MPI."""
    arguments = group.event.arguments
    for name in ("store", "open"):
        if name in arguments:
            what = "a store that is handed over" if name == "store" else "arguments that are handed through"
            unknown = Received(why=what + at(_origin(group.event), module))
            return unknown, unknown
    if _backend(place, group) == "mpi":
        return Received(), Received()
    if group.event.kind == "command" or _meets_by_environment(place, group):
        environ = group.event.environ
        address, port = (
            receive(place, environ.get(name) or EnvVar(name), module) for name in ("MASTER_ADDR", "MASTER_PORT")
        )
        return address, port
    assert group.init_method is not None
    return _of_url(place, group.init_method.value, module)


def device(place: Place, events: Sequence[Event], module: Module) -> Received:
    """The GPU that a process takes: ``set_device`` counts first, then what DDP is told, then any other use."""
    for kinds in (("set_device",), ("device_ids",), None):
        for event in reversed(events):
            if kinds is not None and event.name not in kinds:
                continue
            if event.path is not None and any(
                place.holds(condition) is (not truth) for condition, truth in event.path.items()
            ):
                continue
            return receive(place, event.arguments["index"].value, module)
    return Received()


def _of_url(place: Place, value: Value, module: Module) -> tuple[Received, Received]:
    method = receive(place, value, module)
    if method.value is None:
        return _of_format(place, value, module) or (method, method)
    text = str(method.value)
    if not text.startswith("tcp://"):
        return Received(), Received()
    host, _, port = text[len("tcp://") :].partition("/")[0].partition("?")[0].rpartition(":")
    return Received(host.strip("[]")), Received(port)


def _of_format(place: Place, value: Value, module: Module) -> tuple[Received, Received] | None:
    """``f"tcp://{host}:{port}"`` where one of the two is not known."""
    if not (isinstance(value, Op) and value.name == "format"):
        return None
    sides: tuple[list[Received], list[Received]] = ([], [])
    after = 0
    for position, part in enumerate(value.args):
        received = receive(place, part, module)
        if isinstance(part, Const):
            text = str(part.value)
            if position == 0:
                if not text.startswith("tcp://"):
                    return None
                text = text[len("tcp://") :]
            host, colon, port = text.rpartition(":")
            if colon:
                sides[0].append(Received(host))
                after, received = 1, Received(port)
            else:
                received = Received(text)
        sides[after].append(received)
    host_side, port_side = (
        next((part for part in side if part.why is not None), None)
        or Received("".join(str(part.value) for part in side))
        for side in sides
    )
    return host_side, port_side


def _meets_by_environment(place: Place, group: Group) -> bool:
    if "store" in group.event.arguments:
        return False
    if group.init_method is None:
        return True
    try:
        method = place.settle(group.init_method.value)
    except Infeasible:
        return False
    return method is None or (isinstance(method, str) and (not method or method.startswith("env:")))


def _backend(place: Place, group: Group) -> object:
    backend = group.event.arguments.get("backend")
    try:
        return None if backend is None else place.settle(backend.value)
    except Infeasible:
        return None


def _origin(event: Event) -> Origin:
    return Origin(event.module, event.node)
