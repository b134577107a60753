"""Batch norm that was made SyncBatchNorm in a model on the CPU, where that does not work.

``convert_sync_batchnorm`` replaces the layers of a model in place and keeps their parameters (torch 2.13,
``torch/nn/modules/batchnorm.py``), and DistributedDataParallel looks for the buffers again before each broadcast
(``torch/nn/parallel/distributed.py``, ``_sync_buffers``): neither a dropped result nor the order of the two matters.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ddplint.program import moves, wrapped
from ddplint.program.events import Event
from ddplint.program.program import Program
from ddplint.program.values import Items, Made, Value
from ddplint.program.wrapped import Kind, Wrap

_CONVERT = "torch.nn.SyncBatchNorm.convert_sync_batchnorm"
_NORMS = frozenset(f"torch.nn.{name}" for name in ("BatchNorm1d", "BatchNorm2d", "BatchNorm3d"))
_RESNETS = ("torchvision.models.resnet", "torchvision.models.resnext", "torchvision.models.wide_resnet")

_DEFAULTS = frozenset("hpu npu set_default_device set_default_tensor_type to_empty xpu".split())
_MOVES = frozenset(("cuda", "to"))


@dataclass(frozen=True, slots=True)
class OnCpu:
    """The conversion of a model that is wrapped on the CPU; ``late``: it comes after the wrap."""

    convert: Event
    wrap: Wrap
    late: bool


def on_cpu(program: Program) -> Iterator[OnCpu]:
    """Conversions of models that nothing has moved to a GPU, each place once."""
    calls = [event for event in program.events("call") if event.name == _CONVERT]
    if not calls:
        return
    methods = program.events("method")
    moved = [event for event in methods if event.name in ("to", "cuda")]
    seen: set[int] = set()
    for wrap in program.models.wraps:
        if wrap.kind is not Kind.DDP or wrap.model is None or not wrapped.possible(wrap.event.path):
            continue
        models = [case.value for case in wrapped.cases(wrap.model.value, wrap.event.path)]
        if len(models) != 1 or not moves.is_as_made(program, models[0]) or not _has_norms(wrap, models[0]):
            continue
        if any(moves.may_move(program, move, wrap, models[0]) for move in moved):
            continue
        ids = (models[0].id, wrap.wrapper.id)
        for call in calls:
            if call.arguments["module"].value.id not in ids or id(call.node) in seen:
                continue
            words = call.module.words | wrap.event.module.words
            later = [move for move in moved if move.arguments["self"].value.id in ids]
            if words & _DEFAULTS or (not later and words & _MOVES):
                continue  # moved in a way that is not seen
            early = program.models.before(call, wrap.event)
            late = program.models.before(wrap.event, call) and _runs(call, wrap, methods)
            if early or (late and not later):
                seen.add(id(call.node))
                yield OnCpu(call, wrap, not early)


def _has_norms(wrap: Wrap, model: Value) -> bool:
    if isinstance(model, Made) and model.name.startswith(_RESNETS):
        return not {"norm_layer"} & model.arguments.keyword.keys()
    given = wrap.event.arguments.get("layers")
    layers = (
        [pair.values[1] for pair in given.value.values if isinstance(pair, Items)]
        if given is not None and (isinstance(given.value, Items))
        else []
    )
    return any(_is_norm(layer) for layer in (model, *layers))


def _is_norm(layer: Value) -> bool:
    if not isinstance(layer, Made):
        return False
    return layer.name in _NORMS or (layer.name == "torch.nn.Sequential" and any(_is_norm(part) for part in layer.uses))


def _runs(call: Event, wrap: Wrap, methods: list[Event]) -> bool:
    """Whether the wrapper trains after the conversion: in evaluation nothing is synchronised."""
    later = [one for one in methods if one.order > call.order and one.entry == call.entry]
    passes = any(one.name == "__call__" and one.arguments["self"].value.id == wrap.wrapper.id for one in later)
    return passes and any(one.name == "backward" for one in later)
