"""Decisions by a number that each process has computed on its own share of the data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ddplint.program import once
from ddplint.program.events import Event
from ddplint.program.feeding import samplers_of
from ddplint.program.library import feeds, wrapping
from ddplint.program.program import Program
from ddplint.program.run import Run
from ddplint.program.state import steps
from ddplint.program.values import Made, Op, Origin, Value, is_made, walk

PLATEAU = "torch.optim.lr_scheduler.ReduceLROnPlateau"

# What brings the numbers of all processes together.
_TOGETHER = frozenset(
    f"torch.distributed.{name}"
    for name in (
        "all_reduce reduce all_gather all_gather_into_tensor all_gather_object gather gather_object broadcast "
        "broadcast_object_list reduce_scatter reduce_scatter_tensor"
    ).split()
)


@dataclass(frozen=True, slots=True)
class Decided:
    """``event`` happens by a metric, written at ``place``, of the loader's share that the sampler gives a process.

    ``event`` is a step of ReduceLROnPlateau, or a save behind a comparison.
    """

    event: Event
    place: Origin
    loader: Event

    @property
    def rate(self) -> bool:
        """Whether it is the learning rate that is decided, else whether a checkpoint is saved."""
        return self.event.kind == "method"


def unreduced(program: Program) -> Iterator[Decided]:
    """Decisions by the metric of one share, each place once."""
    if program.exempt:
        return
    told: set[int] = set()
    for run in program.runs:
        shared = _shared(run)
        if not shared:
            continue
        for event in run.events:
            for place, value in _sinks(event):
                loader = _own_share(run, value, shared) if id(place.node) not in told else None
                if loader is None or not program.worlds.starts(event) or _brought_together(run, event, loader):
                    continue
                if program.worlds.reach(event).first is not False:
                    told.add(id(place.node))
                    yield Decided(event, place, loader)


def _shared(run: Run) -> dict[int, Event]:
    """The loaders that give each process its share, by the id of their value."""
    return {
        key: made
        for key, made in run.feeds.items()
        if made.name == feeds.LOADER
        and any(
            (by := run.feeds.get(sampler.id)) is not None and by.name == feeds.SAMPLER
            for sampler in samplers_of(run, made)
        )
    }


def _sinks(event: Event) -> Iterator[tuple[Origin, Value]]:
    """The numbers that an event depends on, and where they are written."""
    if event.kind == "method" and event.name == "step" and is_made(event.arguments["self"].value, PLATEAU):
        given = event.arguments.get("metrics")
        if given is not None:
            yield Origin(event.module, given.node), given.value
    elif event.kind == "call" and event.name in once.SAVES:
        for condition, _ in steps(event.path):
            compares = isinstance(condition, Op) and condition.name in ("lt", "le", "gt", "ge")
            if compares and condition.origin is not None:
                yield condition.origin, condition


def _own_share(run: Run, value: Value, shared: dict[int, Event]) -> Event | None:
    """The loader whose data a wrapped model has turned into a number; None if there is none, or several."""
    parts = list(walk(value, lambda part: isinstance(part, (Made, Op)) and part.name == "len"))
    modelled = any(part.id in run.wrapped or is_made(part, wrapping.DDP, wrapping.FSDP) for part in parts)
    found = {part.id: shared[part.id] for part in parts if part.id in shared}
    return next(iter(found.values())) if modelled and len(found) == 1 else None


def _brought_together(run: Run, event: Event, loader: Event) -> bool:
    """Whether anything that may bring numbers together happens between the making of the loader and the decision."""
    between = run.events[loader.order : event.order]
    return any(one.kind == "call" and one.name in _TOGETHER for one in between) or any(
        mark.kind == "opaque" and mark.entry == event.entry and loader.order < mark.order <= event.order
        for mark in run.marks
    )
