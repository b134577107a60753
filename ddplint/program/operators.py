"""What Python's operators make of symbolic values: text, arithmetic, comparisons."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from ddplint.program import arithmetic
from ddplint.program.events import Argument
from ddplint.program.values import (
    FALSE,
    Const,
    Items,
    Object,
    Op,
    Repeated,
    Unknown,
    Value,
    negate,
)

if TYPE_CHECKING:
    from ddplint.program.run import Run
from ddplint.program import conditions


def text(run: Run, parts: list[Value], node: cst.CSTNode) -> Value:
    """A string put together from parts, with neighbouring literals joined."""
    flat: list[Value] = []
    for part in parts:
        pieces = part.args if isinstance(part, Op) and part.name == "format" else (part,)
        for piece in pieces:
            last = flat[-1] if flat else None
            if isinstance(piece, Const) and isinstance(last, Const):
                flat[-1] = Const(f"{last.value}{piece.value}", last.origin)
            else:
                flat.append(piece)
    if not flat:
        return Const("", run.origin(node))
    if len(flat) == 1 and isinstance(flat[0], Const):
        return Const(str(flat[0].value), run.origin(node))
    return Op("format", tuple(flat), "str", run.origin(node))


def operate(run: Run, name: str, left: Value, right: Value, node: cst.CSTNode) -> Value:
    """An arithmetic operator on two values; strings are joined, constants folded."""
    for one, two in ((left, right), (right, left)):
        if arithmetic.may_be_variable(one) and two.type in ("int", "float"):
            run.record("mixed", node, {"value": Argument(one, node)}, name=name)
            return Unknown("arithmetic with a string", run.origin(node), uses=(left, right))
    if name == "add" and "str" in (left.type, right.type):
        return text(run, [left, right], node)
    if name == "mod" and left.type == "str":
        return _percent(run, left, right, node)
    if name == "add" and isinstance(left, Items) and isinstance(right, Items):
        return Items(left.values + right.values, run.origin(node))
    if name == "mul":
        for one, times in ((left, right), (right, left)):
            if isinstance(one, Items) and len(one.values) == 1:
                return Repeated(one.values[0], times, run.origin(node))
    return arithmetic.operation(name, (left, right), run.origin(node))


def _percent(run: Run, pattern: Value, argument: Value, node: cst.CSTNode) -> Value:
    if not (isinstance(pattern, Const) and isinstance(pattern.value, str)):
        return Unknown("a formatted string", run.origin(node), uses=(argument,))
    values = argument.values if isinstance(argument, Items) else (argument,)
    if any(value.type == "bool" for value in values) and "%s" not in pattern.value:
        values = tuple(arithmetic.integer(value, value.origin) for value in values)  # "%d" % True is "1"
    pieces = pattern.value.replace("%d", "%s").replace("%i", "%s").split("%s")
    if len(pieces) != len(values) + 1 or any("%" in piece for piece in pieces):
        return Unknown("a formatted string", run.origin(node), uses=values)
    parts: list[Value] = [Const(pieces[0])]
    for value, piece in zip(values, pieces[1:], strict=True):
        parts += [value, Const(piece)]
    return text(run, [part for part in parts if not (isinstance(part, Const) and part.value == "")], node)


def compare(run: Run, name: str, left: Value, right: Value, node: cst.CSTNode) -> Value:
    """One comparison of two values."""
    if name in ("not in", "is not"):
        return negate(compare(run, name[4:] if name == "not in" else "is", left, right, node))
    if name == "in":
        return _membership(run, left, right, node)
    if name == "is":
        name = "eq"
    for one, two in ((left, right), (right, left)):
        if two.type == "int" and (arithmetic.may_be_variable(one) or arithmetic.is_untyped_local_rank(one)):
            run.record("mixed", node, {"value": Argument(one, node), "other": Argument(two, node)}, name=name)
    return conditions.as_condition(arithmetic.comparison(name, left, right, run.origin(node)))


def _membership(run: Run, item: Value, container: Value, node: cst.CSTNode) -> Value:
    if isinstance(container, Object) and isinstance(item, Const):
        if container.kind == "environ" and isinstance(item.value, str):
            return run.has_variable(container, item.value, run.origin(node))
        if container.kind == "dict":
            return Const(item.value in container.fields, run.origin(node))
    if isinstance(container, Items):
        result: Value = FALSE
        both_types = any(value.type == "str" for value in container.values)
        for value in container.values:
            if both_types and value.type != "str":
                continue  # `in (0, "0")`: written for both, and a string equals only the second
            result = conditions.both("or", result, compare(run, "eq", item, value, node))
        return result
    return arithmetic.operation("in", (item, container), run.origin(node))
