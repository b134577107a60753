"""Loaders and samplers: which calls make them, and what a loop over one goes through.

torch 2.13: ``torch/utils/data/dataloader.py``, ``torch/utils/data/sampler.py``, ``torch/utils/data/distributed.py``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import libcst as cst

from ddplint.program import objects
from ddplint.program.events import Arguments
from ddplint.program.values import Choice, Class, Made, Object, Op, Value

if TYPE_CHECKING:
    from ddplint.program.run import Run

LOADER = "torch.utils.data.DataLoader"
SAMPLER = "torch.utils.data.distributed.DistributedSampler"
BATCHES = "torch.utils.data.BatchSampler"

# What makes something that a loop is fed from: written down in ``run.feeds``.
FEEDS = frozenset((LOADER, SAMPLER, BATCHES))

# What gives the elements of its first argument in their order, or the first of them.
_PASSING = frozenset("iter list tuple zip itertools.islice rich.progress.track fastprogress.progress_bar".split())


def is_passing(name: str) -> bool:
    """Whether a library call gives the elements of its argument, one by one: ``tqdm(loader)``."""
    return name in _PASSING or (name.partition(".")[0] == "tqdm" and name.endswith(".tqdm"))


def through(run: Run, value: Value) -> Iterator[Value]:
    """The loaders that a loop over ``value`` goes through: both sides of a choice, and behind ``enumerate`` and kin."""
    if value.id in run.feeds:
        yield value
    elif isinstance(value, Choice):
        yield from through(run, value.then)
        yield from through(run, value.other)
    elif (isinstance(value, Op) and value.name == "enumerate") or (isinstance(value, Made) and is_passing(value.name)):
        for part in value.parts():
            yield from through(run, part)


def derived(run: Run, owner: Object, arguments: Arguments, node: cst.CSTNode) -> None:
    """Write down that an object of a project class derived from DataLoader gets its sampler."""
    from ddplint.program.library import calls

    if owner.cls is None or not (arguments.keyword.keys() & {"sampler", "batch_sampler"}):
        return
    if objects.derives_from(run, Class(owner.cls, None, None), frozenset((LOADER,))):
        event = calls.record(run, LOADER, arguments, node)
        if event is not None:
            run.feeds[owner.id] = event
