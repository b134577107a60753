"""One process of a machine goes first, the others wait: for what is done once and found by everybody."""

from __future__ import annotations

import libcst as cst

from ddplint.findings import Applicability, Fix
from ddplint.program.events import Event
from ddplint.program.program import Program
from ddplint.program.values import Origin
from ddplint.repairs import own_rank
from ddplint.repairs.draft import Draft, NoPlaceError


def first_on_each_machine(program: Program, event: Event) -> Fix | None:
    """``if local_rank != 0: barrier()`` before the statement, and the other half after it.

    None where the group may not have started, or where the statement leaves the function.
    """
    place = Origin(event.module, event.node)
    piece = event.module.positions.statement_line(event.node)
    if piece is None or not isinstance(piece.root, cst.SimpleStatementLine) or not own_rank.is_sure(program, event):
        return None
    if any(isinstance(one, (cst.Return, cst.Raise)) for one in piece.root.body):
        return None
    draft = Draft(program)
    try:
        name = own_rank.local_rank(program, event)
        if name is None:
            if event.context or not program.evidence.torchrun:
                return None
            name = f'int({draft.name(place, "os.environ", "os")}["LOCAL_RANK"])'
        barrier = draft.name(place, "torch.distributed.barrier")
        draft.before(place, f"if {name} != 0:", f"    {barrier}()")
        draft.after(place, f"if {name} == 0:", f"    {barrier}()")
    except NoPlaceError:
        return None
    return draft.fix(Applicability.UNSAFE, "Let one process of each machine download first")
