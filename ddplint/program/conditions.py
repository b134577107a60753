"""Truth of symbolic values: conditions folded as far as they can be without running anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ddplint.program.values import (
    FALSE,
    HEAVIEST,
    TRUE,
    Choice,
    Class,
    Const,
    Device,
    External,
    Function,
    Items,
    ModuleValue,
    Object,
    Op,
    Partial,
    Unknown,
    Value,
    negate,
)

if TYPE_CHECKING:
    pass


def truth(value: Value) -> bool | None:
    """Whether a condition is true, where that is known without running anything."""
    if isinstance(value, Const):
        return bool(value.value)
    if isinstance(value, Items):
        return bool(value.values)
    if isinstance(value, (Object, Function, Class, ModuleValue, External, Device, Partial)):
        return True
    if isinstance(value, Op) and value.name == "not":
        inner = truth(value.args[0])
        return None if inner is None else not inner
    return None


def as_condition(value: Value) -> Value:
    """A value as a truth: choices between True and False become the conditions that they stand for."""
    if not isinstance(value, Choice):
        return value
    then, other = as_condition(value.then), as_condition(value.other)
    known = truth(then), truth(other)
    if known == (True, False):
        return value.condition
    if known == (False, True):
        return negate(value.condition)
    if known[0] is True:
        return both("or", value.condition, other)
    if known[0] is False:
        return both("and", negate(value.condition), other)
    if known[1] is True:
        return both("or", negate(value.condition), then)
    if known[1] is False:
        return both("and", value.condition, then)
    return value


def both(name: str, left: Value, right: Value) -> Value:
    """``left and right`` or ``left or right`` of two conditions."""
    for one, two in ((left, right), (right, left)):
        known = truth(one)
        if known is not None:
            return two if known is (name == "and") else (TRUE if known else FALSE)
    if left.weight + right.weight > HEAVIEST:
        return Unknown("a condition that depends on too much", left.origin, type="bool")
    return left if left.id == right.id else Op(name, (left, right), "bool", left.origin)
