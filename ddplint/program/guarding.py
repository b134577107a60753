"""Places that processes of a job get to, judged on all the ways that lead there from a script that is run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ddplint.program.events import Event
from ddplint.program.values import Made, Origin
from ddplint.program.worlds import Reach

if TYPE_CHECKING:
    from ddplint.program.program import Program


# Context managers that let everybody in at once; any other may be a lock, or let rank 0 go first.
_OPEN = ("torch.", "warnings.", "contextlib.nullcontext", "open", "tempfile.", "tqdm")


@dataclass(frozen=True, slots=True)
class Way:
    """One way to a place, and which processes come along."""

    event: Event
    reach: Reach

    @property
    def origin(self) -> Origin:
        """The place."""
        return Origin(self.event.module, self.event.node)


def mistakes(ways: list[Way], wrong: list[Way]) -> Iterator[tuple[Way, Origin]]:
    """Where to speak of the wrong ways to a place: there, or at the calls where those are not guarded alike."""
    if len({(way.reach.first, way.reach.leader, way.reach.other) for way in ways}) == 1:
        yield wrong[0], wrong[0].origin
        return
    seen: set[int] = set()
    for way in wrong:
        place = way.event.calls[-1].origin if way.event.calls else way.origin
        if id(place.node) not in seen:
            seen.add(id(place.node))
            yield way, place


def ways(program: Program, events: Iterable[Event]) -> Iterator[list[Way]]:
    """The ways to each place where one of the events happens, those that processes of a job can go.

    What a script of one process does is left out, as is what happens before a script starts the others, and tests.
    """
    places: dict[int, list[Way]] = {}
    for event in events:
        if program.worlds.is_parent(event) or not program.worlds.starts(event):
            continue
        places.setdefault(id(event.node), []).append(Way(event, program.worlds.reach(event)))
    if places and not program.evidence.test:
        yield from places.values()


def taking_turns(program: Program, event: Event) -> bool:
    """Whether processes that all get to an event may do so one after the other: a lock, or a barrier for the others."""
    if any(not (isinstance(manager, Made) and manager.name.startswith(_OPEN)) for manager in event.within):
        return True
    return _waited(program, event)


def _waited(program: Program, event: Event) -> bool:
    """Whether all but the first are held at a barrier before, as in `if rank != 0: barrier()`, which it joins later."""
    holding = False
    for barrier in program.events("call"):
        if barrier.order >= event.order or barrier.entry != event.entry:
            continue
        if barrier.name == "torch.distributed.barrier":
            reach = program.worlds.reach(barrier)
            if reach.first is False:
                holding = True
            elif reach.other is False:
                holding = False
    return holding
