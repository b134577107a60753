"""Models that go to a device only after they were wrapped."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ddplint.program import objects, wrapped
from ddplint.program.events import Event
from ddplint.program.library import wrapping
from ddplint.program.program import Program
from ddplint.program.values import Const, Made, Object, Value
from ddplint.program.wrapped import Kind, Wrap

# What a move, or a kernel on a GPU, would have said in the class of a model or its ``__init__``.
_DEVICE_WORDS = frozenset(("cuda", "device", "to"))


@dataclass(frozen=True, slots=True)
class Late:
    """A wrap of a model that nothing had moved so far, and the move that comes later."""

    wrap: Wrap
    move: Event


def late(program: Program) -> Iterator[Late]:
    """Every model that is still on the CPU when it is wrapped for a GPU, each place once."""
    moves = [event for event in program.events("method") if event.name in ("to", "cuda")]
    seen: set[int] = set()
    for wrap in program.models.wraps:
        if wrap.kind is not Kind.DDP or wrap.model is None or not wrapped.possible(wrap.event.path):
            continue
        models = [case.value for case in wrapped.cases(wrap.model.value, wrap.event.path)]
        if len(models) != 1 or not _starts_on_cpu(program, models[0]):
            continue
        model = models[0]
        if any(_may_move(program, move, wrap, model) for move in moves):
            continue
        for move in moves:
            on = move.arguments["self"].value
            if on.id not in (model.id, wrap.wrapper.id) or id(move.node) in seen or not _to_gpu(move):
                continue
            if program.models.before(wrap.event, move) and wrapped.possible(move.path):
                seen.add(id(move.node))
                yield Late(wrap, move)
                break


def _starts_on_cpu(program: Program, model: Value) -> bool:
    """Whether a model is certainly made on the CPU: one of the project whose class speaks of no device."""
    if isinstance(model, Object) and model.cls is not None:
        classes = (model.cls, *objects.bases(program.entry_run, model.cls))
        starts = [one.methods["__init__"] for one in classes if "__init__" in one.methods]
        return wrapping.is_module(program.entry_run, model.cls) and not any(
            method.words & _DEVICE_WORDS for method in starts
        )
    return (
        isinstance(model, Made)
        and model.name.startswith(("torch.nn.", "torchvision.models."))
        and not any("device" in word for word in model.arguments.keyword)
    )


def _may_move(program: Program, move: Event, wrap: Wrap, model: Value) -> bool:
    on = move.arguments["self"].value
    return on.id == model.id and program.models.before(move, wrap.event, surely=False)


def _to_gpu(move: Event) -> bool:
    """Whether a move goes to a GPU, as far as it is known: not to a dtype, nor back to the CPU."""
    device = move.arguments.get("device")
    if move.name == "cuda":
        return True
    if device is None:
        return False
    return not (isinstance(device.value, Const) and device.value.value == "cpu") and device.value.type not in (
        None,
        "external",
    )
