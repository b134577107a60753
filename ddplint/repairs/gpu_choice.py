"""The GPU of a process, chosen before its group starts."""

from __future__ import annotations

from ddplint.findings import Applicability, Fix
from ddplint.program.pinning import Unpinned
from ddplint.program.program import Program
from ddplint.program.values import Origin
from ddplint.repairs.draft import Draft, NoPlaceError


def pinned(program: Program, found: Unpinned) -> Fix | None:
    """``torch.cuda.set_device(local_rank)`` before the start; None where the code there knows no local rank."""
    if found.local_rank is None:
        return None
    place = Origin(found.start.module, found.start.node)
    draft = Draft(program)
    try:
        draft.before(place, f"{draft.name(place, 'torch.cuda.set_device', 'torch')}({found.local_rank})")
    except NoPlaceError:
        return None
    return draft.fix(Applicability.SAFE, "Choose the GPU of the process")
