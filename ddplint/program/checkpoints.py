"""Checkpoints that are loaded: what torch.load gives, where it ends up, and on which device it appears."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ddplint.program import guarding
from ddplint.program.events import Event
from ddplint.program.guarding import Way
from ddplint.program.library.devices import device_index
from ddplint.program.values import Const, Made, Value, is_made, walk

if TYPE_CHECKING:
    from ddplint.program.program import Program


def on_one_gpu(program: Program) -> Iterator[Way]:
    """Loads of a checkpoint by several processes of a machine onto the device that its tensors were saved from.

    Only what goes into ``load_state_dict``: a dataset in a .pt file lies on the CPU. Nothing in a script that has no
    word of CUDA.
    """
    events = [event for event in program.events("call") if event.name == "torch.load" and _is_bound(event)]
    if not events or not any("cuda" in module.source.text for module in program.modules):
        return
    restored = _restored(program)
    for ways in guarding.ways(program, [event for event in events if id(event.node) in restored]):
        found = next((way for way in ways if way.reach.several_on_a_node), None)
        if found is not None:
            yield found


def is_missing(event: Event) -> bool:
    """Whether a load says nothing of a device."""
    return "map_location" not in event.arguments


def _is_bound(event: Event) -> bool:
    """Whether the tensors appear on one GPU in all processes: where they were saved, or by a fixed index."""
    if "open" in event.arguments or "mmap" in event.arguments:
        return False
    given = event.arguments.get("map_location")
    if given is None:
        return True
    value = given.value
    if isinstance(value, Const) and value.value is None:
        return True
    index = device_index(value) if value.type in ("str", "device") else None
    return isinstance(index, Const) and index.value == 0


def _is_schedule(owner: Value) -> bool:
    """Whether a value is a schedule of the learning rate, by the name of what made it."""
    name = owner.name.rpartition(".")[2] if isinstance(owner, Made) else ""
    return name.endswith("LR") or "schedule" in name.lower()


def _restored(program: Program) -> set[int]:
    """The calls of torch.load whose result goes into a load_state_dict."""
    found: set[int] = set()
    for event in program.events("method"):
        given = event.arguments.get("state_dict") if event.name == "load_state_dict" else None
        if _is_schedule(event.arguments["self"].value):
            continue  # numbers, and no tensor among them
        for part in walk(given.value) if given is not None else ():
            if is_made(part, "torch.load") and part.origin is not None:
                found.add(id(part.origin.node))
    return found
