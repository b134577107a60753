"""What goes to a GPU, and to which: by its index, or to the one that the process is on."""

from __future__ import annotations

import enum

from ddplint.program.events import Event
from ddplint.program.library.devices import device_index
from ddplint.program.values import Choice, Const, Device, External, Unknown, Value


class Place(enum.Enum):
    """CURRENT: the GPU that the process is on, which is 0 unless it chose another. INDEXED: one by its number."""

    CURRENT = "current"
    INDEXED = "indexed"
    CPU = "cpu"
    UNKNOWN = "unknown"


def place_of(event: Event) -> Place:
    """Where a ``placed`` event puts something."""
    device = event.arguments.get("device")
    if device is None:
        return Place.CURRENT if event.name == "cuda" else Place.UNKNOWN
    return place(device.value)


def place(value: Value) -> Place:
    """What a device is; a choice between a GPU and the CPU is the GPU."""
    if isinstance(value, Choice):
        sides = {place(value.then), place(value.other)}
        if Place.UNKNOWN in sides:
            return Place.UNKNOWN
        return next(iter(sides - {Place.CPU}), Place.CPU) if len(sides - {Place.CPU}) < 2 else Place.UNKNOWN
    if isinstance(value, Device):
        return Place.INDEXED
    if isinstance(value, Const):
        if value.value == "cuda":
            return Place.CURRENT
        if value.value == "cpu":
            return Place.CPU
    if isinstance(value, Unknown) and value.reason == "a device" and value.uses:
        return place(value.uses[0])
    if isinstance(value, External):
        return Place.CPU  # a dtype
    return Place.INDEXED if device_index(value) is not None else Place.UNKNOWN


def touches_gpu(event: Event) -> bool:
    """Whether CUDA is certainly initialised from here on, where there are GPUs at all."""
    if event.kind == "device":
        # torch 2.13, torch/csrc/cuda/Module.cpp: setDevice initialises; making a torch.device does not.
        return event.name == "set_device"
    return event.kind == "placed" and place_of(event) in (Place.CURRENT, Place.INDEXED)
