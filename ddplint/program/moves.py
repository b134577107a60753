"""Models that go to a device, or to another number format, only after they were wrapped."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ddplint.program import objects, wrapped
from ddplint.program.events import Event
from ddplint.program.library import wrapping
from ddplint.program.program import Program
from ddplint.program.values import Const, External, Made, Object, Value
from ddplint.program.wrapped import Kind, Wrap

# What a move, or a layer made on a GPU, would have said in the ``__init__`` of a model.
_DEVICE_WORDS = frozenset(("cuda", "device", "to"))
# A model has 32 bit numbers unless it says something else.
_FORMATS = frozenset(("half", "double", "bfloat16"))
_DTYPES = frozenset(f"torch.{name}" for name in ("half", "float16", "bfloat16", "double", "float64"))


@dataclass(frozen=True, slots=True)
class Late:
    """A wrap of a model that nothing had moved so far, and the move that comes later."""

    wrap: Wrap
    move: Event


def late(program: Program) -> Iterator[Late]:
    """Moves of models that were wrapped as they had been made, on the CPU in 32 bits, each place once."""
    methods = program.events("method")
    moves = [event for event in methods if event.name in ("to", "cuda") or event.name in _FORMATS]
    seen: set[int] = set()
    for wrap in program.models.wraps:
        if wrap.kind is not Kind.DDP or wrap.model is None or not wrapped.possible(wrap.event.path):
            continue
        models = [case.value for case in wrapped.cases(wrap.model.value, wrap.event.path)]
        if len(models) != 1 or not is_as_made(program, models[0]):
            continue
        earlier = [move for move in moves if may_move(program, move, wrap, models[0])]
        for move in moves:
            on = move.arguments["self"].value
            if on.id not in (models[0].id, wrap.wrapper.id) or id(move.node) in seen:
                continue
            if _to_format(move):
                changes = all(_to_gpu(one) for one in earlier) and _trains(move, methods)
            else:
                changes = _to_gpu(move) and not earlier
            if changes and program.models.before(wrap.event, move) and wrapped.possible(move.path):
                seen.add(id(move.node))
                yield Late(wrap, move)
                break


def is_as_made(program: Program, model: Value) -> bool:
    """Whether no move of a model can be missed: it is one of the project whose ``__init__`` speaks of no device."""
    if isinstance(model, Object) and model.cls is not None:
        run = program.entry_run
        classes = (model.cls, *objects.bases(run, model.cls))
        starts = [one.methods["__init__"] for one in classes if "__init__" in one.methods]
        return wrapping.is_module(run, model.cls) and not any(start.words & _DEVICE_WORDS for start in starts)
    if not isinstance(model, Made) or not model.name.startswith(("torch.nn.", "torchvision.models.")):
        return False
    return not {"device", "dtype"} & model.arguments.keyword.keys()


def may_move(program: Program, move: Event, wrap: Wrap, model: Value) -> bool:
    """Whether a move may have come before a wrap."""
    on = move.arguments["self"].value
    return on.id == model.id and program.models.before(move, wrap.event, surely=False)


def _to_gpu(move: Event) -> bool:
    """Whether a move goes to a GPU, as far as it is known: not to a dtype, nor back to the CPU."""
    device = move.arguments.get("device")
    if move.name == "cuda":
        return True
    if device is None:
        return False
    is_cpu = isinstance(device.value, Const) and device.value.value == "cpu"
    return not is_cpu and device.value.type not in (None, "external")


def _to_format(move: Event) -> bool:
    given = move.arguments.get("dtype") or move.arguments.get("device")
    return move.name in _FORMATS or (
        given is not None and isinstance(given.value, External) and given.value.name in _DTYPES
    )


def _trains(move: Event, methods: list[Event]) -> bool:
    """Whether a backward pass comes afterwards: a model that is only evaluated may have any format."""
    return any(one.name == "backward" and one.order > move.order and one.entry == move.entry for one in methods)
