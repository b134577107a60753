"""Loops with collectives that a process leaves because of something that only this process knows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ddplint.program.events import Event, Mark
from ddplint.program.library import wrapping
from ddplint.program.passes import left
from ddplint.program.program import Program
from ddplint.program.state import steps
from ddplint.program.traces import Trace, traces
from ddplint.program.values import Made, Op, Unknown, Value, is_made, walk

# What may be another answer on every rank or node, by its full name.
_LOCAL = frozenset(
    (
        *(f"os.path.{name}" for name in ("exists", "isfile", "isdir", "getsize", "getmtime")),
        *(f"time.{name}" for name in ("time", "monotonic", "perf_counter")),
        "random.random",
    )
)
_LEAVES = ("break", "return")


@dataclass(frozen=True, slots=True)
class Decision:
    """``mark`` leaves a loop that holds the collective ``event``; ``condition`` is what each process decides alone."""

    mark: Mark
    event: Event
    condition: Value


def decisions(program: Program) -> Iterator[Decision]:
    """Statements that leave a loop with collectives behind a condition that each process answers by itself."""
    if program.evidence.test:
        return
    seen: set[int] = set()
    for trace in traces(program, program.collectives.name):
        agreed = _agreed(trace)
        for mark in trace.marks:
            if mark.kind in _LEAVES and id(mark.node) not in seen:
                found = _decision(trace, mark, agreed)
                if found is not None:
                    seen.add(id(mark.node))
                    yield found


def _agreed(trace: Trace) -> set[int]:
    """The values that a collective was given: what is computed from them may be the same everywhere afterwards."""
    return {
        part.id
        for step in trace.steps
        if isinstance(step.what, Event) and step.what.kind == "call"
        for argument in step.what.arguments.values()
        for part in (argument.value, *argument.value.parts())
        if isinstance(part, Unknown) and not is_made(part, wrapping.DDP, wrapping.FSDP)
    }


def _decision(trace: Trace, mark: Mark, agreed: set[int]) -> Decision | None:
    loops = left(trace, mark)
    event = next(
        (
            step.what
            for step in trace.steps
            if isinstance(step.what, Event) and step.key is not None and set(loops) & set(step.nest)
        ),
        None,
    )
    conditions = steps(mark.path)
    if event is None or not conditions or any(trace.kept_away(mark.path, place) for place in range(len(trace.worlds))):
        return None  # what hangs on the rank is said by other rules
    condition, _ = conditions[-1]
    parts = list(walk(condition))
    if any(part.id in agreed for part in parts) or not _is_local(condition, parts):
        return None
    return Decision(mark, event, condition)


def _is_local(condition: Value, parts: list[Value]) -> bool:
    """Whether a condition is about this process's own files or clock, or compares what the model made of its data."""
    compares = isinstance(condition, Op) and condition.name in ("lt", "le", "gt", "ge")
    return any(
        (isinstance(part, Made) and part.name in _LOCAL) or (compares and is_made(part, wrapping.DDP, wrapping.FSDP))
        for part in parts
    )
