"""State dicts that are saved from a wrapper, and the loads of the same script that they go into.

The keys of DistributedDataParallel and DataParallel begin with ``module.``: torch 2.13, ``torch/nn/modules/module.py``
(``state_dict`` names each child by its attribute), ``torch/nn/parallel/distributed.py`` (``self.module = module``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ddplint.program import wrapped
from ddplint.program.events import Event
from ddplint.program.once import SAVES, target
from ddplint.program.values import Const, EnvVar, Input, Items, Made, Object, Unknown, Value, is_made, walk
from ddplint.program.wrapped import Kind

if TYPE_CHECKING:
    from ddplint.program.program import Program

_PREFIXING = frozenset((Kind.DDP, Kind.DATA_PARALLEL))

# Words of code that knows of the prefix, and takes it off or puts it on somewhere.
_KNOWS = re.compile(r"""["']module\.|\bf["'].*module\.|_prefix\b|consume_prefix|unwrap|get_model_state""")

# What is told from a model by its class: its states have no prefix.
_OTHERS = ("torch.optim.", "torch.amp.", "torch.cuda.amp.")


@dataclass(frozen=True, slots=True)
class Saved:
    """A state dict with the prefix: where it is asked for, and the load that does not expect it, if one was seen.

    ``always``: the model is wrapped in every case.
    """

    asked: Event
    kind: Kind
    load: Event | None
    always: bool


def prefixed(program: Program) -> Iterator[Saved]:
    """State dicts of wrappers that are saved and that no load of the script expects, each call once."""
    saves = [event for event in program.events("call") if event.name in SAVES and "obj" in event.arguments]
    if not saves or program.evidence.managed or program.evidence.test:
        return
    asked = [event for event in program.events("method") if event.name == "state_dict"]
    states = [event for event in asked if _kinds(event) & _PREFIXING]
    if not states or any(_KNOWS.search(module.source.text) for module in program.modules):
        return
    loads = [event for event in program.events("method") if event.name == "load_state_dict"]
    if any(_kinds(load) - {None} for load in loads):
        return
    seen: set[int] = set()
    for state in states:
        save = next((save for save in saves if _holds(save.arguments["obj"].value, state, 0)), None)
        if save is None or id(state.node) in seen or not program.worlds.starts(state):
            continue
        bare = [load for load in loads if _is_same_model(load, state)]
        load = next((load for load in bare if _is_same_file(load, save)), None)
        if load is None and not all(_is_other(load) for load in loads):
            continue
        seen.add(id(state.node))
        kinds = set().union(*(_kinds(event) for event in asked if event.node is state.node))
        kind = Kind.DDP if Kind.DDP in kinds else Kind.DATA_PARALLEL
        yield Saved(state, kind, load, kinds <= _PREFIXING)


def _kinds(event: Event) -> set[Kind | None]:
    """What the model of an event is wrapped in, in all cases that its path leaves."""
    return {case.kind for case in wrapped.cases(event.arguments["self"].value, event.path)}


def _holds(value: Value, state: Event, depth: int) -> bool:
    """Whether what is saved is, or has among its items, what a call of state_dict() gave, as it is."""
    if depth > 3:
        return False
    if isinstance(value, Object) and value.kind == "dict":
        return any(_holds(field, state, depth + 1) for field in value.fields.values())
    if isinstance(value, Items):
        return any(_holds(item, state, depth + 1) for item in value.values)
    return isinstance(value, Unknown) and value.origin is not None and value.origin.node is state.node


def _is_same_model(load: Event, state: Event) -> bool:
    """Whether a load goes into the bare model that is wrapped when it is saved."""
    models = {wrapped.inner(case.value).id for case in wrapped.cases(state.arguments["self"].value, state.path)}
    into = {case.value.id for case in wrapped.cases(load.arguments["self"].value, load.path)}
    return bool(into) and into <= models


def _is_same_file(load: Event, save: Event) -> bool:
    """Whether a load reads what a save has written: the two names have an input or the name of a file in common."""
    given = load.arguments.get("state_dict")
    written = set(_marks(target(save)))
    return any(
        not written.isdisjoint(_marks(source))
        for part in (walk(given.value) if given is not None else ())
        if is_made(part, "torch.load") and (source := part.arguments.value("f", 0)) is not None
    )


def _marks(path: Value) -> Iterator[int]:
    for part in walk(path):
        is_text = (
            isinstance(part, Const) and isinstance(part.value, str) and re.search(r"\w{4}", part.value) is not None
        )
        if is_text or isinstance(part, (Input, EnvVar)):
            yield part.id


def _is_other(load: Event) -> bool:
    """Whether what a load goes into is certainly no model."""
    value = load.arguments["self"].value
    return isinstance(value, Made) and value.name.startswith(_OTHERS)
