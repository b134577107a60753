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

_STARTED = (
    "Compute rank and world size of the whole job: each node says which one it is (NODE_RANK) and of how many (NNODES)"
)
_LAUNCHED = "Take rank and world size of the whole job from the launcher"


def fix(program: Program, group: Group) -> Fix | None:
    """The repair of a group's rank and world size; the same for every finding about groups of one script."""
    if not program.repairs:
        _repair(program)
    found = program.repairs.get(id(group.event.node))
    return found if isinstance(found, Fix) else None


def _repair(program: Program) -> None:
    """One fix for all starts of a process group that can be repaired, since they may share functions."""
    starts: dict[int, list[tuple[Group, bool]]] = {}
    for group in program.judged_groups:
        wrong = world_is_wrong(program, group)
        if group.rank_failure is not None or wrong:
            starts.setdefault(id(group.event.node), []).append((group, wrong))
    hopeful: list[tuple[Group, bool]] = []
    draft = Draft(program)
    for node, groups in starts.items():
        alone = Draft(program)
        try:
            _write(alone, groups)
        except NoPlaceError as reason:
            program.repairs[node] = str(reason)
        else:
            hopeful += groups
            draft = alone
    nodes = {id(group.event.node) for group, _ in hopeful}
    try:
        if len(nodes) > 1:
            draft = Draft(program)
            _write(draft, hopeful)
        title = _STARTED if any(group.event.context for group, _ in hopeful) else _LAUNCHED
        done = draft.fix(Applicability.UNSAFE, title)
    except NoPlaceError as reason:
        program.repairs.update(dict.fromkeys(nodes, str(reason)))
    else:
        program.repairs.update(dict.fromkeys(nodes, done or "the repairs of several places get into each other's way"))


def _write(draft: Draft, groups: Sequence[tuple[Group, bool]]) -> None:
    if any(group.event.kind != "init" for group, _ in groups):
        raise NoPlaceError("the environment of a command is not repaired")
    started = [(group, wrong) for group, wrong in groups if group.event.context]
    nodes = {id(group.event.node) for group, _ in started}
    spawned.repair(draft, started)
    for group, wrong in groups:
        # what is also called without a spawn, for one process, comes out right with it
        if not group.event.context and id(group.event.node) not in nodes:
            launched.repair(draft, group, group.rank_failure is not None, wrong)


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
