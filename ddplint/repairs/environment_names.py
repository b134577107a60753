"""The names of environment variables in a script."""

from __future__ import annotations

from ddplint.findings import Applicability, Fix
from ddplint.program.events import Event
from ddplint.program.program import Program
from ddplint.repairs.draft import Draft


def renamed(program: Program, event: Event, new: str) -> Fix | None:
    """The new name in every string of the file that says the old one; None where it is not written out there."""
    draft = Draft(program)
    draft.rename_strings(event.module, event.name, new)
    return draft.fix(Applicability.SAFE, f"Call it {new}")
