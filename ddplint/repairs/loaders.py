"""DataLoaders and samplers: ``shuffle`` beside a sampler goes away, and so does a share that the group knows better."""

from __future__ import annotations

import libcst as cst

from ddplint.findings import Applicability, Fix
from ddplint.program.imports import dotted_name
from ddplint.program.program import Program
from ddplint.program.samplers import Shuffled
from ddplint.program.shares import Shared
from ddplint.program.values import Origin
from ddplint.repairs.draft import Draft, NoPlaceError


def unshuffled(program: Program, loader: Shuffled) -> Fix | None:
    """``shuffle=True`` goes; ``shuffle=sampler is None`` where the sampler may be None."""
    call, module = loader.event.node, loader.event.module
    if not isinstance(call, cst.Call):
        return None
    place = next((index for index, arg in enumerate(call.args) if arg.value is loader.shuffle.node), None)
    if place is None or call.args[place].star:
        return None  # it comes out of a dict, or of a partial call
    shuffle = call.args[place]
    if not (isinstance(shuffle.value, cst.Name) and shuffle.value.value == "True"):
        return None  # somebody else may rely on the name
    draft = Draft(program)
    where = Origin(module, shuffle.value)
    try:
        if loader.sometimes:
            sampler = dotted_name(loader.sampler.node)
            if not sampler:
                return None
            draft.replace_text(where, f"{sampler} is None")
        elif shuffle.keyword is None:
            draft.replace_text(where, "False")
        else:
            _remove(draft, program, Origin(module, call), {place})
    except NoPlaceError:
        return None
    return draft.fix(Applicability.SAFE, "Leave the order to the sampler")


def asked(program: Program, share: Shared) -> Fix | None:
    """The arguments go: the sampler then asks the process group, which has been started before."""
    call, module = share.event.node, share.event.module
    if not share.after_start or not isinstance(call, cst.Call):
        return None
    nodes = [argument.node for argument in share.faults.values()]
    places = {index for index, arg in enumerate(call.args) if any(arg.value is node for node in nodes)}
    if len(places) < len(nodes) or any(call.args[place].star for place in places):
        return None
    if any(call.args[place].keyword is None for place in places) and any(
        arg.keyword is None for index, arg in enumerate(call.args) if index > min(places) and index not in places
    ):
        return None  # the arguments behind it would move up
    draft = Draft(program)
    try:
        _remove(draft, program, Origin(module, call), places)
    except NoPlaceError:
        return None
    return draft.fix(Applicability.SAFE, "Let the sampler ask the process group")


def _remove(draft: Draft, program: Program, call: Origin, places: set[int]) -> None:
    """Write a call without some of its arguments."""
    assert isinstance(call.node, cst.Call)
    args = call.node.args
    whole = program.span(call)
    lines = draft.text(call).split("\n")

    def offset(node: cst.CSTNode, end: bool) -> int:
        span = program.span(Origin(call.module, node))
        at = span.end if end else span.start
        line, column = at.line - whole.start.line, at.column - 1
        return sum(len(one) + 1 for one in lines[:line]) + column - (whole.start.column - 1 if line == 0 else 0)

    text = "\n".join(lines)
    last = max((index for index in range(len(args)) if index not in places), default=-1)
    if last + 1 < len(args):
        before = args[last].value if last >= 0 else call.node.func
        text = text[: offset(before, True)] + text[offset(args[-1].value, True) :]
    for place in sorted((place for place in places if place < last), reverse=True):
        text = text[: offset(args[place], False)] + text[offset(args[place + 1], False) :]
    draft.replace_text(call, text)
