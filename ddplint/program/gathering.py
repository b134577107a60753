"""The list that a gather fills and a scatter hands out: torch wants it on the root, and nowhere else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import libcst as cst

from ddplint.program.events import Argument, Event
from ddplint.program.library import collectives
from ddplint.program.program import Program
from ddplint.program.values import Choice, Const, Items, Repeated, Unknown, Value
from ddplint.program.world import World

# torch 2.13, torch/distributed/distributed_c10d.py: the list, the root, and whether a list is refused off the root
# (scatter_object_list takes any list there).
_LISTS: Mapping[str, tuple[str, str, bool]] = {
    "torch.distributed.gather": ("gather_list", "dst", True),
    "torch.distributed.gather_object": ("object_gather_list", "dst", True),
    "torch.distributed.scatter": ("scatter_list", "src", True),
    "torch.distributed.scatter_object_list": ("scatter_object_input_list", "src", False),
}


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A gather or scatter with its list on the wrong ranks. ``missing``: the root has none; else others have one.

    ``world`` is a process that fails, ``root`` the rank that ``root_name`` (``dst``, ``src``) says.
    """

    event: Event
    parameter: str
    root_name: str
    root: int
    world: World
    missing: bool
    argument: Argument | None


def mismatched(program: Program) -> Iterator[Mismatch]:
    """Gathers and scatters that raise on some ranks, each call once."""
    seen: set[int] = set()
    for event in program.events("call"):
        if event.name in _LISTS and id(event.node) not in seen:
            found = _mismatch(program, event)
            if found is not None:
                seen.add(id(event.node))
                yield found


def _mismatch(program: Program, event: Event) -> Mismatch | None:
    parameter, root_name, refused = _LISTS[event.name]
    given, group = event.arguments.get(parameter), event.arguments.get("group")
    if "open" in event.arguments or f"group_{root_name}" in event.arguments:
        return None
    if group is not None and not collectives.is_world(group.value):
        return None
    reach = program.worlds.reach(event)
    worlds = program.worlds.of(event.context)
    root = event.arguments.get(root_name)
    for world, reached in zip(worlds, (reach.first, reach.leader, reach.other), strict=True):
        if reached is not True:
            continue
        at = 0 if root is None else world.settle(root.value)
        if not isinstance(at, int) or isinstance(at, bool):
            continue
        has = False if given is None else _has_list(world, given.value)
        if has is None:
            continue
        missing = not has and world.rank == at
        if missing or (refused and has and world.rank != at):
            return Mismatch(event, parameter, root_name, at, world, missing, given)
    return None


def _has_list(world: World, value: Value) -> bool | None:
    """Whether a value is a list with something in it (True), or None or empty (False), in one process."""
    while isinstance(value, Choice):
        known = world.holds(value.condition)
        if known is None:
            then, other = _has_list(world, value.then), _has_list(world, value.other)
            return then if then is other else None
        value = value.then if known else value.other
    if isinstance(value, Const):
        return False if value.value is None else None
    if isinstance(value, Items):
        return bool(value.values)
    if isinstance(value, Repeated):
        return True
    if isinstance(value, Unknown) and value.origin is not None and value.reason == "a comprehension":
        return _fills(value.origin.node)
    return False if world.settle(value) is None else None


def _fills(node: cst.CSTNode) -> bool | None:
    """Whether a comprehension certainly makes a list with elements: one for each process."""
    return True if isinstance(node, cst.ListComp) and not node.for_in.ifs else None
