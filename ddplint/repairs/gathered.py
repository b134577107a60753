"""Gathered tensors: the part of this process, with its gradient."""

from __future__ import annotations

from ddplint.findings import Applicability, Fix
from ddplint.program.gradients import Cut
from ddplint.program.imports import dotted_name
from ddplint.program.program import Program
from ddplint.program.values import Origin
from ddplint.repairs.draft import Draft, NoPlaceError


def own_part(program: Program, found: Cut) -> Fix | None:
    """``parts[dist.get_rank()] = output`` behind the gather; None for a gather into one tensor."""
    given = found.gather.arguments.get("tensor")
    output = dotted_name(given.node) if given is not None else ""
    if not output or "group" in found.gather.arguments or not found.gather.discarded:
        return None
    place = Origin(found.gather.module, found.gather.node)
    draft = Draft(program)
    try:
        rank = draft.name(place, "torch.distributed.get_rank")
        draft.after(place, f"{found.output}[{rank}()] = {output}")
    except NoPlaceError:
        return None
    return draft.fix(Applicability.UNSAFE, "Put the part of this process back")
