"""Ranks and world sizes of a whole script: one fix for all findings about them, so that they fit each other."""

from __future__ import annotations

from collections.abc import Sequence

from ddplint.findings import Applicability, Fix
from ddplint.program import Program
from ddplint.program.group import Group
from ddplint.program.sizes import world_size_fault
from ddplint.program.values import Origin
from ddplint.repairs import launched, spawned
from ddplint.repairs.draft import Draft, NoPlaceError

_TITLE = "Compute rank and world size for a job of several nodes"


def fix(program: Program, group: Group) -> Fix | None:
    """The repair of a group's rank and world size; the same for every finding about groups of one script."""
    known = program.repairs.get(id(group.event.node))
    if known is None:
        known = program.repairs[id(group.event.node)] = _repaired(program, group)
    return known if isinstance(known, Fix) else None


def _repaired(program: Program, group: Group) -> Fix | str:
    draft = Draft(program)
    groups = [
        (other, world_is_wrong(program, other))
        for other in program.judged_groups
        if other.event.node is group.event.node
    ]
    groups = [(other, wrong) for other, wrong in groups if other.rank_failure is not None or wrong]
    started = [(other, wrong) for other, wrong in groups if other.event.context]
    try:
        if any(other.event.kind != "init" for other, _ in groups):
            raise NoPlaceError("the environment of a command is not repaired")
        if started:
            # what is also called without a spawn, for one process, comes out right with it
            spawned.repair(draft, started)
        else:
            for other, wrong in groups:
                launched.repair(draft, other, other.rank_failure is not None, wrong)
    except NoPlaceError as reason:
        return str(reason)
    return draft.fix(Applicability.UNSAFE, _TITLE) or "there is nothing to change"


def told(program: Program, group: Group, missing: Sequence[str]) -> Fix | None:
    """What a started process must be told before it can start a group: of the variables that are ``missing``, rank and
    world size as arguments, address and port as defaults for one node in the environment."""
    draft = Draft(program)
    place = Origin(group.event.module, group.event.node)
    try:
        if "RANK" in missing or "WORLD_SIZE" in missing:
            spawned.repair(draft, [(group, "WORLD_SIZE" in missing or world_is_wrong(program, group))])
        environ = draft.name(place, "os.environ", "os")
        defaults = {"MASTER_ADDR": "localhost", "MASTER_PORT": "29500"}
        draft.before(
            place,
            *(f'{environ}.setdefault("{name}", "{text}")' for name, text in defaults.items() if name in missing),
        )
    except NoPlaceError:
        return None
    return draft.fix(Applicability.UNSAFE, "Set what the process group reads, before it starts")


def world_is_wrong(program: Program, group: Group) -> bool:
    """Whether a world size must change for the group to work on several nodes."""
    return group.world_failure is not None or world_size_fault(program, group) is not None
