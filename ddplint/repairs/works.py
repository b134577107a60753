"""Waiting for asynchronous work."""

from __future__ import annotations

from ddplint.findings import Applicability, Fix
from ddplint.program.program import Program
from ddplint.program.values import Origin
from ddplint.program.works import Unwaited
from ddplint.repairs.draft import Draft, NoPlaceError


def waited(program: Program, found: Unwaited) -> Fix | None:
    """``.wait()`` at once: behind the call, or on the next line."""
    place = Origin(found.event.module, found.event.node)
    draft = Draft(program)
    try:
        if found.name:
            draft.after(place, f"{found.name}.wait()")
        else:
            draft.replace_text(place, f"{draft.text(place)}.wait()")
    except NoPlaceError:
        return None
    return draft.fix(Applicability.UNSAFE, "Wait for the work")
