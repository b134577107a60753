"""``if rank == 0:`` around a statement that one process of the job is to execute."""

from __future__ import annotations

from collections.abc import Sequence

import libcst as cst

from ddplint.findings import Applicability, Fix
from ddplint.program.events import Event
from ddplint.program.program import Program
from ddplint.program.values import Origin
from ddplint.program.walk import everything_in
from ddplint.repairs import own_rank
from ddplint.repairs.draft import Draft, NoPlaceError

# Methods that may stand in a guarded statement: no process waits in them for the others.
_LOCAL = frozenset(
    "state_dict cpu item join format get_rng_state getstate detach clone parameters dict str int float Path vars "
    "save save_file save_model strftime now".split()
)
# What is done to the file afterwards would miss it in the other processes.
_AFTERWARDS = frozenset("copy copy2 copyfile move rename replace symlink remove unlink upload".split())


def by_first(program: Program, events: Sequence[Event]) -> Fix | None:
    """Guard the statements of events; None where others may take part in one, or where no rank can be named."""
    if not all(_can_be_alone(event) for event in events):
        return None
    draft = Draft(program)
    try:
        for event in {id(event.node): event for event in events}.values():
            draft.guard(Origin(event.module, event.node), _condition(draft, event))
    except NoPlaceError:
        return None
    return draft.fix(Applicability.UNSAFE, "Let rank 0 do it alone")


def _can_be_alone(event: Event) -> bool:
    piece = event.module.positions.statement_line(event.node)
    if piece is None or not isinstance(piece.root, cst.SimpleStatementLine):
        return False
    if not isinstance(piece.root.body[0], cst.Expr) or not _is_local(event.node):
        return False
    function = next((one for one in reversed(piece.around) if isinstance(one, cst.FunctionDef)), None)
    return function is None or not any(_name(one) in _AFTERWARDS for one in everything_in(function))


def _condition(draft: Draft, event: Event) -> str:
    place = Origin(event.module, event.node)
    ended = any(
        other.name == "torch.distributed.destroy_process_group"
        and other.order < event.order
        and other.entry == event.entry
        for other in draft.program.events("call")
    )
    if own_rank.is_sure(draft.program, event):
        rank = own_rank.rank(draft, event)
        if not (ended and rank.endswith(")")):
            return f"{rank} == 0"
    if ended:
        raise NoPlaceError("the process group has ended")
    there = draft.name(place, "torch.distributed.is_initialized")
    return f"not {there}() or {draft.name(place, 'torch.distributed.get_rank')}() == 0"


def _is_local(node: cst.CSTNode) -> bool:
    calls = [one for one in everything_in(node) if isinstance(one, cst.Call)]
    return all(_name(call.func) in _LOCAL for call in calls)


def _name(node: cst.CSTNode) -> str:
    if isinstance(node, cst.Attribute):
        return node.attr.value
    return node.value if isinstance(node, cst.Name) else ""
