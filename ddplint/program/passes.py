"""Loops that one process runs through more often than another, with collectives in them.

A trace holds one pass of a loop for all of them. Two things are only seen when passes are counted: a process that
leaves the loop while others go on, and a loop over a range that is not as long everywhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ddplint.program.events import Event, Mark
from ddplint.program.topology import UNKNOWN, Infeasible, Question
from ddplint.program.traces import Divergence, Step, Trace
from ddplint.program.values import Op, Value
from ddplint.program.world import World

_LEAVES = ("break", "return", "exit")


@dataclass(frozen=True, slots=True)
class Uneven:
    """``event`` happens ``more`` times in process ``here`` and ``fewer`` times in process ``there``."""

    event: Event
    loop: Mark
    here: World
    there: World
    more: int
    fewer: int


def departures(trace: Trace) -> Iterator[Divergence]:
    """Processes that leave a loop, while others go on to a collective of its next pass."""
    for mark in trace.marks:
        if mark.kind not in _LEAVES or mark.path is None:
            continue
        for loop in left(trace, mark):
            found = _departure(trace, mark, loop)
            if found is not None:
                yield found
                break


def left(trace: Trace, mark: Mark) -> Sequence[int]:
    """The loops that a statement leaves, innermost first."""
    found = []
    for number in reversed(mark.nest):
        if number in trace.loops:
            found.append(number)
            if mark.kind == "break":
                break
        elif mark.kind == "return":
            break
    return found


def _departure(trace: Trace, mark: Mark, loop: int) -> Divergence | None:
    for place, world in enumerate(trace.worlds):
        gone = world.assuming(trace.assumptions(mark.path, shared=False))
        if trace.kept_away(mark.path, place) or trace.standing(mark.path, gone)[0] is not True:
            continue
        for other, there in enumerate(trace.worlds):
            away = trace.kept_away(mark.path, other)
            if not away:
                continue
            stays = there.assuming(trace.assumptions(mark.path, shared=True))
            if _leaves_too(trace, mark, loop, stays):
                continue
            step = _next_pass(trace, loop, stays)
            if step is None or not isinstance(step.what, Event) or _meets(trace, mark, loop, step, gone):
                continue
            deciding = tuple(condition for condition, _ in away)
            return Divergence(step.what, stays, gone, deciding, None, mark)
    return None


def _leaves_too(trace: Trace, mark: Mark, loop: int, world: World) -> bool:
    """Whether a process may leave the loop elsewhere: it may have been told to."""
    return any(
        one.kind in (*_LEAVES, "raise") and loop in one.nest and one is not mark
        for one in trace.marks
        if trace.standing(one.path, world)[0] is not False
    )


def _next_pass(trace: Trace, loop: int, world: World) -> Step | None:
    """The first collective that a process certainly executes in every pass."""
    for step in trace.steps:
        if loop in step.nest and step.key is not None and trace.standing(step.path, world)[0] is True:
            return step
    return None


def _meets(trace: Trace, mark: Mark, loop: int, step: Step, gone: World) -> bool:
    """Whether the process that left may still execute such a collective, or something that nobody knows."""
    return any(
        one.what.order >= mark.order
        and loop not in one.nest
        and one.key in (None, step.key)
        and trace.standing(one.path, gone)[0] is not False
        for one in trace.steps
    )


def uneven(trace: Trace) -> Iterator[Uneven]:
    """Collectives in loops over a range whose length hangs on the rank."""
    for number, loop in trace.loops.items():
        lengths = [_length(loop.value, world) for world in trace.worlds]
        if None in lengths or len(set(lengths)) == 1:
            continue
        known = [length for length in lengths if length is not None]
        here, there = known.index(max(known)), known.index(min(known))
        for step in trace.steps:
            if number not in step.nest or not isinstance(step.what, Event) or step.key is None:
                continue
            world = trace.worlds[here].assuming(trace.assumptions(step.path, shared=False))
            if trace.standing(step.path, world)[0] is True:
                yield Uneven(step.what, loop, world, trace.worlds[there], max(known), min(known))
                break


def _length(iterable: Value | None, world: World) -> int | None:
    """How many passes a loop over a range makes in one process."""
    if not isinstance(iterable, Op) or iterable.name != "range":
        return None
    guess = world.assuming({})
    bounds = [_number(guess, part) for part in iterable.args]
    if any(not isinstance(bound, int) for bound in bounds):
        return None
    try:
        return len(range(*bounds))
    except ValueError:
        return None


# What an option is taken to be whose default is no number: any would do, as it is the same in all processes.
_SOME = 7


def _number(world: World, value: Value) -> Any:
    """A number in one process, whatever is typed: an option is its default, or some number."""
    while True:
        try:
            return world.evaluate(value)
        except Infeasible:
            return UNKNOWN
        except Question as question:
            if not (isinstance(question.key, tuple) and question.key[0] == "input"):
                return UNKNOWN
            numbers = [one for one in question.answers if isinstance(one, int) and one > 1]
            world.answers = {**world.answers, question.key: numbers[0] if numbers else _SOME}
