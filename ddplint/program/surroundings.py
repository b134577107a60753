"""What is written around an event, here and in the functions that led to it: ``try``, ``with``, decorators."""

from __future__ import annotations

from collections.abc import Iterator

import libcst as cst

from ddplint.program.events import Event
from ddplint.program.imports import dotted_name
from ddplint.program.values import Origin


def around(place: Origin) -> tuple[cst.CSTNode, ...]:
    """The compound statements around a place, outermost first."""
    piece = place.module.positions.statement_line(place.node)
    return tuple(piece.around) if piece is not None else ()


def function(place: Origin) -> cst.FunctionDef | None:
    """The innermost function that a place stands in."""
    return next((node for node in reversed(around(place)) if isinstance(node, cst.FunctionDef)), None)


def places(event: Event) -> Iterator[Origin]:
    """Where an event is written, and the calls that led to it, innermost first."""
    yield Origin(event.module, event.node)
    yield from (call.origin for call in reversed(event.calls))


def catches(event: Event, error: str) -> bool:
    """Whether an ``except`` for this error, or for all, is written around the event."""
    for node in around(Origin(event.module, event.node)):
        for handler in node.handlers if isinstance(node, (cst.Try, cst.TryStar)) else ():
            kind = handler.type
            kinds = [one.value for one in kind.elements] if isinstance(kind, cst.Tuple) else [kind]
            if any(one is None or dotted_name(one) in (error, "Exception", "BaseException") for one in kinds):
                return True
    return False


_WITHOUT = ("no_grad", "inference_mode", "set_grad_enabled")


def without_gradients(event: Event) -> bool:
    """Whether ``torch.no_grad()`` or its like is around the event, or around a call that led to it."""
    for place in places(event):
        for node in around(place):
            if isinstance(node, cst.With) and any(_says(item.item) for item in node.items):
                return True
            if isinstance(node, cst.FunctionDef) and any(_says(one.decorator) for one in node.decorators):
                return True
    return False


def _says(node: cst.BaseExpression) -> bool:
    name = dotted_name(node.func if isinstance(node, cst.Call) else node)
    return name.rpartition(".")[2] in _WITHOUT
