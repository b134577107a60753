"""The world size of a worker: the names that carry it to the process group come to mean all nodes."""

from __future__ import annotations

import re
from collections.abc import Sequence

import libcst as cst

from ddplint.program.values import Origin, Value
from ddplint.program.walk import children, everything_in
from ddplint.repairs import job
from ddplint.repairs.draft import NoPlaceError, names_bound_in
from ddplint.repairs.roles import about, arguments
from ddplint.repairs.uses import Kind, replica_counts, spelling, uses_in
from ddplint.repairs.way import Way

# A name that says it counts one node.
_OF_ONE_NODE = re.compile(r"per_?node|local|gpu|device", re.I)


class WorldSize:
    """The world size on one way to a process group."""

    def __init__(self, way: Way) -> None:
        self.way = way
        self.group = way.group
        self.draft = way.draft

    def sizes(self) -> list[Value]:
        """The world size as it is given, and as it is in the failure."""
        size = self.group.world_size
        return [] if size is None else [size, self.group.chosen(self.group.world_failure, size)]

    def given(self) -> Origin:
        return self.draft.program.written_at(self.group, "world_size", "WORLD_SIZE")

    def names(self, place: Origin) -> list[str]:
        """The names of this function that carry the world size to the process group; they come to mean all nodes."""
        way = self.way.starts if not self.way.is_last else self.given().node
        written = _written(way)
        carrying = list(job.held(self.way.level.frame, *self.sizes(), at=place))
        # `connect(args)` hands on every field, and so does `self.connect()`
        found = [
            self._source(name, carrying)
            for name in carrying
            if name in written or (way is self.way.starts and owner_of(name) in written and owner_of(name) != name)
        ]
        others = [name for name in carrying if not _OF_ONE_NODE.search(name)]
        return list(dict.fromkeys([*found, *(others if found else ())]))

    def _source(self, name: str, carrying: Sequence[str]) -> str:
        """The name that ``args.world_size = world_size`` in this function takes it from."""
        for node in everything_in(self.way.level.facts.node.body):
            if isinstance(node, cst.Assign) and spelling(node.targets[0].target) == name:
                taken_from = spelling(node.value)
                return taken_from if taken_from in carrying else name
        return name

    def keep_devices(self, worlds: Sequence[str], each: str) -> None:
        """Arithmetic that makes a GPU index out of the old count goes on with that of one node."""
        for name in worlds:
            for use in uses_in(self.way.level.body, name):
                if about(self.draft.program, self.way.level.facts, use, self.way.level.body) is Kind.LOCAL:
                    self.draft.replace(self.way.origin(use.node), each)

    def write(self, code: str, each: str, name: str, place: Origin) -> list[str]:
        """Where the process group is told a size that no variable of the function carries: the product itself, or a
        variable ``name`` for it if the function says the same (a constant of the module) in more places."""
        given = self.given()
        stored = "world_size" not in self.group.event.arguments
        if not self.way.is_last:
            given, stored = self._handed(), False
        elif given.node is self.group.event.node:
            raise NoPlaceError("the world size is made where the number of nodes is not known")
        core = given.node
        if stored and isinstance(core, cst.Call) and len(core.args) == 1:
            core, stored = core.args[0].value, False  # str(WORLD_SIZE)
        given = Origin(given.module, core)
        written = spelling(core)
        places = [use for use in uses_in(self.way.level.body, written) if use.node is not core] if written else []
        if isinstance(core, cst.Integer):
            places = [use for use in replica_counts(self.way.level.body) if _same_number(use.node, core)]
        if written:
            self._refuse_elsewhere(written)
        if not places:
            self.draft.replace(given, f"str({code})" if stored else code)
            return []
        line = self.way.level.facts.module.positions.line
        if any(line(use.node) < line(place.node) for use in places):
            raise NoPlaceError(f"{written} is also read before the number of nodes is known")
        self.draft.replace(given, name)
        for use in places:
            meant = about(self.draft.program, self.way.level.facts, use, self.way.level.body)
            self.draft.replace(self.way.origin(use.node), each if meant is Kind.LOCAL else name)
        return [f"{name} = {code}"]

    def _refuse_elsewhere(self, written: str) -> None:
        """A constant that other functions of the worker read, too, cannot mean all nodes in one of them only."""
        known = {id(frame.facts.node) for frame in self.group.event.frames if frame.facts is not None}
        for facts in self.way.level.facts.module.functions.values():
            if id(facts.node) in known or facts.outer is not None or owner_of(written) in names_bound_in(facts.node):
                continue
            if uses_in(facts.node.body.body, written):
                raise NoPlaceError(f"{written} is the world size in {facts.qualified}(), too")

    def _handed(self) -> Origin:
        """The argument of the call towards the start that becomes the world size."""
        below = self.way.levels[self.way.at + 1]
        for arg, name in arguments(self.way.starts, below.facts):
            known = below.frame.names.get(name)
            if known is not None and any(known.id == size.id for size in self.sizes()):
                return self.way.origin(arg.value)
        raise NoPlaceError("the world size is made where the number of nodes is not known")


def _same_number(one: cst.CSTNode, two: cst.Integer) -> bool:
    return isinstance(one, cst.Integer) and one.evaluated_value == two.evaluated_value


def owner_of(name: str) -> str:
    """``args`` of ``args.world_size``."""
    return re.split(r"[.\[]", name)[0]


def _written(root: cst.CSTNode) -> set[str]:
    """Every name and ``args.name`` that is read in an expression."""
    found: set[str] = set()
    stack = [root]
    while stack:
        node = stack.pop()
        found.add(spelling(node))
        stack.extend([node.value] if isinstance(node, (cst.Arg, cst.Attribute)) else children(node))
    return found
