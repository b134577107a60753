"""Models whose parameters change after DistributedDataParallel has taken them as they were.

The constructor collects the parameters that need a gradient (torch 2.13, ``torch/nn/parallel/distributed.py``,
``_build_params_for_reducer``) and never looks again: a layer that comes later, or one that was frozen then, is averaged
by nobody; one that is frozen later is waited for.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import libcst as cst

from ddplint.program import objects, wrapped
from ddplint.program.events import Event
from ddplint.program.program import Program
from ddplint.program.state import Path, steps
from ddplint.program.values import Const, Items, Made, Method, Object, Unknown, Value, walk
from ddplint.program.wrapped import Kind, Wrap

# Layers of torch.nn that always have parameters of their own.
_LAYERS = frozenset(
    f"torch.nn.{name}"
    for name in "Bilinear Conv1d Conv2d Conv3d ConvTranspose1d ConvTranspose2d ConvTranspose3d Embedding EmbeddingBag "
    "GRU GRUCell LSTM LSTMCell Linear MultiheadAttention Parameter PReLU RNN RNNCell Transformer "
    "TransformerDecoderLayer TransformerEncoderLayer".split()
)
_PARAMETERS = frozenset(("named_parameters", "parameters"))
_PARTS = frozenset(("children", "modules", "named_children", "named_modules"))


class Change(enum.Enum):
    """What was done to a model after its wrap."""

    LAYER = "layer"
    THAW = "thaw"
    FREEZE = "freeze"


@dataclass(frozen=True, slots=True)
class Altered:
    """A change that the wrapper never hears of; ``frozen`` is where what is thawed had been frozen."""

    change: Change
    event: Event
    wrap: Wrap
    frozen: Event | None = None


@dataclass(frozen=True, slots=True)
class _Place:
    """Part of a model: the names that lead there; ``some`` of what is below, which is not known."""

    names: tuple[object, ...]
    some: bool

    def meets(self, other: _Place) -> bool:
        """Whether the two certainly have parameters in common."""
        if self.some and other.some:
            return False
        if not other.some and self.names[: len(other.names)] == other.names:
            return True
        return not self.some and other.names[: len(self.names)] == self.names


@dataclass(frozen=True, slots=True)
class _Flag:
    """``requires_grad`` was set on part of the model; None if to what is not known."""

    event: Event
    place: _Place
    value: bool | None


def altered(program: Program) -> Iterator[Altered]:
    """Every such change that training goes on after, each place once."""
    seen: set[int] = set()
    for wrap in program.models.wraps:
        if wrap.kind is Kind.DDP and wrap.model is not None and wrapped.possible(wrap.event.path):
            models = [case.value for case in wrapped.cases(wrap.model.value, wrap.event.path)]
            for found in _Model(program, wrap, models[0]).altered() if len(models) == 1 else ():
                if id(found.event.node) not in seen:
                    seen.add(id(found.event.node))
                    yield found


class _Model:
    """One model that was wrapped, and what happened to it."""

    def __init__(self, program: Program, wrap: Wrap, model: Value) -> None:
        self.program = program
        self.wrap = wrap
        self.model = model
        self.methods = [event for event in program.events("method") if event.entry == wrap.event.entry]
        self.stores = [event for event in program.events("set") if event.entry == wrap.event.entry]
        self.loops = program.run_of(wrap.event).loop_numbers()

    def altered(self) -> Iterator[Altered]:
        for event in (*self.stores, *self.methods):
            if self._is_new_layer(event) and self._is_later(event) and self._trains(event):
                yield Altered(Change.LAYER, event, self.wrap)
        for flag in self.flags:
            if flag.value is None or not self._is_later(flag.event):
                continue
            if flag.value:
                frozen = self._frozen_before(flag)
                if frozen is not None and self._trains(flag.event):
                    yield Altered(Change.THAW, flag.event, self.wrap, frozen.event)
            elif self._is_waited_for(flag):
                yield Altered(Change.FREEZE, flag.event, self.wrap)

    @cached_property
    def parts(self) -> dict[int, tuple[object, ...]]:
        """The layers of the model when it was wrapped, by the names that lead to them."""
        given = self.wrap.event.arguments.get("layers")
        found: dict[int, tuple[object, ...]] = {self.model.id: (), self.wrap.wrapper.id: ()}
        for pair in given.value.values if given is not None and isinstance(given.value, Items) else ():
            if isinstance(pair, Items) and isinstance(pair.values[0], Const):
                found.setdefault(pair.values[1].id, tuple(str(pair.values[0].value).split(".")))
        return found

    @cached_property
    def flags(self) -> list[_Flag]:
        found: list[_Flag] = []
        for event in (*self.stores, *self.methods):
            if event.name not in ("requires_grad", "requires_grad_") or not wrapped.possible(event.path):
                continue
            place = self._place(event.arguments["self"].value, event)
            given = event.arguments.get("value") or event.arguments.get("requires_grad")
            value: object = True  # requires_grad_() alone
            if given is not None:
                value = given.value.value if isinstance(given.value, Const) else None
            if place is not None:
                found.append(_Flag(event, place, value if isinstance(value, bool) else None))
        return sorted(found, key=lambda flag: flag.event.order)

    # -- where in the model ---------------------------------------------------------------------------------------

    def _place(self, value: Value, event: Event) -> _Place | None:
        """Which part of the model a layer or parameter is, in every case on the event's path."""
        places = {self._single(case.value, event) for case in wrapped.cases(value, event.path)}
        return next(iter(places)) if len(places) == 1 else None

    def _single(self, value: Value, event: Event) -> _Place | None:
        names: list[object] = []
        some = False
        for _ in range(12):
            known = self.parts.get(value.id)
            if known is not None:
                return _Place((*known, *reversed(names)), some)
            called = _called(value)
            if isinstance(value, Method):
                names.append(value.name)
                value = value.owner
            elif called in _PARAMETERS or called in _PARTS:
                names.clear()
                some = some or _is_picked(event, value)
                assert isinstance(value, Unknown)
                value = value.uses[0]
            elif isinstance(value, Unknown) and not isinstance(value, Made) and value.uses and _is_element(value):
                key = value.uses[1] if len(value.uses) == 2 else None
                if isinstance(key, Const):
                    names.append(str(key.value))
                else:
                    some = some or value.reason == "an element"
                value = value.uses[0]
            else:
                return None
        return None

    # -- when -----------------------------------------------------------------------------------------------------

    def _is_later(self, event: Event) -> bool:
        """Whether it comes after the wrap, and the model is not wrapped once more after it."""
        models = self.program.models
        if not models.before(self.wrap.event, event, surely=False) or models.entangled(self.wrap, event):
            return False
        return not any(
            wrap.event.order > event.order and wrap.model is not None and self._may_hold(wrap) for wrap in models.wraps
        )

    def _may_hold(self, wrap: Wrap) -> bool:
        assert wrap.model is not None
        return any(part.id in (self.model.id, self.wrap.wrapper.id) for part in walk(wrap.model.value))

    def _follow(self, event: Event) -> list[Event]:
        """The forward passes of the wrapper that a backward pass comes with, after an event."""
        later = [one for one in self.methods if one.order > event.order or self._share_a_loop(one, event)]
        if not any(one.name == "backward" for one in later):
            return []
        return [
            one for one in later if one.name == "__call__" and one.arguments["self"].value.id == self.wrap.wrapper.id
        ]

    def _trains(self, event: Event) -> bool:
        return bool(self._follow(event))

    def _share_a_loop(self, one: Event, other: Event) -> bool:
        return bool(self.loops & set(one.nest) & set(other.nest))

    # -- what -----------------------------------------------------------------------------------------------------

    def _is_new_layer(self, event: Event) -> bool:
        if event.kind == "method" and event.name not in ("add_module", "register_parameter"):
            return False
        given = event.arguments.get("value") or event.arguments.get("module") or event.arguments.get("param")
        if given is None or given.value.id in self.parts or not _has_parameters(given.value):
            return False
        place = self._place(event.arguments["self"].value, event)
        return place is not None and not place.some and wrapped.possible(event.path)

    def _frozen_before(self, thaw: _Flag) -> _Flag | None:
        """Where what is thawed was frozen when the model was wrapped."""
        before = [flag for flag in self.flags if self.program.models.before(flag.event, self.wrap.event, surely=False)]
        for flag in reversed(before):
            if flag.value is not False:
                if flag.place.some or flag.place.meets(thaw.place):
                    return None  # not frozen, or nobody knows
            elif flag.place.meets(thaw.place) and self.program.models.before(_whatever(flag.event), self.wrap.event):
                return flag
        return None

    def _is_waited_for(self, freeze: _Flag) -> bool:
        """Whether part of what the wrapper waits for is frozen: the next pass but one fails."""
        given = self.wrap.event.arguments
        lenient = [given[name].value for name in ("find_unused_parameters", "static_graph", "open") if name in given]
        if any(not isinstance(value, Const) or value.value for value in lenient):
            return False
        # with all of it frozen no gradient comes, and nothing is waited for
        if not (freeze.place.names or freeze.place.some) or _may_freeze_itself(self.program, self.model):
            return False
        if any(flag.event.order < self.wrap.event.order or flag.value is not False for flag in self.flags):
            return False  # frozen from the start, or in turns
        passes = self._follow(freeze.event)
        return len(passes) > 1 or any(self.loops & set(one.nest) for one in passes)


