"""DataLoaders: ``shuffle`` beside a sampler goes away."""

from __future__ import annotations

import libcst as cst

from ddplint.findings import Applicability, Fix
from ddplint.program.imports import dotted_name
from ddplint.program.program import Program
from ddplint.program.samplers import Shuffled
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
            _remove(draft, program, Origin(module, call), place)
    except NoPlaceError:
        return None
    return draft.fix(Applicability.SAFE, "Leave the order to the sampler")


def _remove(draft: Draft, program: Program, call: Origin, place: int) -> None:
    """Write a call without one of its arguments."""
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
    if place + 1 < len(args):
        cut = text[: offset(args[place], False)] + text[offset(args[place + 1], False) :]
    else:
        before = args[place - 1].value if place else call.node.func
        cut = text[: offset(before, True)] + text[offset(args[place].value, True) :]
    draft.replace_text(call, cut)
