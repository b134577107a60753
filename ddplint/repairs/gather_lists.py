"""The list of a gather or scatter: on the root only."""

from __future__ import annotations

import libcst as cst

from ddplint.findings import Applicability, Fix
from ddplint.program.gathering import Mismatch
from ddplint.program.program import Program
from ddplint.program.values import Origin
from ddplint.repairs.draft import Draft, NoPlaceError


def on_root(program: Program, found: Mismatch) -> Fix | None:
    """``gather_list=parts if dist.get_rank() == 0 else None``; None where the list is missing."""
    call, module = found.event.node, found.event.module
    if found.missing or found.argument is None or not isinstance(call, cst.Call):
        return None
    node = found.argument.node
    if not any(arg.value is node and not arg.star for arg in call.args):
        return None
    if isinstance(node, (cst.IfExp, cst.Lambda, cst.NamedExpr)):
        return None  # there is a condition already, and another one is meant
    draft = Draft(program)
    place = Origin(module, node)
    try:
        rank = draft.name(Origin(module, call), "torch.distributed.get_rank")
        draft.replace_text(place, f"{draft.text(place)} if {rank}() == {found.root} else None")
    except NoPlaceError:
        return None
    return draft.fix(Applicability.UNSAFE, "Give the list on the root only")