def _called(value: Value) -> str:
    """The method that an unknown value was returned by."""
    if not isinstance(value, Unknown) or isinstance(value, Made) or value.origin is None or not value.uses:
        return ""
    node = value.origin.node
    if isinstance(node, cst.Call) and isinstance(node.func, cst.Attribute) and value.reason.startswith("what ."):
        return node.func.attr.value
    return ""


def _is_element(value: Unknown) -> bool:
    return value.reason in ("an element", "an element of a loop", "an unpacked element")


def _is_picked(event: Event, parameters: Value) -> bool:
    """Whether a condition on the way to an event asks which of the parameters it is."""
    return any(part.id == parameters.id for condition, _ in steps(event.path) for part in walk(condition))


def _whatever(event: Event) -> Event:
    """An event without the conditions that pick parameters: some of them are picked."""
    path = None
    for condition, truth in steps(event.path):
        if not any(_called(part) in _PARAMETERS or _called(part) in _PARTS for part in walk(condition)):
            path = Path(condition, truth, path)
    return replace(event, path=path)


def _has_parameters(value: Value) -> bool:
    if isinstance(value, Made):
        if value.name in ("torch.nn.Sequential", "torch.nn.ModuleList"):
            return any(_has_parameters(part) for part in value.uses)
        return value.name in _LAYERS
    if isinstance(value, Items):
        return any(_has_parameters(part) for part in value.values)
    return False


def _may_freeze_itself(program: Program, model: Value) -> bool:
    if not isinstance(model, Object) or model.cls is None:
        return False
    classes = (model.cls, *objects.bases(program.entry_run, model.cls))
    return any({"requires_grad", "requires_grad_"} & facts.words for one in classes for facts in one.methods.values())
