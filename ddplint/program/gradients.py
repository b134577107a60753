"""Tensors that were gathered from all processes, and the loss: no gradient flows back through a gather."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import libcst as cst

from ddplint.program.events import Event
from ddplint.program.imports import dotted_name
from ddplint.program.library import wrapping
from ddplint.program.program import Program
from ddplint.program.values import Made, Origin, Unknown, Value, is_made, walk
from ddplint.program.walk import everything_in

# torch 2.13, torch/distributed/distributed_c10d.py: the outputs are written in place, outside of autograd.
_GATHERS = {"torch.distributed.all_gather": "tensor_list", "torch.distributed.all_gather_into_tensor": "output_tensor"}
_CHANGES = frozenset(("append", "copy_", "extend", "insert", "pop", "__setitem__"))
_WITHOUT = frozenset(("no_grad", "inference_mode"))


@dataclass(frozen=True, slots=True)
class Cut:
    """``gather`` fills ``output``, and ``backward`` starts from a loss that is computed from it."""

    gather: Event
    output: str
    backward: Event


def cut(program: Program) -> Iterator[Cut]:
    """Gathers whose results reach a loss without the tensor of this process put back in, each once."""
    if program.evidence.test:
        return
    gathers = [event for event in program.events("call") if event.name in _GATHERS]
    if not gathers:
        return
    ends = [event for event in program.events("method") if event.name == "backward"]
    reached = [(end, {part.id for part in walk(end.arguments["self"].value)}) for end in ends]
    seen: set[int] = set()
    for gather in gathers:
        output = gather.arguments.get(_GATHERS[gather.name])
        given = gather.arguments.get("tensor") or gather.arguments.get("input_tensor")
        if output is None or given is None or id(gather.node) in seen or not _is_fresh(output.value):
            continue
        name = dotted_name(output.node)
        if not name or _is_detached(given.node) or _without_gradient(gather) or _put_back(gather, name):
            continue
        for end, parts in reached:
            # what is gathered must come from a model: data and labels need no gradient
            if output.value.id in parts and _is_computed(given.value):
                seen.add(id(gather.node))
                yield Cut(gather, name, end)
                break


def _is_fresh(value: Value) -> bool:
    return isinstance(value, (Unknown, Made)) and value.origin is not None


def _is_computed(value: Value) -> bool:
    """Whether a value is what the call of a model gives, as far as that can be told."""
    return any(is_made(part, wrapping.DDP) for part in walk(value))


def _is_detached(node: cst.CSTNode) -> bool:
    return any(isinstance(one, cst.Attribute) and one.attr.value in ("detach", "data") for one in everything_in(node))


def _without_gradient(event: Event) -> bool:
    """Whether the way to an event leads through ``torch.no_grad()`` or a function with a gradient of its own."""
    for origin in (*[call.origin for call in event.calls], Origin(event.module, event.node)):
        piece = origin.module.positions.statement_line(origin.node)
        for holder in piece.around if piece is not None else ():
            parts: list[cst.CSTNode] = []
            if isinstance(holder, cst.With):
                parts = [item.item for item in holder.items]
            elif isinstance(holder, cst.FunctionDef):
                parts = [one.decorator for one in holder.decorators]
            elif isinstance(holder, cst.ClassDef):
                parts = [base.value for base in holder.bases]
            words = {one.value for part in parts for one in everything_in(part) if isinstance(one, cst.Name)}
            if words & (_WITHOUT | {"Function"}):
                return True
    return False


def _put_back(event: Event, name: str) -> bool:
    """Whether something is stored in the list again, or it is changed in a way of its own: ``parts[rank] = x``."""
    piece = event.module.positions.statement_line(event.node)
    around = piece.around if piece is not None else ()
    function = next((one for one in reversed(around) if isinstance(one, cst.FunctionDef)), event.module.tree)
    for node in everything_in(function):
        if isinstance(node, cst.AssignTarget) and isinstance(node.target, cst.Subscript):
            if dotted_name(node.target.value) == name:
                return True
        elif isinstance(node, cst.Attribute) and node.attr.value in _CHANGES and dotted_name(node.value) == name:
            return True
    return False
