"""Ways around a wrapped model: attributes that only the model in it has, and forward passes that the wrapper misses."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import libcst as cst

from ddplint.program import objects, surroundings, wrapped
from ddplint.program.events import Event
from ddplint.program.library import wrapping
from ddplint.program.library.modules import MODULE, PARALLEL, REPLICATED
from ddplint.program.module import ClassFacts
from ddplint.program.program import Program
from ddplint.program.values import Origin, Unknown, Value
from ddplint.program.walk import everything_in
from ddplint.program.wrapped import Kind, Wrap


@dataclass(frozen=True, slots=True)
class Asked:
    """An attribute of a model that is asked of its wrapper.

    ``method``: it is a method of the model. ``sometimes``: the name holds something else in another case.
    ``here``: the wrap is written in the same function, so that no other call brings another model.
    """

    event: Event
    wrap: Wrap
    cls: ClassFacts
    method: bool
    sometimes: bool
    here: bool


def asked(program: Program) -> Iterator[Asked]:
    """Attributes that the wrapper does not have and the class of its model does, each place once."""
    seen: set[int] = set()
    for event in program.events("attribute"):
        made = event.arguments["self"].value
        kind = wrapped.kind(made)
        if id(event.node) in seen or kind not in (Kind.DDP, Kind.DATA_PARALLEL) or event.name.startswith("__"):
            continue
        if event.name in MODULE | (REPLICATED if kind is Kind.DDP else PARALLEL):
            continue
        cls = wrapped.model_class(made)
        wrap = program.models.made(made)
        if cls is None or wrap is None or not wrapped.possible(event.path) or wrapped.suspected(event.path, made):
            continue
        owner = _definer(program, cls, event.name)
        sometimes = "sometimes" in event.arguments
        if owner is None or (sometimes and program.models.entangled(wrap, event)):
            continue
        if surroundings.catches(event, "AttributeError"):
            continue
        seen.add(id(event.node))
        made_at = [call.origin for call in wrap.event.calls]
        here = made_at == [call.origin for call in event.calls] and wrap.event.module is event.module
        yield Asked(event, wrap, owner, event.name in owner.methods, sometimes, here)


def _definer(program: Program, cls: ClassFacts, name: str) -> ClassFacts | None:
    """The project class along the bases that gives itself an attribute."""
    run = program.entry_run
    return next((one for one in (cls, *objects.bases(run, cls)) if name in wrapping.names(one)), None)


@dataclass(frozen=True, slots=True)
class Bypass:
    """A forward pass of the model in a wrapper whose result a ``backward()`` starts from."""

    event: Event
    wrap: Wrap
    backward: Event


def forwards(program: Program) -> Iterator[Bypass]:
    """Training passes that go past DistributedDataParallel, each place once."""
    seen: set[int] = set()
    ends = [event for event in program.events("method") if event.name == "backward"]
    if not ends or not program.models.wraps or _averages_itself(program):
        return
    for event in program.events("method"):
        value = event.arguments["self"].value
        if event.name == "backward" or id(event.node) in seen or wrapped.kind(value) is not None:
            continue
        wrap = next((one for one in program.models.maybe(value, event) if one.kind is Kind.DDP), None)
        if wrap is None or not wrapped.possible(event.path) or surroundings.without_gradients(event):
            continue
        backward = next((end for end in ends if _follows(event, end) and _leads(event, end, wrap)), None)
        if backward is None:
            continue
        seen.add(id(event.node))
        yield Bypass(event, wrap, backward)


def _follows(event: Event, end: Event) -> bool:
    return end.order > event.order and end.entry == event.entry and end.context == event.context


def _leads(event: Event, end: Event, wrap: Wrap) -> bool:
    """Whether ``backward()`` starts from what the call computed, and from nothing that the wrapper computed."""
    found = False
    stack, seen = [end.arguments["self"].value], set[int]()
    while stack:
        value = stack.pop()
        if value.id in seen:
            continue
        seen.add(value.id)
        node = value.origin.node if value.origin is not None else None
        if value.id == wrap.wrapper.id:
            return False  # its own forward pass is in it as well: one backward serves both
        if _is_cut(value, node):
            continue
        if node is event.node:
            found = True
            continue
        stack.extend(value.parts())
    return found


def _is_cut(value: Value, node: cst.CSTNode | None) -> bool:
    if not isinstance(value, Unknown) or not isinstance(node, cst.Call) or not isinstance(node.func, cst.Attribute):
        return False
    return node.func.attr.value in ("detach", "detach_", "item", "argmax", "numpy", "tolist", "parameters")


def _averages_itself(program: Program) -> bool:
    """Whether a function with a collective speaks of gradients: the script may do what the wrapper would."""
    for event in program.events("call"):
        if event.name.startswith("torch.distributed.") and "reduce" in event.name:
            function = surroundings.function(Origin(event.module, event.node))
            facts = event.module.functions.get(id(function))
            names = (
                facts.words
                if facts is not None
                else {one.value for one in everything_in(event.node) if isinstance(one, cst.Name)}
            )
            if "grad" in names:
                return True
    return False


def unwrapped_call(bypass: Bypass) -> cst.BaseExpression | None:
    """The expression before ``.module`` in ``model.module(x)``; None where the call is written another way."""
    call = bypass.event.node
    if not isinstance(call, cst.Call) or not isinstance(call.func, cst.Attribute):
        return None
    function = call.func
    if function.attr.value == "forward" and isinstance(function.value, cst.Attribute):
        function = function.value
    return function.value if function.attr.value == "module" else None
