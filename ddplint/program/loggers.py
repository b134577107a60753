"""Runs of an experiment tracker: which calls open one, and which processes of a job do so together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ddplint.program import guarding
from ddplint.program.events import Event
from ddplint.program.guarding import Way
from ddplint.program.library.trackers import TRACKERS, WANDB
from ddplint.program.values import Const, Made, Origin, Value

if TYPE_CHECKING:
    from ddplint.program.program import Program

# Arguments by which a script says that each process is to have a run, or a part of one, or none:
# https://docs.wandb.ai/guides/track/log/distributed-training, tensorboardX 2.6 tensorboardX/writer.py (write_to_disk).
_MEANT = frozenset(("group", "settings", "id", "run_id", "nested", "parent_run_id", "write_to_disk", "open"))

# What is written down with a run: it may well differ between the processes of one run.
_ABOUT = frozenset(("config", "tags", "notes", "description", "flush_secs", "max_queue"))

# Variables that switch wandb off (wandb 0.18, wandb/env.py).
_SWITCHES = frozenset(("WANDB_MODE", "WANDB_DISABLED", "WANDB_RUN_GROUP", "WANDB_RUN_ID"))


@dataclass(frozen=True, slots=True)
class Mistake:
    """Where to speak of a run that several processes open, and one way from there to it."""

    place: Origin
    way: Way


def repeated(program: Program) -> Iterator[Mistake]:
    """Runs that several processes of one machine open, each place once."""
    events = [event for event in program.events("call") if event.name in TRACKERS and not _is_meant(program, event)]
    if not events or program.evidence.managed:
        return
    for ways in guarding.ways(program, events):
        wrong = [way for way in ways if way.reach.several_on_a_node and not guarding.taking_turns(program, way.event)]
        for way, place in guarding.mistakes(ways, wrong) if wrong else ():
            yield Mistake(place, way)


def _is_meant(program: Program, event: Event) -> bool:
    """Whether the call itself makes a difference between the processes, or may, or opens nothing."""
    if not event.arguments.keys().isdisjoint(_MEANT):
        return True
    mode = event.arguments.get("mode")
    if mode is not None and not (isinstance(mode.value, Const) and mode.value.value in (None, "online", "offline")):
        return True
    if event.name == WANDB and not event.environ.keys().isdisjoint(_SWITCHES):
        return True
    return any(
        program.worlds.may_vary_on_a_machine(argument.value, but_for=_is_time)
        for name, argument in event.arguments.items()
        if name not in _ABOUT
    )


def _is_time(value: Value) -> bool:
    """Whether a value is what a clock says: processes that differ in it do so by chance."""
    return isinstance(value, Made) and value.name.startswith(("time.", "datetime."))
