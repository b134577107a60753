"""Elements and targets: reading and writing ``owner[key]``, binding names, attributes and tuples."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from ddplint.program import arithmetic, objects
from ddplint.program.events import Argument
from ddplint.program.values import (
    ANY_KEY,
    Choice,
    Const,
    Input,
    Items,
    Made,
    Object,
    Op,
    Repeated,
    Unknown,
    Value,
    choose,
)

if TYPE_CHECKING:
    from ddplint.program.run import Run
from ddplint.program import expressions


def bind(run: Run, target: cst.BaseExpression, value: Value, node: cst.CSTNode | None = None) -> None:
    """Assign a value to a target: a name, an attribute, an element, or several of them."""
    if isinstance(target, cst.Name):
        run.assign(target.value, value)
    elif isinstance(target, cst.Attribute):
        owner = expressions.evaluate(run, target.value)
        if target.attr.value == "requires_grad" or (run.wrapped and isinstance(value, Made)):
            given = {"self": Argument(owner, target.value), "value": Argument(value, node or target)}
            run.record("set", target, given, name=target.attr.value)
        objects.set_attribute(run, owner, target.attr.value, value)
    elif isinstance(target, cst.Subscript):
        owner, key = expressions.evaluate(run, target.value), subscript_key(run, target)
        if isinstance(owner, (Items, Repeated)):
            changed = _with_element(run, owner, key, value, target)
            if isinstance(target.value, (cst.Name, cst.Attribute)):
                bind(run, target.value, changed)
        set_item(run, owner, key, Argument(value, node or target), target)
    elif isinstance(target, (cst.Tuple, cst.List)):
        _unpack(run, target, value)


def _with_element(run: Run, owner: Items | Repeated, key: Value, value: Value, node: cst.CSTNode) -> Value:
    """A list after ``list[key] = value``."""
    if isinstance(owner, Repeated):
        return Unknown("a list that was changed", run.origin(node), uses=(owner, value))
    if isinstance(key, Const) and isinstance(key.value, int) and -len(owner.values) <= key.value < len(owner.values):
        values = list(owner.values)
        values[key.value] = value
        return Items(tuple(values), run.origin(node))
    return Unknown("a list that was changed", run.origin(node), uses=(owner, value))


def set_item(run: Run, owner: Value, key: Value, argument: Argument, node: cst.CSTNode) -> None:
    """``owner[key] = value``."""
    if isinstance(owner, Object):
        if owner.kind == "environ":
            run.store_variable(owner, key, argument, node)
        elif isinstance(key, Const) and _is_key(key.value):
            run.state.write(owner.fields, key.value, argument.value)
        elif owner.kind == "dict":
            for known in [*owner.fields, ANY_KEY]:  # any of them may be the one
                run.state.write(owner.fields, known, Unknown("an item under an unknown key", run.origin(node)))
    elif isinstance(owner, Input) and isinstance(key, Const):
        objects.set_attribute(run, owner, str(key.value), argument.value)


def update(run: Run, owner: Object, other: Value, node: cst.CSTNode) -> None:
    """``owner.update(other)``: every known pair."""
    if isinstance(other, Object):
        for key, value in list(other.fields.items()):
            if isinstance(key, (str, int)):
                set_item(run, owner, Const(key), Argument(value, value.origin.node if value.origin else node), node)


def _unpack(run: Run, target: cst.Tuple | cst.List, value: Value) -> None:
    elements = target.elements
    starred = any(isinstance(element, cst.StarredElement) for element in elements)
    for position, element in enumerate(elements):
        if starred:
            part: Value = Unknown("an unpacked element", run.origin(element), uses=(value,), shared=True)
        elif isinstance(value, Items) and len(value.values) == len(elements):
            part = value.values[position]
        elif isinstance(value, Op):
            part = arithmetic.operation("item", (value, Const(position)), value.origin)
        elif isinstance(value, Choice):
            key = Const(position)
            part = choose(
                value.condition,
                item(run, value.then, key, target),
                item(run, value.other, key, target),
            )
        else:
            part = Unknown("an unpacked element", run.origin(element), uses=(value,), shared=True)
        bind(run, element.value, part)


def subscript_key(run: Run, node: cst.Subscript) -> Value:
    """The key of ``owner[key]``; for a slice, something computed from its ends."""
    if len(node.slice) == 1 and isinstance(node.slice[0].slice, cst.Index):
        return expressions.evaluate(run, node.slice[0].slice.value)
    ends = [end for one in node.slice for end in _ends(one.slice) if end is not None]
    uses = tuple(expressions.evaluate(run, end) for end in ends)
    return Unknown("a slice", run.origin(node), uses=uses, shared=True)


def _ends(one: cst.BaseSlice) -> tuple[cst.BaseExpression | None, ...]:
    if isinstance(one, cst.Slice):
        return one.lower, one.upper, one.step
    return (one.value,) if isinstance(one, cst.Index) else ()


def item(run: Run, owner: Value, key: Value, node: cst.CSTNode) -> Value:
    """``owner[key]``."""
    origin = run.origin(node)
    if isinstance(owner, Object) and isinstance(key, Const):
        if owner.kind == "environ" and isinstance(key.value, str):
            return run.read_variable(owner, key.value, origin, required=True)
        if owner.kind == "config" and isinstance(key.value, str):
            return objects.attribute(run, owner, key.value, origin)
        found = owner.fields.get(key.value) or owner.fields.get(ANY_KEY)
        if found is not None:
            return found
        if owner.kind == "namespace" and isinstance(key.value, str):
            return objects.attribute(run, owner, key.value, origin)
    if isinstance(owner, Items) and isinstance(key, Const) and isinstance(key.value, int):
        known = -len(owner.values) <= key.value < len(owner.values)
        return owner.values[key.value] if known else Unknown("an element that is not there", origin)
    if isinstance(owner, Input) and owner.spec is None and isinstance(key, Const):
        return objects.attribute(run, owner, str(key.value), origin)
    if isinstance(owner, Choice):
        return choose(owner.condition, item(run, owner.then, key, node), item(run, owner.other, key, node))
    if isinstance(owner, Op) and isinstance(key, Const):
        return arithmetic.operation("item", (owner, key), origin)
    return Unknown("an element", origin, uses=(owner, key), shared=True)


def _is_key(value: object) -> bool:
    return isinstance(value, (str, int, bool)) or value is None
