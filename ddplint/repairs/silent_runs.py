"""Runs of an experiment tracker that all processes but one open switched off."""

from __future__ import annotations

from ddplint.findings import Applicability, Fix
from ddplint.program.events import Event
from ddplint.program.library.trackers import WANDB
from ddplint.program.program import Program
from ddplint.program.values import Origin
from ddplint.repairs import own_rank
from ddplint.repairs.draft import Draft, NoPlaceError


def off_elsewhere(program: Program, event: Event) -> Fix | None:
    """``mode="disabled"`` of wandb where the rank is not 0: whatever is logged later does nothing there.

    No other tracker has such a switch, so that each later call would need a guard of its own; and there is none where
    the call says a mode already, or where the rank is not known yet.
    """
    if event.name != WANDB or "mode" in event.arguments or not own_rank.is_sure(program, event):
        return None
    draft = Draft(program)
    try:
        rank = own_rank.rank(draft, event)
        draft.append_argument(Origin(event.module, event.node), f'mode=None if {rank} == 0 else "disabled"')
    except NoPlaceError:
        return None
    return draft.fix(Applicability.UNSAFE, "Switch it off in all processes but one")
