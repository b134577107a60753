"""Loops over epochs: the first statement tells the sampler which epoch it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import libcst as cst

from ddplint.findings import Applicability, Fix
from ddplint.program.events import Event, Frame, Mark
from ddplint.program.feeding import Repeat, samplers_of
from ddplint.program.imports import bound_names, dotted_name
from ddplint.program.library import feeds
from ddplint.program.program import Program
from ddplint.program.state import steps
from ddplint.program.values import Const, Object, Origin, Value, leaves
from ddplint.program.walk import everything_in
from ddplint.repairs.draft import Draft, NoPlaceError


@dataclass(frozen=True, slots=True)
class _Way:
    """How code at the top of a loop says the sampler, and what it must ask first: nothing, ``None`` or ``type``."""

    code: str
    guard: str


def told(program: Program, repeat: Repeat) -> Fix | None:
    """``sampler.set_epoch(epoch)`` at the top of the loop; None where no variable counts, or none leads there."""
    loop = repeat.loop
    if not isinstance(loop.node, cst.For) or not isinstance(loop.node.target, cst.Name) or not repeat.alone:
        return None
    epoch = loop.node.target.value
    body = loop.node.body
    if epoch.startswith("_") or not isinstance(body, cst.IndentedBlock):
        return None
    way = next(_ways(repeat), None)
    if way is None:
        return None
    draft = Draft(program)
    place = Origin(loop.module, body.body[0])
    lines = [f"{way.code}.set_epoch({epoch})"]
    try:
        if way.guard == "None":
            lines = [f"if {way.code} is not None:", f"    {lines[0]}"]
        elif way.guard == "type":
            lines = [f"if isinstance({way.code}, {_class(program, draft, place, repeat.sampler)}):", f"    {lines[0]}"]
        draft.at_top(place, *lines)
    except NoPlaceError:
        return None
    return draft.fix(Applicability.SAFE, "Tell the sampler which epoch it is")


def _class(program: Program, draft: Draft, place: Origin, sampler: Event) -> str:
    """DistributedSampler, as the call that makes the sampler writes it if that means the same here."""
    written = dotted_name(sampler.node.func) if isinstance(sampler.node, cst.Call) else ""
    top = written.partition(".")[0]
    if sampler.module is place.module and top and top in program.top_names(place.module):
        return written
    return draft.name(place, feeds.SAMPLER)


def _ways(repeat: Repeat) -> Iterator[_Way]:
    """Names of the sampler, else of the loader, that hold at the top of the loop; the plainest first."""
    frame = _frame(repeat)
    if frame is None:
        return
    named = dict(_named(frame, repeat.loop))
    for code, value in named.items():
        sides = list(leaves(value))
        if any(leaf.id == repeat.sampler_value.id for leaf in sides) and _is_bound(repeat, repeat.sampler, sides):
            others = [leaf for leaf in sides if leaf.id != repeat.sampler_value.id]
            nothing = all(isinstance(leaf, Const) and leaf.value is None for leaf in others)
            yield _Way(code, "" if not others else "None" if nothing else "type")
    for code, value in named.items():
        sides = list(leaves(value))
        made = [repeat.run.feeds.get(leaf.id) for leaf in sides]
        if not any(one is repeat.loader for one in made) or not _is_bound(repeat, repeat.loader, sides):
            continue
        if any(one is None or one.name != feeds.LOADER for one in made):
            continue
        inside = repeat.loader.arguments.get("sampler")
        if inside is None:
            continue  # behind a sampler of batches, whose name for it nobody knows
        only = len(sides) == 1 and [one.id for one in samplers_of(repeat.run, repeat.loader)] == [inside.value.id]
        yield _Way(f"{code}.sampler", "" if only else "type")


def _is_bound(repeat: Repeat, made: Event, sides: list[Value]) -> bool:
    """Whether a name is certainly bound: several values are the merge of all ways, one may be that of a branch."""
    here = {(condition.id, truth) for condition, truth in steps(repeat.iterates.path)}
    return len(sides) > 1 or all((condition.id, truth) in here for condition, truth in steps(made.path))


def _frame(repeat: Repeat) -> Frame | None:
    """The function, or module, in which the loop over epochs is written."""
    for frame in reversed(repeat.iterates.frames):
        if frame.module is repeat.loop.module:
            root = frame.facts.node if frame.facts is not None else frame.module.tree
            if any(node is repeat.loop.node for node in everything_in(root)):
                return frame
    return None


def _named(frame: Frame, loop: Mark) -> Iterator[tuple[str, Value]]:
    """The names of a function and the fields of its objects, but those that the loop itself binds."""
    assert isinstance(loop.node, cst.For)
    own = {
        name
        for node in everything_in(loop.node.body)
        if isinstance(node, (cst.AssignTarget, cst.For, cst.NamedExpr, cst.AnnAssign))
        for name in bound_names(node.target)
    }
    names: Mapping[object, Value] = {key: value for key, value in frame.names.items() if key not in own}
    for key, value in names.items():
        if not isinstance(value, Object):
            yield str(key), value
    for key, value in names.items():
        if isinstance(value, Object):
            yield str(key), value
            if value.kind in ("instance", "namespace"):
                for name, inner in frame.fields.get(value.id, {}).items():
                    if isinstance(name, str) and name.isidentifier():
                        yield f"{key}.{name}", inner
