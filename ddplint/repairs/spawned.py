"""Scripts that start their processes themselves: the worker computes its rank in the whole job.

The worker is started with an index that counts the processes of one node. What is inserted in it is::

    nnodes = int(os.environ.get("NNODES", 1))
    node_rank = int(os.environ.get("NODE_RANK", 0))
    nproc_per_node = world_size
    world_size = nnodes * nproc_per_node
    global_rank = node_rank * nproc_per_node + rank

in the script's own words as far as it has any, and every use of the index that means the global rank becomes
``global_rank``; device indices keep the local one.
"""

from __future__ import annotations

from collections.abc import Sequence

import libcst as cst

from ddplint.program.group import Group
from ddplint.program.imports import dotted_name
from ddplint.program.values import Const, Op, Origin, Value, walk
from ddplint.program.walk import everything_in
from ddplint.repairs import job
from ddplint.repairs.afterwards import Afterwards
from ddplint.repairs.draft import Draft, NoPlaceError, names_bound_in, names_in
from ddplint.repairs.refusals import names_a_device, refuse_what_stays_on_the_node
from ddplint.repairs.roles import merged, not_assigned, roles
from ddplint.repairs.uses import Use, uses_in
from ddplint.repairs.way import Level, Way, first_statement, holds_any, where_both_are_known
from ddplint.repairs.world_size import WorldSize, owner_of


def repair(draft: Draft, groups: Sequence[tuple[Group, bool]]) -> None:
    """Write the repair of one start of a process group, as every worker gets there, into ``draft``.

    ``groups`` come with whether their world size is wrong, too.

    Raises:
        NoPlaceError: there is no repair that is known to be right.
    """
    workers = [_worker(draft, group, world_is_wrong) for group, world_is_wrong in groups]
    # A function that several workers share gets the local rank of all of them, or the global rank of all.
    for worker in workers:
        places = {id(other.way.level.facts.node) for other in workers}
        deeper = [at for at, level in enumerate(worker.way.levels) if id(level.facts.node) in places]
        worker.way.at = max(deeper)
    for worker in workers:
        worker.write()


def _worker(draft: Draft, group: Group, world_is_wrong: bool) -> _Worker:
    spawn = group.event.context[-1]
    if len(group.event.context) > 1 or spawn.index is None or spawn.count is None:
        raise NoPlaceError("nothing tells the started processes apart")
    start = spawn.index.start
    if start is not None and not (isinstance(start, Const) and start.value == 0):
        raise NoPlaceError("the processes are not counted from 0")
    given = draft.program.written_at(group, "rank", "RANK")
    levels: list[Level] = []
    for frame in group.event.frames:
        if len(frame.context) == 1 and frame.facts is not None:
            names = not_assigned(frame.facts, list(job.held(frame, spawn.index)))
            size = group.world_size
            sizes = frozenset(
                job.held(frame, size, group.chosen(group.world_failure, size)) if size is not None else ()
            )
            found = [roles(draft.program, frame.facts, name, (given.node,), frame.names, sizes) for name in names]
            level = Level(frame, frame.facts, names[0] if names else None, merged(names, found))
            level.roles.device |= any(names_a_device(draft, frame.facts, name) for name in names)
            levels.append(level)
    if not levels:
        raise NoPlaceError("the worker is not known")
    refuse_what_stays_on_the_node(draft, group, levels)
    return _Worker(Way(draft, group, levels, where_both_are_known(levels)), world_is_wrong, given)


