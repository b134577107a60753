"""Downloads that several processes start at the same time into the same folder."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ddplint.program import guarding
from ddplint.program.events import Event
from ddplint.program.guarding import Way
from ddplint.program.library import fetching
from ddplint.program.values import Const, Value

if TYPE_CHECKING:
    from ddplint.program.program import Program


def raced(program: Program) -> Iterator[Way]:
    """Downloads that more than one process of a machine gets to, each place once, by the first such way."""
    events = [event for event in program.events("call") if _downloads(event)]
    for ways in guarding.ways(program, events):
        found = next((way for way in ways if way.reach.several_on_a_node and not _settled(program, way, events)), None)
        if found is not None:
            yield found


def target(event: Event) -> Value | None:
    """Where the files go, if the call says so."""
    for name in ("root", "output", "out", "filename", "download_root", "to_path"):
        if name in event.arguments:
            return event.arguments[name].value
    return None


def is_dataset(event: Event) -> bool:
    """Whether it is a dataset that downloads itself."""
    return fetching.is_dataset(event.name)


def _downloads(event: Event) -> bool:
    if is_dataset(event):
        told = event.arguments.get("download")
        return told is not None and isinstance(told.value, Const) and told.value.value is True
    return event.name in fetching.FETCHERS


def _settled(program: Program, way: Way, events: list[Event]) -> bool:
    """Whether the processes take turns after all, or each has a folder of its own."""
    event = way.event
    where = target(event)
    if where is not None and program.worlds.may_vary(where):
        return True
    return guarding.taking_turns(program, event) or any(
        other.name == event.name and other.order < event.order and _went_first(program, other) for other in events
    )


def _went_first(program: Program, event: Event) -> bool:
    """Whether one process of a machine, or of all, gets here: what it finds later is complete."""
    reach = program.worlds.reach(event)
    return reach.other is False
