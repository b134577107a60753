"""GPUs that are named by a literal in code that several processes of a machine execute."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ddplint.program import guarding
from ddplint.program.events import Event
from ddplint.program.guarding import Way
from ddplint.program.library.devices import device_index
from ddplint.program.values import Const, Origin

if TYPE_CHECKING:
    from ddplint.program.program import Program

# What gives each process GPUs of its own, the first of which is cuda:0 for it, or starts one process on a machine.
_OWN_GPUS = re.compile(
    r"(CUDA|HIP|ROCR)_VISIBLE_DEVICES|--gpus-per-task|--gpu-bind|--ntasks-per-node[= ]1\b|"
    r"--nproc[_-]per[_-]node[= ]1\b"
)
# Backends that work with several processes on one GPU, as in a try-out.
_SHARING = frozenset(("gloo", "mpi"))


@dataclass(frozen=True, slots=True)
class Fixed:
    """A GPU index as it is written (``place``), and a way on which all processes of a machine use it."""

    place: Origin
    index: int
    way: Way


def shared(program: Program) -> Iterator[Fixed]:
    """GPUs that are the same for several processes of a machine because a literal says so, each literal once."""
    events = [event for event in program.events("placed", "device") if _literal(event) is not None]
    if not events or program.evidence.managed or _has_own_gpus(program):
        return
    seen: set[int] = set()
    for ways in guarding.ways(program, events):
        for way in ways:
            index = _literal(way.event)
            if index is None or not way.reach.several_on_a_node or not _is_one_of_several(program, way.event):
                continue
            place = index.origin or way.origin
            if id(place.node) not in seen:
                seen.add(id(place.node))
                yield Fixed(place, int(str(index.value)), way)


def _literal(event: Event) -> Const | None:
    """The literal that an event names a GPU with."""
    if event.kind == "device":
        value = event.arguments["index"].value if event.name in ("set_device", "device_ids") else None
    else:
        device = event.arguments.get("device")
        value = device_index(device.value) if device is not None else None
    return value if isinstance(value, Const) and isinstance(value.value, int) else None


def _has_own_gpus(program: Program) -> bool:
    texts = (*(module.source.text for module in program.modules), *program.launch_files())
    return any(_OWN_GPUS.search(text) for text in texts)


def _is_one_of_several(program: Program, event: Event) -> bool:
    """Whether a machine has several such processes, and none of their groups can do with one GPU.

    A script whose rank is typed by hand may well be started once on each machine.
    """
    if not (event.context or program.evidence.torchrun):
        return False
    for spawn in event.context:
        count = spawn.count.value if spawn.count is not None else None
        if isinstance(count, Const) and count.value == 1:
            return False
    for start in program.worlds.starts(event):
        backend = start.arguments.get("backend")
        if backend is not None and isinstance(backend.value, Const) and backend.value.value in _SHARING:
            return False
    return True
