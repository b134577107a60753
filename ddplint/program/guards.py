"""Context managers that select a GPU, called as statements: they select nothing."""

from __future__ import annotations

from collections.abc import Iterator

from ddplint.program.events import Event
from ddplint.program.program import Program

_GUARDS = ("torch.accelerator.device_index", "torch.cuda.device")


def discarded(program: Program) -> Iterator[Event]:
    """Guards that nobody enters, each once."""
    seen: set[int] = set()
    for event in program.events("call"):
        if event.name in _GUARDS and event.discarded and id(event.node) not in seen:
            seen.add(id(event.node))
            yield event
