"""CUDA and the start of processes: what a fork inherits, and what ``CUDA_VISIBLE_DEVICES`` comes too late for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ddplint.program import alternatives, spawning
from ddplint.program.events import Event
from ddplint.program.placing import touches_gpu
from ddplint.program.program import Program
from ddplint.program.state import steps
from ddplint.program.values import Symbol, Unknown, walk

_PROCESSES = ("multiprocessing.Process", "torch.multiprocessing.Process")


@dataclass(frozen=True, slots=True)
class Early:
    """``first`` initialises CUDA, and ``later`` comes after it in the same run: a fork, or a choice of GPUs."""

    first: Event
    later: Event


def forked(program: Program) -> Iterator[Early]:
    """Workers that are forked after CUDA was initialised, and use it: the first of each place."""
    if program.evidence.test:
        return
    events = program.entry_run.events
    touching = [event for event in events if not event.context and touches_gpu(event)]
    if not touching:
        return
    seen: set[int] = set()
    for event in events:
        if not spawning.starts(event) or event.context or id(event.node) in seen:
            continue
        method = spawning.start_method(program, event)
        if method != "fork" and not (method is None and event.name in _PROCESSES and not spawning.chooses(program)):
            continue
        inside = any(
            one.context and one.context[0].node is event.node and (touches_gpu(one) or one.kind == "wrap")
            for one in events
        )
        first = next((one for one in touching if one.order < event.order and _together(one, event)), None)
        if inside and first is not None:
            seen.add(id(event.node))
            yield Early(first, event)


def late_choices(program: Program) -> Iterator[Early]:
    """Writes to CUDA_VISIBLE_DEVICES after CUDA was initialised in the same process."""
    events = program.entry_run.events
    seen: set[int] = set()
    for event in events:
        if not _chooses_gpus(event) or id(event.node) in seen:
            continue
        for one in events[: event.order]:
            if touches_gpu(one) and one.context == event.context and _together(one, event):
                seen.add(id(event.node))
                yield Early(one, event)
                break


def narrowed(program: Program) -> Iterator[Early]:
    """GPUs that are asked for by an index which CUDA_VISIBLE_DEVICES, set to one GPU for each process, has hidden.

    ``first`` is the write, ``later`` the use.
    """
    events = program.entry_run.events
    seen: set[int] = set()
    for write in events:
        if not _chooses_gpus(write):
            continue
        world = program.worlds.of(write.context)[2]
        shown = world.settle(write.arguments["value"].value)
        if not isinstance(shown, str) or not shown.isdigit():
            continue
        for event in events[write.order + 1 :]:
            if event.kind != "device" or event.context != write.context or id(event.node) in seen:
                continue
            index: Any = world.settle(event.arguments["index"].value)
            varies = program.worlds.of(write.context)[0].settle(write.arguments["value"].value) != shown
            if varies and type(index) is int and index > 0 and _together(write, event):
                seen.add(id(event.node))
                yield Early(write, event)
                break


def _chooses_gpus(event: Event) -> bool:
    return event.kind == "store" and event.name == "CUDA_VISIBLE_DEVICES"


def _together(one: Event, two: Event) -> bool:
    """Whether nothing known keeps one run from getting to both events."""
    known = {condition.id: truth for condition, truth in steps(one.path)}
    for condition, truth in steps(two.path):
        held = alternatives.holds(condition, known)
        if held is (not truth):
            return False
        if held is None and any(isinstance(part, (Unknown, Symbol)) for part in walk(condition)):
            return False
    others = {condition.id for condition, _ in steps(two.path)}
    return not any(
        condition.id not in others and any(isinstance(part, Unknown) for part in walk(condition))
        for condition, _ in steps(one.path)
    )
