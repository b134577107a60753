"""The backend of a process group, and the devices that the script is ready to use."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import libcst as cst

from ddplint.program.events import Argument, Event
from ddplint.program.placing import Place, place, place_of
from ddplint.program.program import Program
from ddplint.program.state import steps
from ddplint.program.values import Choice, Const, Symbol, Unknown, Value, walk


@dataclass(frozen=True, slots=True)
class Unready:
    """A group that is NCCL's in every run, in a script that goes on without a GPU at ``fallback``."""

    start: Event
    backend: Argument
    fallback: Event


def unready(program: Program) -> Iterator[Unready]:
    """Groups of NCCL in scripts that put everything on the CPU where there is no GPU, each once."""
    if program.evidence.test or program.evidence.managed:
        return
    seen: set[int] = set()
    for start in program.entry_run.events:
        backend = start.arguments.get("backend")
        if start.kind != "init" or backend is None or id(start.node) in seen:
            continue
        if not _is_nccl(backend) or any(_asks_for_gpu(condition) for condition, _ in steps(start.path)):
            continue
        if any(event.context == start.context and _needs_gpu(event) for event in program.entry_run.events):
            continue  # the fallback is a way of speaking
        fallback = next(
            (
                event
                for event in program.entry_run.events
                if event.kind == "placed" and event.context == start.context and _falls_back(event)
            ),
            None,
        )
        if fallback is not None:
            seen.add(id(start.node))
            yield Unready(start, backend, fallback)


def _is_nccl(backend: Argument) -> bool:
    value = backend.value
    return isinstance(value, Const) and value.value == "nccl" and isinstance(backend.node, cst.SimpleString)


def _falls_back(event: Event) -> bool:
    """Whether something goes to the CPU where torch.cuda.is_available() is false, and comes here then."""
    device = event.arguments.get("device")
    if device is None or any(_asks_for_gpu(condition) for condition, _ in steps(event.path)):
        return False
    value = _named(device.value)
    if not isinstance(value, Choice) or not (isinstance(value.condition, Symbol) and _asks_for_gpu(value.condition)):
        return False
    return place(value.other) is Place.CPU and place(value.then) in (Place.CURRENT, Place.INDEXED)


def _needs_gpu(event: Event) -> bool:
    """Whether an event fails where there is no GPU, and nobody asks for one first."""
    if any(_asks_for_gpu(condition) for condition, _ in steps(event.path)):
        return False
    if event.kind == "device":
        return event.name == "set_device"
    device = event.arguments.get("device")
    if event.kind != "placed" or (device is not None and isinstance(_named(device.value), Choice)):
        return False
    return place_of(event) in (Place.CURRENT, Place.INDEXED)


def _named(value: Value) -> Value:
    """What ``torch.device(...)`` was given."""
    return value.uses[0] if isinstance(value, Unknown) and value.reason == "a device" and value.uses else value


def _asks_for_gpu(condition: Value) -> bool:
    return any(isinstance(part, Symbol) and part.name in ("cuda_available", "device_count") for part in walk(condition))
