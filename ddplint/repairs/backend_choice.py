"""The backend of a process group, by what the machine has."""

from __future__ import annotations

from ddplint.findings import Applicability, Fix
from ddplint.program.backends import Unready
from ddplint.program.program import Program
from ddplint.program.values import Origin
from ddplint.repairs.draft import Draft, NoPlaceError


def by_device(program: Program, found: Unready) -> Fix | None:
    """``"nccl" if torch.cuda.is_available() else "gloo"``."""
    draft = Draft(program)
    place = Origin(found.start.module, found.backend.node)
    try:
        asked = draft.name(place, "torch.cuda.is_available", "torch")
        draft.replace(place, f'"nccl" if {asked}() else "gloo"')
    except NoPlaceError:
        return None
    return draft.fix(Applicability.SAFE, "Use gloo where there is no GPU")
