"""The sequences of collectives that the processes of a job execute, and where two of them part.

A run holds every event with the conditions that lead to it. In each of three processes (:mod:`ddplint.program.worlds`)
some of the conditions are known, and what is left is a sequence of collectives. Two processes of a job must execute
the same one, whatever the other conditions are; where a collective of one finds no partner in the other, it waits for
ever. Calls that are not followed may hold any collective: what they could match is not reported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import libcst as cst

from ddplint.program import alternatives
from ddplint.program.alignment import Item, unmatched
from ddplint.program.events import Event, Mark, Spawn
from ddplint.program.program import Program
from ddplint.program.run import Run
from ddplint.program.state import Path, assume, steps
from ddplint.program.values import Value
from ddplint.program.world import World

# Collectives before and after one in doubt that are compared: what hangs is near.
_WINDOW = 120

# How processes leave, by the kind of the mark.
LEAVES = ("return", "raise", "exit", "break", "continue")


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """A collective by its ``key``, or (``key`` None) a call that nobody follows."""

    key: str | None
    what: Event | Mark

    @property
    def path(self) -> Path | None:
        return self.what.path

    @property
    def nest(self) -> tuple[int, ...]:
        return self.what.nest


@dataclass(frozen=True, slots=True)
class Divergence:
    """``event`` happens in process ``here`` and has no partner in process ``there``.

    ``deciding`` are the conditions on the way to the event that ``there`` does not meet, oldest first. ``instead`` is
    what ``there`` executes next. ``leave`` is the statement by which it has left before, if it has.
    """

    event: Event
    here: World
    there: World
    deciding: tuple[Value, ...]
    instead: Event | None
    leave: Mark | None = None


class Trace:
    """The steps of one entry in one kind of process, in order."""

    def __init__(
        self,
        program: Program,
        run: Run,
        entry: int,
        context: tuple[Spawn, ...],
        key: Callable[[Event], str | None],
    ) -> None:
        self.program = program
        self.context = context
        self.worlds = program.worlds.of(context)
        self.marks = [mark for mark in run.marks if mark.entry == entry and mark.context == context]
        order: list[tuple[int, int, Step]] = []
        for event in run.events:
            if event.entry == entry and event.context == context and (name := key(event)) is not None:
                order.append((event.order, 1, Step(name, event)))
        order += [(mark.order, 0, Step(None, mark)) for mark in self.marks if mark.kind == "opaque"]
        order.sort(key=lambda item: item[:2])
        self.steps = [step for _, _, step in order]

    @cached_property
    def loops(self) -> dict[int, Mark]:
        """The loops by their number."""
        return {mark.nest[-1]: mark for mark in self.marks if mark.kind == "loop"}

    # -- what a process does ------------------------------------------------------------------------------------

    def kept_away(self, path: Path | None, place: int) -> tuple[tuple[Value, bool], ...]:
        """The conditions of a path that keep one of the three processes away, while another may take it.

        A condition that certainly holds elsewhere and need not hold here counts: ``not (rank == 0 and stop)``.
        """
        found: list[tuple[Value, bool]] = []
        for condition, truth in steps(path):
            held = self.program.worlds.holds(condition, self.context)
            if held[place] is not truth and truth in held:
                found.append((condition, truth))
        return tuple(found)

    def _opposite(self, conditions: Iterable[tuple[Value, bool]]) -> list[tuple[Value, bool]]:
        """What holds where these conditions do not, part by part."""
        return [part for condition, truth in conditions for part in steps(assume(None, condition, not truth))]

    def assumptions(self, path: Path | None, shared: bool) -> dict[int, bool]:
        """What is taken to hold where a path is taken; ``shared``: only what is then the same in all processes."""
        return self._open(steps(path), shared)

    def _open(self, conditions: Iterable[tuple[Value, bool]], shared: bool) -> dict[int, bool]:
        worlds = self.program.worlds
        return {
            condition.id: truth
            for condition, truth in conditions
            if None in worlds.holds(condition, self.context) and not (shared and worlds.may_vary(condition))
        }

    @staticmethod
    def standing(path: Path | None, world: World) -> tuple[bool | None, frozenset[int]]:
        """Whether a process takes a path; None if it hangs on the conditions whose ids come with it."""
        open: set[int] = set()
        for condition, truth in steps(path):
            held = world.holds(condition)
            if held is None:
                held = alternatives.holds(condition, world.assumed)
            if held is None:
                open.add(condition.id if truth else -condition.id)
            elif held is not truth:
                return False, frozenset()
        return (None, frozenset(open)) if open else (True, frozenset())

    def sequences(
        self, near: int, here: World, there: World
    ) -> tuple[list[tuple[Item, Step]], list[tuple[Item, Step]]]:
        """What two processes execute around one step. What both may skip alike is left out."""
        first: list[tuple[Item, Step]] = []
        second: list[tuple[Item, Step]] = []
        for step in self.steps[max(0, near - _WINDOW) : near + _WINDOW]:
            one, two = self.standing(step.path, here), self.standing(step.path, there)
            if one == two and (one[0] is not True or step.key is None) and not self._varies(step, one[1]):
                continue
            for standing, sequence in ((one, first), (two, second)):
                if standing[0] is not False:
                    sequence.append((Item(step.key, standing[0] is None, step), step))
        return first, second

    def _varies(self, step: Step, open: frozenset[int]) -> bool:
        """Whether one of the conditions that a step hangs on may hold in one process and not in another."""
        if step.key is None or not open:
            return False
        worlds = self.program.worlds
        return any(
            worlds.may_vary(condition)
            for condition, truth in steps(step.path)
            if (condition.id if truth else -condition.id) in open
        )

    # -- where they part ----------------------------------------------------------------------------------------

    def divergences(self) -> Iterator[Divergence]:
        """Collectives that one process executes and another does not."""
        told: set[Step] = set()
        for near, step in enumerate(self.steps):
            event = step.what
            if step.key is None or not isinstance(event, Event) or event.path is None:
                continue
            found = self._parting(near, step, event, told)
            if found is not None:
                told.add(step)
                yield found

    def _parting(self, near: int, step: Step, event: Event, told: set[Step]) -> Divergence | None:
        places = range(len(self.worlds))
        away = {place: self.kept_away(event.path, place) for place in places}
        for place in places:
            if away[place] or self.standing(event.path, self.worlds[place])[0] is False:
                continue
            for other in places:
                if not away[other]:
                    continue
                opposite = self._opposite(away[other])
                apart = self._open(opposite, shared=True)
                here = self.worlds[place].assuming({**apart, **self.assumptions(event.path, shared=False)})
                if self.standing(event.path, here)[0] is not True:
                    continue
                shared = self.assumptions(event.path, shared=True)
                there = self.worlds[other].assuming({**shared, **self._open(opposite, shared=False)})
                if self.standing(event.path, there)[0] is not False:
                    continue
                first, second = self.sequences(near, here, there)
                groups = unmatched([item for item, _ in first], [item for item, _ in second])
                steps_of = {id(item): one for item, one in (*first, *second)}
                own = next(id(item) for item, one in first if one is step)
                group = next((one for one in groups if own in map(id, one)), None)
                if group is None or any(steps_of[id(item)] in told for item in group):
                    continue
                if step.key == "destroy_process_group" and not _goes_on(step, first, second):
                    continue
                leave = self.leave(event, [condition for condition, _ in opposite], there)
                if leave is not None and leave.kind == "raise" and not leave.caught:
                    continue  # it fails, and the launcher ends the others
                deciding = tuple(condition for condition, _ in away[other])
                return Divergence(event, here, there, deciding, self._next(event, second), leave)
        return None

    def _next(self, event: Event, sequence: Sequence[tuple[Item, Step]]) -> Event | None:
        """What a process that does not get to an event executes instead: in the same pass, else in the next one.

        None where the event happens in some passes only: after the last one another thing comes next.
        """
        certain = [step.what for item, step in sequence if isinstance(step.what, Event) and not item.optional]
        later = next((one for one in certain if one.order > event.order), None)
        for loop in reversed(event.nest):
            if loop not in self.loops:
                continue
            if later is not None and loop in later.nest:
                return later
            again = next((one for one in certain if loop in one.nest and one is not event), None)
            if again is not None:
                every = any(self.standing(event.path, world)[0] is True for world in self.worlds)
                return again if every else None
        return later

    def leave(self, event: Event, deciding: Sequence[Value], there: World) -> Mark | None:
        """The statement by which a process has left before an event."""
        worlds = self.program.worlds
        ids = {condition.id for condition in deciding if len(set(worlds.holds(condition, self.context))) > 1}
        of_event = {condition.id for condition, _ in steps(event.path)}
        for mark in reversed(self.marks):
            if mark.kind not in LEAVES or mark.order > event.order or not self._leaves(mark, event):
                continue
            own = {condition.id: truth for condition, truth in steps(mark.path) if condition.id not in of_event}
            known = ids & {condition.id for condition, _ in steps(mark.path)}
            if known and self.standing(mark.path, there.assuming({**there.assumed, **own}))[0] is not False:
                return self._caught(mark) if mark.kind == "raise" else mark
        return None

    def _leaves(self, mark: Mark, event: Event) -> bool:
        """Whether a statement, once executed, leads past an event: it leaves what the event is in."""
        if mark.kind in ("raise", "exit"):
            return True
        if mark.kind == "return":
            return next((number in event.nest for number in reversed(mark.nest) if number not in self.loops), True)
        return bool(mark.nest) and mark.nest[-1] in event.nest

    def _caught(self, raised: Mark) -> Mark:
        """Where a process leaves that raises: there, or in the handler that catches it."""
        for mark in self.marks[self.marks.index(raised) + 1 :]:
            last = mark.path.condition.origin if mark.path is not None else None
            handles = last is not None and isinstance(last.node, (cst.Try, cst.TryStar))
            if handles and mark.kind in LEAVES and raised.nest[: len(mark.nest)] == mark.nest:
                return mark
        return raised


def _goes_on(step: Step, *sequences: Sequence[tuple[Item, Step]]) -> bool:
    """Whether a collective that certainly happens comes after a step."""
    order = step.what.order
    return any(
        one.what.order > order and not item.optional and item.key not in (None, "destroy_process_group")
        for sequence in sequences
        for item, one in sequence
    )


def traces(program: Program, key: Callable[[Event], str | None]) -> Iterator[Trace]:
    """The traces of a program: of its entry, and of functions that nobody calls; none that was not read to the end.

    ``key`` names the events that all processes must execute in the same order.
    """
    for run in program.runs:
        if run.exhausted:
            continue
        spawns = any(event.kind == "spawn" for event in run.events)
        found: dict[tuple[int, tuple[int, ...]], tuple[Spawn, ...]] = {}
        for event in run.events:
            if key(event) is not None and (event.context or not spawns):
                found.setdefault((event.entry, tuple(id(spawn.node) for spawn in event.context)), event.context)
        for (entry, _), context in found.items():
            yield Trace(program, run, entry, context, key)
