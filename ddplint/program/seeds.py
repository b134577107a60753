"""Draws that must be alike in all processes, and seeds that are not: the split of a dataset, the order of a sampler."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ddplint.program.events import Argument, Event
from ddplint.program.library import feeds
from ddplint.program.program import Program
from ddplint.program.run import Run
from ddplint.program.state import steps
from ddplint.program.topology import UNKNOWN
from ddplint.program.values import Const, Op, Value

SEED = "torch.manual_seed"
SPLIT = "torch.utils.data.random_split"


@dataclass(frozen=True, slots=True)
class Drawn:
    """A draw that must be alike everywhere, with the seed, given in the call ``seeded``, that differs by process."""

    event: Event
    seeded: Event
    seed: Argument

    @property
    def sampler(self) -> bool:
        """Whether it is the order of a DistributedSampler, else the split of a dataset."""
        return self.event.name == feeds.SAMPLER


def unlike(program: Program) -> Iterator[Drawn]:
    """Splits and sampler orders that are certainly drawn differently by the processes of a job, each once."""
    if program.evidence.managed:
        return
    told: set[int] = set()
    for run in program.runs:
        for event in run.events:
            if event.kind != "call" or id(event.node) in told:
                continue
            seeded, seed = _seed(run, event)
            if seeded is None or seed is None or not program.worlds.reach(event).everybody:
                continue
            if differs(program, event, seed.value):
                told.add(id(event.node))
                yield Drawn(event, seeded, seed)


def _seed(run: Run, event: Event) -> tuple[Event | None, Argument | None]:
    """The seed that a draw depends on, and the call that gave it."""
    if event.name == feeds.SAMPLER:
        return event, event.arguments.get("seed")
    if event.name != SPLIT or "generator" in event.arguments or "open" in event.arguments:
        return None, None
    before = [
        one
        for one in run.events
        if one.kind == "call" and one.name == SEED and one.order < event.order and one.entry == event.entry
    ]
    if not before or before[-1].context != event.context:
        return None, None
    here = {(condition.id, truth) for condition, truth in steps(event.path)}
    if any((condition.id, truth) not in here for condition, truth in steps(before[-1].path)):
        return None, None  # on some way here another seed is the last one
    return before[-1], before[-1].arguments.get("seed")


def differs(program: Program, event: Event, value: Value) -> bool:
    """Whether a value is certainly another number in every process: a rank, or one added to what all share."""
    found = [world.settle(value) for world in program.worlds.of(event.context)]
    if UNKNOWN not in found:
        return all(isinstance(one, int) for one in found) and len(set(found)) > 1
    if not isinstance(value, Op) or len(value.args) != 2:
        return False
    for one, other in (value.args, value.args[::-1]):
        if value.name in ("add", "sub") and not program.worlds.may_vary(other) and differs(program, event, one):
            return True
        constant = isinstance(other, Const) and other.value != 0
        if value.name == "mul" and constant and differs(program, event, one):
            return True
    return False