class _Worker:
    """The function that gets the lines, and those above it."""

    def __init__(self, way: Way, world_is_wrong: bool, given: Origin) -> None:
        self.way = way
        self.draft = way.draft
        self.group = group = way.group
        self.size = WorldSize(way)
        count = group.event.context[-1].count
        same = count is not None and any(size.id == count.value.id for size in self.size.sizes())
        self.rank_is_wrong = group.rank is None or group.rank_failure is not None
        self.world_is_wrong = world_is_wrong or same
        self.given = given
        self.each = ""

    def write(self) -> None:
        if self.way.level.index is None and self.rank_is_wrong:
            raise NoPlaceError("the local rank has no name where the global one is needed")
        own = self._own_rank() if self.rank_is_wrong else None
        formula = self._own_formula() if own else None
        uses = list(self.way.level.roles.here) if self.rank_is_wrong and not own else []
        stored = [] if "world_size" in self.group.event.arguments else [self.size.given().node]
        known = [node for node in stored if self.world_is_wrong and holds_any(self.way.level.body, node)]
        wanted = [*(use.node for use in uses), *known, *([formula] if formula else []), self.way.starts]
        place = self.way.origin(first_statement(self.way.level.body, wanted))
        if self.world_is_wrong:
            # whoever reads the size above would go on with that of one node
            params = set(job.parameters(self.way.level.facts))
            names = [name for name in self.size.names(place) if owner_of(name) in params]
            rank = self._rank()
            formula_node = rank.origin.node if rank is not None and rank.origin is not None else None
            wanted += [
                use.node
                for name in names
                for use in uses_in(self.way.level.body, name)
                if not any(node is formula_node for node in use.around)
            ]
            place = self.way.origin(first_statement(self.way.level.body, wanted))
        known_names = list(job.held(self.way.level.frame, *self._indices(), at=place))
        if self.rank_is_wrong and self.way.level.index not in known_names:
            raise NoPlaceError("the local rank has no name yet where the global one is needed")
        lines = self._world_lines(place)
        if self.rank_is_wrong:
            name = own or self._new("global_rank")
            before, code = self._rank_lines(place)
            lines += before if formula else [*before, f"{name} = {code}"]
            if isinstance(formula, cst.Assign):
                self.draft.replace(self.way.origin(formula.value), code)
            elif formula is not None:
                self.draft.replace(self.way.origin(formula), f"{own} = {code}")
            for use in uses:
                self.draft.replace(self.way.origin(use.node), name)
            if not own and self._other_rank():
                self.draft.replace(self.given, name)
            self._give("rank", name)
        self.draft.before(place, *lines)
        carried = self.size.sizes() if self.world_is_wrong else []
        later = Afterwards(self.way, carried, self._right_formula())
        later.write(self.rank_is_wrong)

    # -- the lines ----------------------------------------------------------------------------------------------

    def _world_lines(self, place: Origin) -> list[str]:
        """The world size, and on the way there the counts that the rank needs too."""
        worlds = self.size.names(place) if self.world_is_wrong else []
        spawn = self.group.event.context[-1]
        starter = next((one for one in reversed(self.group.event.frames) if not one.context), None)
        each = job.processes_per_node(self.draft, self.way.level.frame, spawn, starter, place, worlds)
        if each is None:
            raise NoPlaceError("how many processes are started is not known in the worker")
        lines: list[str] = []
        nnodes = job.nnodes(self.draft, self.way.level.frame, place) if self.world_is_wrong else ""
        if "(" in nnodes:
            lines.append(f"{self._new('nnodes')} = {nnodes}")
            nnodes = self._new("nnodes")
        if each in worlds or not _is_name(each):
            lines.append(f"{self._new('nproc_per_node')} = {each}")
            each = self._new("nproc_per_node")
        self.each = each
        given = self.group.event.arguments
        if worlds:
            lines.append(f"{' = '.join(worlds)} = {nnodes} * {each}")
            self.size.keep_devices(worlds, each)
        elif self.world_is_wrong and "world_size" not in given and self.group.world_size is None:
            self._give("world_size", f"{nnodes} * {each}")
        elif self.world_is_wrong:
            lines += self.size.write(f"{nnodes} * {each}", each, self._new("world_size"), place)
        return lines

    def _rank_lines(self, place: Origin) -> tuple[list[str], str]:
        """The formula of the global rank, and what it needs first."""
        lines: list[str] = []
        node_rank = job.node_rank(self.draft, self.way.level.frame, place)
        if "(" in node_rank:
            lines.append(f"{self._new('node_rank')} = {node_rank}")
            node_rank = self._new("node_rank")
        return lines, f"{node_rank} * {self.each} + {self.way.level.index}"

    def _give(self, name: str, code: str) -> None:
        """One more argument for a start that nobody told its rank or world size."""
        value = self.group.rank if name == "rank" else self.group.world_size
        if name in self.group.event.arguments or value is not None:
            return
        if not self.way.is_last:
            raise NoPlaceError("the start has no argument for it where the local rank is known")
        self.draft.append_argument(Origin(self.group.event.module, self.group.event.node), f"{name}={code}")

    def _new(self, name: str) -> str:
        """A name that the function does not use yet."""
        for candidate in (name, f"{name}_", f"job_{name}"):
            if candidate not in names_in(self.way.level.facts.node):
                return candidate
        raise NoPlaceError(f"the name {name} is taken")

    def _indices(self) -> list[Value]:
        index = self.group.event.context[-1].index
        return [index] if index is not None else []

    def _rank(self) -> Value | None:
        rank = self.group.rank
        return self.group.chosen(self.group.rank_failure, rank) if rank is not None else None

    def _right_formula(self) -> list[cst.CSTNode]:
        """The code that computes the rank, if it does so rightly."""
        rank = self.group.rank
        if rank is None or self.rank_is_wrong:
            return []
        return [part.origin.node for part in walk(rank) if isinstance(part, Op) and part.origin is not None]

    def _is_index(self) -> bool:
        spawn = self.group.event.context[-1]
        rank = self._rank()
        return rank is not None and spawn.index is not None and rank.id == spawn.index.id

    def _own_rank(self) -> str | None:
        """``args.rank``, where the script computes its rank, wrongly, under a name of its own."""
        written = dotted_name(self.given.node)
        rank = self._rank()
        computed = "rank" in self.group.event.arguments and isinstance(rank, Op) and rank.name in ("add", "sub", "mul")
        if not computed or not written or not self.way.is_last:
            return None
        return written if written.partition(".")[0] in names_bound_in(self.way.level.facts.node) else None

    def _own_formula(self) -> cst.Assign | cst.AugAssign | None:
        """The statement that makes the wrong formula under that name: it gets the right one."""
        rank = self._rank()
        node = rank.origin.node if rank is not None and rank.origin is not None else None
        for one in everything_in(self.way.level.facts.node.body):
            if isinstance(one, cst.AugAssign) and one is node and dotted_name(one.target) == self._own_rank():
                return one
            if isinstance(one, cst.Assign) and one.value is node:
                return one if dotted_name(one.targets[0].target) == self._own_rank() else None
        return None

    def _other_rank(self) -> bool:
        """Whether the rank is given as something that the local rank has no part in, such as a constant."""
        if "rank" not in self.group.event.arguments or self._is_index():
            return False
        if any(self._is_given(use) for level in self.way.levels for use in level.roles.here):
            return False
        if not self.way.is_last:
            raise NoPlaceError("the rank is given where the local rank is not known")
        return True

    def _is_given(self, use: Use) -> bool:
        return any(node is self.given.node for node in (use.node, *use.around))


def _is_name(code: str) -> bool:
    return all(part.isidentifier() for part in code.split("."))
