"""Which micro-batches average their gradients: ``no_sync()`` against the steps of the optimizer, tried out by number.

The conditions of both are computed for the first passes of the loop, with 2, 3 and 4 micro-batches to a step where
that number is an option. What does not come out as a number, or depends on anything else, is left alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import libcst as cst

from ddplint.program import surroundings, wrapped
from ddplint.program.events import Event
from ddplint.program.program import Program
from ddplint.program.run import Run
from ddplint.program.state import steps
from ddplint.program.values import Choice, Const, Index, Input, Made, Op, Unknown, Value
from ddplint.program.walk import everything_in
from ddplint.program.wrapped import Kind

COUNTS = (2, 3, 4)


@dataclass(frozen=True, slots=True)
class Skipped:
    """The optimizer steps on gradients that ``no_sync`` keeps apart.

    ``count`` is the number of micro-batches tried and ``turn`` the first one that shows it; both None if every one.
    """

    event: Event
    step: Event
    count: int | None
    turn: int | None


def skipped(program: Program) -> Iterator[Skipped]:
    """Every ``no_sync`` that covers a micro-batch on which the optimizer steps, each place once."""
    seen: set[int] = set()
    for run in program.runs:
        if not any(event.name == "no_sync" for event in run.events):
            continue
        loops = run.loop_numbers()
        for event in run.events:
            if event.kind != "method" or event.name != "no_sync" or id(event.node) in seen:
                continue
            if wrapped.kind(event.arguments["self"].value) is Kind.DDP and wrapped.possible(event.path):
                found = _skipped(run, event, loops)
                if found is not None:
                    seen.add(id(event.node))
                    yield found


def _skipped(run: Run, event: Event, loops: set[int]) -> Skipped | None:
    loop = innermost(event, loops)
    if loop is None:
        return None
    same = [one for one in run.events if one.kind == "method" and innermost(one, loops) == loop]
    passes = [one for one in same if one.name == "__call__" and _is_wrapper(one, event)]
    backwards = [one for one in same if one.name == "backward"]
    inside = {one.order for one in (*passes, *backwards) if _is_in(one, event)}
    # outside of it the forward pass arms the averaging, whatever is around backward()
    if not any(one.order in inside for one in passes) or not any(one.order in inside for one in backwards):
        return None
    if any(one.name in ("__call__", "backward") and loop in one.nest and one not in same for one in run.events):
        return None  # micro-batches in a loop of their own
    for step in (one for one in same if one.name == "step" and is_optimizer(one)):
        found = _tried(event, step, [*passes, *backwards], inside)
        if found is not None:
            return found
    return None


def innermost(event: Event, loops: set[int]) -> int | None:
    """The innermost of these loops that an event is in."""
    return next((number for number in reversed(event.nest) if number in loops), None)


def _is_wrapper(event: Event, no_sync: Event) -> bool:
    return event.arguments["self"].value.id == no_sync.arguments["self"].value.id


def is_optimizer(event: Event) -> bool:
    """Whether a method is one of an optimizer, or of a GradScaler."""
    made = event.arguments["self"].value
    if not isinstance(made, Made):
        return False
    return (made.name.startswith("torch.optim.") and made.name[12:13].isupper()) or made.name.endswith("amp.GradScaler")


def _is_in(event: Event, no_sync: Event) -> bool:
    """Whether an event stands in the ``with`` that ``no_sync()`` is for, by itself or through a variable."""
    for place in surroundings.places(event):
        for node in surroundings.around(place):
            for item in node.items if isinstance(node, cst.With) else ():
                if any(one is no_sync.node for one in everything_in(item.item)):
                    return True
                name = item.item.func if isinstance(item.item, cst.Call) else item.item
                if isinstance(name, cst.Name) and _assigned_from(no_sync, name.value):
                    return True
    return False


def _assigned_from(no_sync: Event, name: str) -> bool:
    piece = no_sync.module.positions.statement_line(no_sync.node)
    for node in everything_in(piece.root) if piece is not None else ():
        if isinstance(node, cst.Assign) and any(one is no_sync.node for one in everything_in(node.value)):
            return any(isinstance(one.target, cst.Name) and one.target.value == name for one in node.targets)
    return False


# -- trying it out ---------------------------------------------------------------------------------------------------


def _tried(no_sync: Event, step: Event, work: Sequence[Event], inside: set[int]) -> Skipped | None:
    events = [no_sync, step, *work]
    conditions = [condition for event in events for condition, _ in steps(event.path)]
    leaves = {part.id: part for condition in conditions for part in leaves_of(condition)}
    turns = [one for one in leaves.values() if isinstance(one, Index) or (isinstance(one, Unknown) and one.shared)]
    counts = [one for one in leaves.values() if isinstance(one, Input)]
    if len(turns) > 1 or len(counts) > 1 or len(leaves) > len(turns) + len(counts):
        return None
    if not turns:
        always = not conditions and _is_bad({}, no_sync, step, work, inside)
        return Skipped(no_sync, step, None, None) if always else None
    found: list[tuple[int, int]] = []
    for count in COUNTS if counts else (0,):
        numbers = {counts[0].id: count} if counts else {}
        bad = next(
            (turn for turn in range(24) if _is_bad({**numbers, turns[0].id: turn}, no_sync, step, work, inside)), None
        )
        if bad is None:
            return None
        found.append((count, bad))
    return Skipped(no_sync, step, found[0][0] or None, found[0][1])


def _is_bad(numbers: Mapping[int, int], no_sync: Event, step: Event, work: Sequence[Event], inside: set[int]) -> bool:
    """Whether the optimizer steps in a pass in which nothing was averaged."""
    if happens(no_sync, numbers) is not True or happens(step, numbers) is not True:
        return False
    return not any(one.order not in inside and happens(one, numbers) is not False for one in work)


def happens(event: Event, numbers: Mapping[int, int]) -> bool | None:
    """Whether an event happens where counters and options (by their ids) are these; None if that does not tell."""
    found = [(_number(condition, numbers), truth) for condition, truth in steps(event.path)]
    if any(value is not None and bool(value) is not truth for value, truth in found):
        return False
    return None if any(value is None for value, _ in found) else True


def leaves_of(value: Value) -> Iterator[Value]:
    """What a condition is computed from: counters, options, and whatever is not known."""
    if isinstance(value, (Op, Choice)):
        for part in value.parts():
            yield from leaves_of(part)
    elif not isinstance(value, Const):
        yield value


_OPERATIONS: Mapping[str, Callable[[int, int], int]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "mod": lambda a, b: a % b,
    "floordiv": lambda a, b: a // b,
    "eq": lambda a, b: a == b,
    "ne": lambda a, b: a != b,
    "lt": lambda a, b: a < b,
    "le": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
    "ge": lambda a, b: a >= b,
}


def _number(value: Value, numbers: Mapping[int, int]) -> int | None:
    """A value where the loop's counter and the number of micro-batches are these; None if that does not tell."""
    if value.id in numbers:
        return numbers[value.id]
    if isinstance(value, Const):
        return value.value if isinstance(value.value, int) else None
    if not isinstance(value, Op):
        return None
    found = [_number(arg, numbers) for arg in value.args]
    if value.name in ("and", "or"):
        decisive = value.name == "or"
        if any(one is not None and bool(one) is decisive for one in found):
            return decisive
        return None if None in found else not decisive
    if value.name in ("not", "bool") and found[0] is not None:
        return (not found[0]) if value.name == "not" else bool(found[0])
    operation = _OPERATIONS.get(value.name)
    if operation is None or len(found) != 2 or found[0] is None or found[1] is None:
        return None
    try:
        return operation(found[0], found[1])
    except ZeroDivisionError:
        return None
