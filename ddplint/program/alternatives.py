"""What several values are at the same time: the sides of their choices that go together, on a path."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import libcst as cst

from ddplint.program.imports import dotted_name
from ddplint.program.state import Path, assume, steps
from ddplint.program.values import Choice, Const, Object, Op, Unknown, Value

# Conditions that are taken both ways; values that hang on more of them are left alone.
_OPEN = 6


@dataclass(frozen=True, slots=True)
class Alternative:
    """The values in one case; ``known`` are the conditions of the case, ``open`` how many of them were a guess."""

    values: tuple[Value, ...]
    known: Mapping[int, bool]
    open: int


def together(values: Sequence[Value], path: Path | None) -> Iterator[Alternative]:
    """Every case of values that meet on a path, without choices in them; none that contradicts the path."""
    held = steps(path)
    known: dict[int, bool] = {}
    for condition, truth in held:
        known[condition.id] = truth
    for case in _split(tuple(values), known, 0):
        if all(holds(condition, case.known) is not (not truth) for condition, truth in held):
            yield case


def _split(values: tuple[Value, ...], known: Mapping[int, bool], guessed: int) -> Iterator[Alternative]:
    settled = tuple(_settled(value, known) for value in values)
    condition = next((value.condition for value in settled if isinstance(value, Choice)), None)
    if condition is None:
        yield Alternative(settled, known, guessed)
    elif guessed < _OPEN:
        for truth in (True, False):
            more = {part.id: held for part, held in steps(assume(None, condition, truth))}
            yield from _split(settled, {**known, condition.id: truth, **more}, guessed + 1)


def _settled(value: Value, known: Mapping[int, bool]) -> Value:
    while isinstance(value, Choice):
        truth = holds(value.condition, known)
        if truth is None:
            return value
        value = value.then if truth else value.other
    return value


def holds(condition: Value, known: Mapping[int, bool]) -> bool | None:
    """Whether a condition holds where others are known; None if they do not tell."""
    if isinstance(condition, Const):
        return bool(condition.value)
    if condition.id in known:
        return known[condition.id]
    if isinstance(condition, Choice):
        settled = _settled(condition, known)
        return None if isinstance(settled, Choice) else holds(settled, known)
    if not isinstance(condition, Op):
        return None
    if condition.name == "not":
        inner = holds(condition.args[0], known)
        return None if inner is None else not inner
    if condition.name in ("and", "or"):
        decisive = condition.name == "or"
        parts = [holds(part, known) for part in condition.args]
        return decisive if decisive in parts else None if None in parts else not decisive
    if condition.name == "eq" and any(_is_none(side) for side in condition.args):
        other = next((side for side in condition.args if not _is_none(side)), condition.args[0])
        settled = _settled(other, known)
        return True if _is_none(settled) else False if is_something(settled) else None
    return None


def _is_none(value: Value) -> bool:
    return isinstance(value, Const) and value.value is None


def is_something(value: Value) -> bool:
    """Whether a value is certainly not None."""
    return (isinstance(value, Const) and value.value is not None) or isinstance(value, Object) or is_constructed(value)


def is_constructed(value: Value) -> bool:
    """Whether a value is what a class outside the project made: ``DistributedSampler(data)``, by its capital letter."""
    if not isinstance(value, Unknown) or value.origin is None or not isinstance(value.origin.node, cst.Call):
        return False
    return dotted_name(value.origin.node.func).rpartition(".")[2][:1].isupper()
