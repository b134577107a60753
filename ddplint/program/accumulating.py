"""Gradients that are added up over several micro-batches, and averaged between the processes in each of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ddplint.program import syncs, wrapped
from ddplint.program.events import Event
from ddplint.program.program import Program
from ddplint.program.run import Run
from ddplint.program.state import steps
from ddplint.program.values import Const, Index, Input, Unknown
from ddplint.program.wrapped import Kind

# A script that says one of these has thought of it; what it does with them is another question.
_WORDS = frozenset(("no_sync", "require_backward_grad_sync", "set_requires_gradient_sync", "accumulate"))
_TURNS = 24


@dataclass(frozen=True, slots=True)
class Accumulated:
    """Every ``backward`` averages, and the optimizer steps on each ``count``-th; None if that is an option."""

    backward: Event
    step: Event
    count: int | None


def accumulated(program: Program) -> Iterator[Accumulated]:
    """Loops that add gradients up without ``no_sync``, each ``backward()`` once."""
    seen: set[int] = set()
    for run in program.runs:
        loops = run.loop_numbers()
        for step in run.events:
            if step.kind != "method" or step.name != "step" or not syncs.is_optimizer(step):
                continue
            found = _accumulated(run, step, loops)
            if found is not None and id(found.backward.node) not in seen:
                seen.add(id(found.backward.node))
                yield found


def _accumulated(run: Run, step: Event, loops: set[int]) -> Accumulated | None:
    loop = syncs.innermost(step, loops)
    if loop is None or any(call.origin.module.words & _WORDS for call in step.calls) or step.module.words & _WORDS:
        return None
    same = [one for one in run.events if one.kind == "method" and syncs.innermost(one, loops) == loop]
    passes = [
        one
        for one in same
        if one.name == "__call__" and wrapped.always(one.arguments["self"].value, one.path) is Kind.DDP
    ]
    backwards = [one for one in same if one.name == "backward" and one.order < step.order]
    if not passes or not backwards or passes[0].module.words & _WORDS or not wrapped.possible(passes[0].path):
        return None
    leaves = {part.id: part for condition, _ in steps(step.path) for part in syncs.leaves_of(condition)}
    turns = [one for one in leaves.values() if isinstance(one, Index) or (isinstance(one, Unknown) and one.shared)]
    counts = [one for one in leaves.values() if isinstance(one, Input)]
    if len(turns) != 1 or len(counts) > 1 or len(leaves) > 2:
        return None
    default = counts[0].spec.default if counts and counts[0].spec is not None else None
    if counts and not (isinstance(default, Const) and isinstance(default.value, int) and default.value > 1):
        return None  # nobody adds up unless he asks for it
    for count in syncs.COUNTS if counts else (0,):
        given = {counts[0].id: count} if counts else {}
        stepped = [syncs.happens(step, {**given, turns[0].id: turn}) for turn in range(_TURNS)]
        every = all(
            syncs.happens(one, {**given, turns[0].id: turn}) is True
            for one in (passes[-1], backwards[-1])
            for turn in range(_TURNS)
        )
        if None in stepped or not every or not 1 < stepped.count(True) <= _TURNS // 2:
            return None
    found = None if counts else _TURNS // stepped.count(True)
    return Accumulated(backwards[-1], step, found)
