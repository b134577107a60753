"""How the code at an event says which process it is: a name that holds the rank, by its value."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ddplint.program.events import Event
from ddplint.program.program import Program
from ddplint.program.values import Const, Object, Origin, Value
from ddplint.repairs.draft import Draft


def local_rank(program: Program, event: Event) -> str | None:
    """A name of the local rank at an event that was followed with its names."""
    worlds = program.worlds
    wanted = tuple(world.local for world in worlds.of(event.context))
    return _held(event, lambda value: worlds.computed(value, event.context) == wanted)


def rank(draft: Draft, event: Event) -> str:
    """A name of the rank at an event, else ``dist.get_rank()``.

    Raises:
        NoPlaceError: torch.distributed can have no name there.
    """
    worlds = draft.program.worlds
    wanted = tuple(world.rank for world in worlds.of(event.context))
    found = _held(event, lambda value: worlds.settled(value, event) == wanted)
    return found or f"{draft.name(Origin(event.module, event.node), 'torch.distributed.get_rank')}()"


def is_sure(program: Program, event: Event) -> bool:
    """Whether a process that gets to an event has started its group: always, or only in some runs of the script."""
    there = {condition.id for condition, _ in event.path.items()} if event.path is not None else set()
    return all(
        start.order < event.order and {one.id for one, _ in start.path.items()} <= there
        if start.path is not None
        else start.order < event.order
        for start in program.worlds.starts(event)
    )


def _held(event: Event, fits: Callable[[Value], bool]) -> str | None:
    """The first name whose value fits, a variable rather than a field, and none that holds a literal or a text."""
    candidates = (one for one in _names(event) if not isinstance(one[1], Const) and one[1].type != "str")
    return next((name for name, value in candidates if fits(value)), None)


def _names(event: Event) -> Iterator[tuple[str, Value]]:
    """The names that the innermost function sees for sure: its own, then the fields of its own objects."""
    if not event.frames:
        return
    frame = event.frames[-1]
    own = [(name, value) for name, value in frame.names.items() if isinstance(name, str)]
    yield from ((name, value) for name, value in own if not isinstance(value, Object))
    for name, value in own:
        if isinstance(value, Object) and value.kind in ("instance", "namespace"):
            for field, inner in frame.fields.get(value.id, {}).items():
                if isinstance(field, str) and field.isidentifier():
                    yield f"{name}.{field}", inner
