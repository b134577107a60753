"""Models whose parameters are spread over the processes: FSDP and ``fully_shard``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import libcst as cst

from ddplint.program import wrapped
from ddplint.program.events import Argument, Event
from ddplint.program.program import Program
from ddplint.program.values import Const, External, Made, Unknown, Value, walk
from ddplint.program.wrapped import Kind, Wrap


@dataclass(frozen=True, slots=True)
class Early:
    """An optimizer that was given the parameters of a model before these were replaced by shards."""

    event: Event
    wrap: Wrap


def early_optimizers(program: Program) -> Iterator[Early]:
    """Optimizers that are made before the model is sharded and used all the same, each place once."""
    made = [event for event in program.events("call") if event.name.startswith("torch.optim.")]
    seen: set[int] = set()
    for event in made:
        params = event.arguments.get("params")
        if params is None or id(event.node) in seen:
            continue
        for wrap in program.models.wraps:
            if not _replaces(wrap) or not program.models.before(event, wrap.event) or wrap.model is None:
                continue
            models = [case.value for case in wrapped.cases(wrap.model.value, wrap.event.path)]
            if len(models) != 1 or not _parameters_of(params.value, models[0]):
                continue
            if any(other.order > wrap.event.order and other.entry == event.entry for other in made):
                continue  # made anew after the wrap
            seen.add(id(event.node))
            yield Early(event, wrap)
            break


def _replaces(wrap: Wrap) -> bool:
    """Whether a wrap puts other parameters in the place of those of the model."""
    if wrap.kind is Kind.FULLY_SHARD:
        return True
    if wrap.kind is not Kind.FSDP or "open" in wrap.event.arguments:
        return False
    kept = wrap.event.arguments.get("use_orig_params")
    return kept is None or (isinstance(kept.value, Const) and kept.value.value is False)


def _parameters_of(value: Value, model: Value) -> bool:
    """Whether a value is ``model.parameters()``, or a filter or list of it: whatever is computed from it alone."""
    return any(
        isinstance(part, Unknown)
        and part.origin is not None
        and isinstance(part.origin.node, cst.Call)
        and isinstance(part.origin.node.func, cst.Attribute)
        and part.origin.node.func.attr.value in ("parameters", "named_parameters")
        and any(used.id == model.id for used in part.parts())
        for part in walk(value)
    )


@dataclass(frozen=True, slots=True)
class Clipped:
    """``clip_grad_norm_`` of torch over the shards of a model."""

    event: Event
    wrapper: Made


def clipped(program: Program) -> Iterator[Clipped]:
    """Every call of it on the parameters of an FSDP module, in every case, each place once."""
    seen: set[int] = set()
    for event in program.events("call"):
        given = event.arguments.get("parameters")
        if event.name != "torch.nn.utils.clip_grad_norm_" or given is None or id(event.node) in seen:
            continue
        if not wrapped.possible(event.path):
            continue
        owners = [_owner(case.value) for case in wrapped.cases(given.value, event.path)]
        owner = owners[0] if owners else None
        if not isinstance(owner, Made) or any(one is None or one.id != owner.id for one in owners):
            continue
        if wrapped.kind(owner) is Kind.FSDP and _shards(owner) and not wrapped.suspected(event.path, owner):
            seen.add(id(event.node))
            yield Clipped(event, owner)


def _owner(value: Value) -> Value | None:
    """The model in ``model.parameters()``."""
    if not isinstance(value, Unknown) or value.origin is None or not isinstance(value.origin.node, cst.Call):
        return None
    function = value.origin.node.func
    if not isinstance(function, cst.Attribute) or function.attr.value != "parameters" or not value.parts():
        return None
    return value.parts()[0]


def _shards(wrapper: Made) -> bool:
    """Whether FSDP certainly shards: NO_SHARD leaves whole gradients in every process."""
    if wrapper.arguments.open:
        return False
    strategy = wrapper.arguments.get("sharding_strategy", 2)
    if strategy is None:
        return True
    return isinstance(strategy.value, External) and strategy.value.name.rpartition(".")[2] in (
        "FULL_SHARD", "SHARD_GRAD_OP", "HYBRID_SHARD", "_HYBRID_SHARD_ZERO2",
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Direct:
    """``model.forward(x)`` on a model that ``fully_shard`` has changed."""

    event: Event
    wrap: Wrap
    model: Argument


def direct_forwards(program: Program) -> Iterator[Direct]:
    """Every such call, each place once."""
    seen: set[int] = set()
    registered = any(event.name.endswith("register_fsdp_forward_method") for event in program.events("call"))
    for event in program.events("method"):
        if event.name != "forward" or id(event.node) in seen or registered or not wrapped.possible(event.path):
            continue
        model = event.arguments["self"]
        wrap = program.models.sharded(model.value, event)
        if wrap is not None:
            seen.add(id(event.node))
            yield Direct(event, wrap, model)
