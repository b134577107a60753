"""Guards that select a GPU for a block, called without one: the call that selects it for good."""

from __future__ import annotations

import libcst as cst

from ddplint.findings import Applicability, Fix
from ddplint.program.events import Event
from ddplint.program.program import Program
from ddplint.program.values import Const, Origin
from ddplint.repairs.draft import Draft, NoPlaceError

_SELECTS = {
    "torch.accelerator.device_index": "torch.accelerator.set_device_index",
    "torch.cuda.device": "torch.cuda.set_device",
}


def selected(program: Program, event: Event) -> Fix | None:
    """``torch.cuda.set_device(i)`` for ``torch.cuda.device(i)``."""
    argument = event.arguments.get("device")
    if not isinstance(event.node, cst.Call) or argument is None or "open" in event.arguments:
        return None
    if isinstance(argument.value, Const) and (argument.value.value is None or argument.value.value == -1):
        return None  # the guard for "leave it as it is"
    draft = Draft(program)
    called, selects = event.node.func, _SELECTS[event.name]
    try:
        if isinstance(called, cst.Attribute):
            owner = draft.text(Origin(event.module, called.value))
            draft.replace_text(Origin(event.module, called), f"{owner}.{selects.rpartition('.')[2]}")
        else:
            draft.replace(Origin(event.module, called), draft.name(Origin(event.module, event.node), selects))
    except NoPlaceError:
        return None
    return draft.fix(Applicability.SAFE, "Select the device")
