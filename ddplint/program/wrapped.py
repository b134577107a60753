"""The states of a model: what a value is a wrapper of, and what had been done to it when something happened.

A model is plain until something wraps it: DistributedDataParallel, FSDP, DataParallel and DeepSpeed's engine make a
new object that holds it as ``.module``; ``fully_shard`` changes the model itself. The run keeps such values apart by
path (``model`` may be the wrapper in one case and the bare model in another), so each question here is asked of one
event: the cases of its model that its own path leaves.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ddplint.program import alternatives
from ddplint.program.events import Argument, Event
from ddplint.program.library import wrapping
from ddplint.program.module import ClassFacts
from ddplint.program.program import Program
from ddplint.program.state import Path, steps
from ddplint.program.values import EnvHas, EnvVar, Input, Made, Object, Symbol, Value, walk


class Kind(enum.Enum):
    """What wraps a model, in the words of messages."""

    DDP = "DistributedDataParallel"
    FSDP = "FullyShardedDataParallel"
    FULLY_SHARD = "fully_shard"
    DEEPSPEED = "the DeepSpeed engine"
    DATA_PARALLEL = "DataParallel"


KINDS: Mapping[str, Kind] = {
    wrapping.DDP: Kind.DDP,
    wrapping.FSDP: Kind.FSDP,
    wrapping.FULLY_SHARD: Kind.FULLY_SHARD,
    wrapping.DEEPSPEED: Kind.DEEPSPEED,
    wrapping.DATA_PARALLEL: Kind.DATA_PARALLEL,
}


def kind(value: Value) -> Kind | None:
    """What kind of wrapper object a single value is; None for a bare model, a choice or anything else.

    Never FULLY_SHARD: that leaves no object of its own (see :meth:`History.of`).
    """
    return KINDS.get(value.name) if isinstance(value, Made) and value.name in wrapping.WRAPPERS else None


def inner(value: Value) -> Value:
    """The bare model below any number of wrappers; the value itself where it is none, or where they hide it."""
    for _ in range(5):
        below = wrapping.wrapped_by(value)
        if below is None:
            break
        value = below
    return value


def model_class(value: Value) -> ClassFacts | None:
    """The project's class of a bare model, or of the model in a wrapper."""
    model = inner(value)
    return model.cls if isinstance(model, Object) and model.kind == "instance" else None


@dataclass(frozen=True, slots=True)
class Case:
    """What a value is in one case: ``kind`` of the outermost wrapper, None for anything that is no wrapper."""

    value: Value
    kind: Kind | None


def cases(value: Value, path: Path | None) -> Iterator[Case]:
    """Everything that a value may be on a path, one by one; nothing where the path contradicts itself."""
    for case in alternatives.together((value,), path):
        yield Case(case.values[0], kind(case.values[0]))


def always(value: Value, path: Path | None) -> Kind | None:
    """The wrapper that a value is in every case on a path; None if it may be something else."""
    found = {case.kind for case in cases(value, path)}
    return next(iter(found)) if len(found) == 1 else None


def possible(path: Path | None) -> bool:
    """Whether a path does not contradict itself.

    The run takes both sides of a choice, each under its condition: ``model.module`` in ``if not distributed:`` is met
    with the model that is wrapped ``if distributed`` as well.
    """
    return next(alternatives.together((), path), None) is not None


def suspected(path: Path | None, value: Value) -> bool:
    """Whether a condition on the path asks about the value itself, in a way that the model does not understand."""
    return any(part.id == value.id for condition, _ in steps(path) for part in walk(condition))


@dataclass(frozen=True, slots=True)
class Wrap:
    """A model was wrapped: the event, what with, and what was wrapped (a single value or a choice)."""

    event: Event
    kind: Kind
    model: Argument | None

    @property
    def wrapper(self) -> Value:
        """The new object; for ``fully_shard`` only a placeholder, since the model is its own wrapper there."""
        return self.event.arguments["wrapper"].value


class History:
    """What happened to the models of a program, in the order of its events."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.wraps = tuple(
            Wrap(event, KINDS[event.name], event.arguments.get("module")) for event in program.events("wrap")
        )

    def of(self, value: Value, event: Event) -> Iterator[Wrap]:
        """The wraps of a bare model, or the one that made a wrapper, that certainly came before an event."""
        for wrap in self.wraps:
            if self.before(wrap.event, event) and (wrap.wrapper.id == value.id or self._holds(wrap, value)):
                yield wrap

    def made(self, wrapper: Value) -> Wrap | None:
        """The wrap that made a wrapper."""
        return next((wrap for wrap in self.wraps if wrap.wrapper.id == wrapper.id), None)

    def sharded(self, value: Value, event: Event) -> Wrap | None:
        """The ``fully_shard`` that certainly had changed a model when something happened."""
        return next((wrap for wrap in self.of(value, event) if wrap.kind is Kind.FULLY_SHARD), None)

    def _holds(self, wrap: Wrap, value: Value) -> bool:
        if wrap.model is None:
            return False
        models = {inner(case.value).id for case in cases(wrap.model.value, wrap.event.path)}
        return models == {value.id}

    def maybe(self, value: Value, event: Event) -> Iterator[Wrap]:
        """The wraps of a bare model that came before an event in some run: nothing on the two paths excludes it.

        Only where nothing else on the event's path could: a test that has to do with the one around the wrap, in a
        way that is not seen here, may (``if world_size > 1`` and ``if args.distributed``).
        """
        for wrap in self.wraps:
            before = self.before(wrap.event, event, surely=False)
            if before and self._holds(wrap, value) and not self.entangled(wrap, event):
                yield wrap

    def entangled(self, wrap: Wrap, event: Event) -> bool:
        """Whether a condition around an event may exclude the wrap, for a reason that the model does not see."""
        conditions = {condition.id: truth for condition, truth in steps(wrap.event.path)}
        if not conditions:
            return False
        for condition, truth in steps(event.path):
            if alternatives.holds(condition, conditions) is truth or self.program.worlds.may_vary(condition):
                continue
            if any(isinstance(part, (Input, EnvVar, EnvHas, Symbol)) for part in walk(condition)):
                return True
        return False

    def before(self, first: Event, second: Event, surely: bool = True) -> bool:
        """Whether one event certainly (else: perhaps) came before another in the same process."""
        if first.order >= second.order or first.entry != second.entry:
            return False
        if first.context != second.context[: len(first.context)]:
            return False
        known: dict[int, bool] = {condition.id: truth for condition, truth in steps(second.path)}
        told = [(alternatives.holds(condition, known), truth) for condition, truth in steps(first.path)]
        return all(found is truth or (not surely and found is None) for found, truth in told)
