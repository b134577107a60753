"""Checkpoints are loaded into the memory of the CPU."""

from __future__ import annotations

from ddplint.findings import Applicability, Fix
from ddplint.program.events import Event
from ddplint.program.program import Program
from ddplint.program.values import Origin
from ddplint.repairs.draft import Draft, NoPlaceError


def on_cpu(program: Program, event: Event) -> Fix | None:
    """``map_location="cpu"``, added or in place of what is there."""
    draft = Draft(program)
    given = event.arguments.get("map_location")
    try:
        if given is None:
            draft.append_argument(Origin(event.module, event.node), 'map_location="cpu"')
        else:
            draft.replace(Origin(event.module, given.node), '"cpu"')
    except NoPlaceError:
        return None
    return draft.fix(Applicability.SAFE, "Load into the memory of the CPU")
