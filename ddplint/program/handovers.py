"""Files that rank 0 writes and other ranks read: whether anything makes the others wait until the file is there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import libcst as cst

from ddplint.program import alternatives, downloads, once
from ddplint.program.events import Event, Mark
from ddplint.program.program import Program
from ddplint.program.run import Run
from ddplint.program.state import steps
from ddplint.program.values import Const, Value

# What reads a file that one of ``once.SAVES`` has written, and which argument says where.
_LOADS = {"torch.load": "f"}


@dataclass(frozen=True, slots=True)
class Handover:
    """``write`` happens on rank 0 alone, ``read`` on other ranks too, and nobody waits between the two."""

    write: Event
    read: Event

    @property
    def data(self) -> bool:
        """Whether it is a dataset that is downloaded, else a file that is saved."""
        return self.write.name not in once.SAVES


def races(program: Program) -> Iterator[Handover]:
    """Reads of what rank 0 may still be writing, each place once."""
    if program.exempt:
        return
    told: set[int] = set()
    for run in program.runs:
        writes = [event for event in run.events if _written(event) is not None]
        for write in writes:
            if not program.worlds.starts(write) or not program.worlds.reach(write).only_first:
                continue
            for read in run.events[write.order + 1 :]:
                if id(read.node) not in told and _reads(write, read) and _races(program, run, write, read):
                    told.add(id(read.node))
                    yield Handover(write, read)


def _written(event: Event) -> Value | None:
    """Where an event writes."""
    if event.kind != "call" or "open" in event.arguments:
        return None
    if event.name in once.SAVES:
        given = event.arguments.get(once.SAVES[event.name])
        return given.value if given is not None else None
    return downloads.target(event) if downloads.is_dataset(event) and _downloads(event) is True else None


def _downloads(event: Event) -> bool | None:
    """Whether a dataset downloads itself; None if that is not known."""
    told = event.arguments.get("download")
    if told is None:
        return False
    return bool(told.value.value) if isinstance(told.value, Const) else None


def _reads(write: Event, read: Event) -> bool:
    """Whether one event reads what another has written: the same value says where."""
    where = _written(write)
    if where is None or read.kind != "call" or "open" in read.arguments:
        return False
    if read.name in _LOADS:
        given = read.arguments.get(_LOADS[read.name])
        return write.name in once.SAVES and given is not None and given.value.id == where.id
    if read.name != write.name or not downloads.is_dataset(read) or _downloads(read) is not False:
        return False
    found = downloads.target(read)
    return found is not None and found.id == where.id


def _races(program: Program, run: Run, write: Event, read: Event) -> bool:
    where = _written(write)
    if where is None or program.worlds.may_vary(where) or not program.models.before(write, read, surely=False):
        return False
    if write.context != read.context or program.worlds.reach(read).other is not True or _excluded(write, read):
        return False
    return not any(_waits(event) for event in run.events[write.order + 1 : read.order]) and not any(
        _may_wait(mark) for mark in run.marks if mark.entry == read.entry and write.order < mark.order <= read.order
    )


def _excluded(write: Event, read: Event) -> bool:
    """Whether no run gets to both: their conditions contradict each other."""
    path = [*steps(write.path), *steps(read.path)]
    known: dict[int, bool] = {}
    for condition, truth in path:
        if alternatives.holds(condition, known) is (not truth):
            return True
        known[condition.id] = truth
    return False


def _waits(event: Event) -> bool:
    """Whether processes may meet in an event: a collective, the start of a group, a wrapped model at work."""
    if event.kind in ("init", "wrap", "spawn", "command", "managed", "handed"):
        return True
    if event.kind == "method":
        return event.name not in ("load_state_dict", "set_epoch", "zero_grad", "eval", "train", "to", "cuda", "cpu")
    return event.kind == "call" and event.name.startswith("torch.distributed.")


def _may_wait(mark: Mark) -> bool:
    """Whether a step may hide a collective or wait for the file itself: ``while not os.path.exists(path)``."""
    return mark.kind == "opaque" or (mark.kind == "loop" and isinstance(mark.node, cst.While))
