"""DataLoaders that give every process of a DDP job the same samples to train on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import libcst as cst

from ddplint.program import alternatives, datasets, wrapped
from ddplint.program.events import Event
from ddplint.program.imports import dotted_name
from ddplint.program.library import feeds
from ddplint.program.program import Program
from ddplint.program.run import Run
from ddplint.program.seeds import SEED
from ddplint.program.values import Const, Made, Op, Value, walk
from ddplint.program.walk import everything_in
from ddplint.program.wrapped import Kind, Wrap

_WRAPS = (Kind.DDP, Kind.FSDP)

# Words of jobs in which groups of processes share their data on purpose: tensor and pipeline parallel ones.
_GROUPS = frozenset(
    "new_group new_subgroups init_device_mesh DeviceMesh parallelize_module PipelineStage rpc_async".split()
)

# Hands the data of one process to others.
_HANDING = frozenset(
    f"torch.distributed.{name}"
    for name in "broadcast broadcast_object_list scatter scatter_object_list send recv isend irecv".split()
)

# What tells processes apart in the arguments of a seed; a word is reason enough for silence.
_APART = re.compile(r"rank|gpu|local|proc|node|time|pid|entropy|urandom|worker|host", re.I)


@dataclass(frozen=True, slots=True)
class Unsharded:
    """A loader, made by the call ``loader``, that feeds the training loop ``iterates`` of a model that ``wrap`` wraps.

    ``iterable``: its dataset is an IterableDataset, which no sampler can share out.
    """

    loader: Event
    iterates: Event
    wrap: Wrap
    iterable: bool


def unsharded(program: Program) -> Iterator[Unsharded]:
    """Loaders without a sampler, of datasets that are the same in all processes, each once."""
    if program.exempt:
        return
    told: set[int] = set()
    quiet: bool | None = None
    for run in program.runs:
        for event in run.events:
            if event.kind != "iterate":
                continue
            loaders = list(_without_sampler(run, event))
            for value, made in loaders:
                kind = datasets.kind(program, run, made) if id(made.node) not in told else None
                wrap = _trained(program, run, event, value, made) if kind is not None else None
                if wrap is None or kind is None:
                    continue
                if quiet is None:
                    quiet = _may_share(program)
                if not quiet:
                    told.add(id(made.node))
                    yield Unsharded(made, event, wrap, iterable=kind is datasets.Style.ITERABLE)


def _without_sampler(run: Run, event: Event) -> Iterator[tuple[Value, Event]]:
    """The loaders of a loop, if none of them has a sampler in any case."""
    found: list[tuple[Value, Event]] = []
    for value in _elements(event.arguments["iterable"].value):
        for case in alternatives.together((value,), event.path):
            made = run.feeds.get(case.values[0].id)
            if made is None or made.name != feeds.LOADER or not isinstance(case.values[0], Made):
                return
            if "open" in made.arguments or any(not _is_none(made, name) for name in ("sampler", "batch_sampler")):
                return
            found.append((case.values[0], made))
    yield from found


def _elements(value: Value) -> Iterator[Value]:
    """What is behind ``enumerate`` and progress bars; nothing behind what leaves elements out."""
    if isinstance(value, Op) and value.name == "enumerate":
        yield from _elements(value.args[0])
    elif isinstance(value, Made) and feeds.is_passing(value.name):
        if value.name != "itertools.islice" and value.parts():
            yield from _elements(value.parts()[0])
    else:
        yield value


def _is_none(loader: Event, name: str) -> bool:
    given = loader.arguments.get(name)
    return given is None or (isinstance(given.value, Const) and given.value.value is None)


# -- what the loop does with the data ---------------------------------------------------------------------------------


def _trained(program: Program, run: Run, event: Event, loader: Value, made: Event) -> Wrap | None:
    """The wrapper that a loop trains with what the loader gives, in all processes."""
    loops = {
        mark.nest[-1]
        for mark in run.marks
        if mark.kind == "loop" and mark.node is event.node and mark.nest[:-1] == event.nest
    }
    inside = [one for one in run.events if one.entry == event.entry and loops & set(one.nest)]
    if any(one.name in _HANDING for one in inside):
        return None
    backward = [one for one in inside if one.kind == "method" and one.name == "backward"]
    for one in inside:
        if one.kind != "method" or one.name != "__call__" or not _uses(one, loader):
            continue
        wrap = _wrap(program, one, made)
        later = [step for step in backward if step.order > one.order]
        if wrap is None or not later or not wrapped.possible(one.path):
            continue
        if program.worlds.starts(one) and all(
            program.worlds.reach(step).certainly_all for step in (made, event, one, later[0])
        ):
            return wrap
    return None


def _uses(call: Event, loader: Value) -> bool:
    """Whether a forward pass is given what comes from the loader, and all of it."""
    parts = [
        part
        for name, argument in call.arguments.items()
        if name != "self"
        for part in walk(argument.value, lambda value: value.id == loader.id)
    ]
    given = [argument.value for name, argument in call.arguments.items() if name != "self"]
    return any(part.id == loader.id for value in given for part in walk(value)) and not any(
        datasets.is_rank(part) for part in parts
    )


def _wrap(program: Program, call: Event, made: Event) -> Wrap | None:
    cases = list(wrapped.cases(call.arguments["self"].value, call.path))
    for case in cases:
        wrap = program.models.made(case.value) if case.kind in _WRAPS else None
        if wrap is None or wrap.event.arguments.keys() & {"process_group", "device_mesh", "open"}:
            continue
        certain = all(other.kind in _WRAPS for other in cases)
        if certain or not (program.models.entangled(wrap, call) or program.models.entangled(wrap, made)):
            return wrap
    return None


# -- what may share the data out all the same -------------------------------------------------------------------------


def _may_share(program: Program) -> bool:
    """Whether the project does something by which processes may get data of their own."""
    if any((module.words | module.top_words) & _GROUPS for module in program.modules):
        return True
    if any(
        event.name == SEED and any(program.worlds.may_vary(given.value) for given in event.arguments.values())
        for event in program.events("call")
    ):
        return True
    nodes = (node for module in program.modules for node in everything_in(module.tree))
    return any(_seeds_apart(node) for node in nodes)


def _seeds_apart(node: cst.CSTNode) -> bool:
    """Whether something is seeded with a number that may be another one in every process."""
    if not isinstance(node, cst.Call) or "seed" not in dotted_name(node.func).rpartition(".")[2].lower():
        return False
    return any(
        isinstance(part, cst.Name) and _APART.search(part.value) for arg in node.args for part in everything_in(arg)
    )
