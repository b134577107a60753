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

import re
from collections.abc import Sequence

import libcst as cst

from ddplint.program import hosts
from ddplint.program.group import Group
from ddplint.program.imports import dotted_name
from ddplint.program.module import FunctionFacts
from ddplint.program.values import Const, Op, Origin, Value, walk
from ddplint.program.walk import children
from ddplint.repairs import addresses, job
from ddplint.repairs.afterwards import Afterwards, Level, everything_in, first_statement, holds_any
from ddplint.repairs.draft import Draft, NoPlaceError, names_bound_in, names_in
from ddplint.repairs.roles import about, arguments, merged, not_assigned, roles
from ddplint.repairs.uses import Kind, Use, replica_counts, spelling, uses_in


def repair(draft: Draft, groups: Sequence[tuple[Group, bool]]) -> None:
    """Write the repair of one start of a process group, as every worker gets there, into ``draft``.

    ``groups`` come with whether their world size is wrong, too.

    Raises:
        NoPlaceError: there is no repair that is known to be right.
    """
    workers = [_worker(draft, group, world_is_wrong) for group, world_is_wrong in groups]
    # A function that several workers share gets the local rank of all of them, or the global rank of all.
    for worker in workers:
        places = {id(other.level.facts.node) for other in workers}
        deeper = [at for at, level in enumerate(worker.levels) if id(level.facts.node) in places]
        worker.move_to(max(deeper))
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
            level.roles.device |= any(_names_a_device(draft, frame.facts, name) for name in names)
            levels.append(level)
    if not levels:
        raise NoPlaceError("the worker is not known")
    _refuse_what_stays_on_the_node(draft, group, levels)
    return _Worker(draft, group, levels, _where_both_are_known(levels), world_is_wrong, given)


def _names_a_device(draft: Draft, facts: FunctionFacts, name: str) -> bool:
    """Whether any method of the object takes a field of it for a device."""
    methods = facts.cls.methods.values() if facts.cls is not None and name.startswith("self.") else ()
    return any(roles(draft.program, method, name).device for method in methods)


def _refuse_what_stays_on_the_node(draft: Draft, group: Group, levels: Sequence[Level]) -> None:
    """Things that only the processes of one node share: what goes with them cannot be raised to the whole job."""
    method = group.init_method
    if method is not None and any(_is_file(value) for value in walk(method.value)):
        raise NoPlaceError("its processes meet in a file")
    for one, value, origin in hosts.init_methods(draft.program):
        if one is group and not hosts.guarded(group.event.path):
            typed_in = [host for host in hosts.url_parts(value, origin, group.event.path)[0] if host.option is None]
            fixed = any(hosts.is_loopback(host.text) for host in typed_in)
            if fixed and addresses.in_url(draft.program, value, origin, group.event.path) is None:
                raise NoPlaceError("its processes meet at an address of this node, which has no fix")
    texts = [module.source.text for module in draft.program.modules]
    if any("reduce" in text and _DIVIDED.search(text) for text in texts):
        raise NoPlaceError("a reduced value is divided by the number of GPUs of one node")
    for level in levels:
        if level.index is not None and _OBJECT.match(level.index) and level.roles.device:
            _refuse_a_shared_field(draft, levels, level)
    if any(
        "Barrier" in module.words
        for module in {id(level.facts.module): level.facts.module for level in levels}.values()
    ):
        raise NoPlaceError("its processes also wait for each other with a Barrier of one node")


# Before 2 nodes the processes of one node were all there are.
_DIVIDED = re.compile(r"/=?\s*torch\.cuda\.device_count\(\)")
_OBJECT = re.compile(r"\w+[.\[]")


def _refuse_a_shared_field(draft: Draft, levels: Sequence[Level], level: Level) -> None:
    """A field that is the rank here and a device there: who reads it elsewhere would be left with the local rank."""
    assert level.index is not None
    inside = {id(one.facts.node) for one in levels}
    for module in draft.program.modules:
        for facts in module.functions.values():
            own = not level.index.startswith("self.") or facts.cls is level.facts.cls
            if id(facts.node) not in inside and own and roles(draft.program, facts, level.index).whole_job:
                raise NoPlaceError(f"{level.index} is a rank and a device, and {facts.qualified}() reads it, too")


def _is_file(value: Value) -> bool:
    return isinstance(value, Const) and isinstance(value.value, str) and value.value.startswith("file:")


def _where_both_are_known(levels: Sequence[Level]) -> int:
    """The outermost function from which on only the global rank is handed down to the process group."""
    for at, _ in enumerate(levels[:-1]):
        below = levels[at + 1]
        if levels[at].index is not None and below.index is not None and not below.roles.device:
            return at
    return len(levels) - 1


class _Worker:
    """The function that gets the lines, and those above it."""

    def __init__(
        self, draft: Draft, group: Group, levels: Sequence[Level], at: int, world_is_wrong: bool, given: Origin
    ) -> None:
        self.draft = draft
        self.group = group
        self.levels = levels
        count = group.event.context[-1].count
        same = count is not None and any(size.id == count.value.id for size in self._sizes())
        self.rank_is_wrong = group.rank is None or group.rank_failure is not None
        self.world_is_wrong = world_is_wrong or same
        self.given = given
        self.each = ""
        self.move_to(at)

    def move_to(self, at: int) -> None:
        """Let this level get the lines."""
        self.at = at
        self.level = self.levels[at]
        self.frame = self.level.frame
        self.taken = names_in(self.level.facts.node)
        # what the process group is started by, from here: the call of the next function, or the start itself
        below = self.levels[at + 1].frame.call if at + 1 < len(self.levels) else None
        self.starts = below.node if below is not None else self.group.event.node

    def write(self) -> None:
        if self.level.index is None and self.rank_is_wrong:
            raise NoPlaceError("the local rank has no name where the global one is needed")
        own = self._own_rank() if self.rank_is_wrong else None
        formula = self._own_formula() if own else None
        uses = list(self.level.roles.here) if self.rank_is_wrong and not own else []
        stored = [] if "world_size" in self.group.event.arguments else [self._world_given().node]
        known = [node for node in stored if self.world_is_wrong and holds_any(self.level.body, node)]
        wanted = [*(use.node for use in uses), *known, *([formula] if formula else []), self.starts]
        place = Origin(self.level.facts.module, first_statement(self.level.body, wanted))
        if self.world_is_wrong:
            # whoever reads the size above would go on with that of one node
            params = set(job.parameters(self.level.facts))
            names = [name for name in self._world_names(place) if _owner(name) in params]
            rank = self._rank()
            formula_node = rank.origin.node if rank is not None and rank.origin is not None else None
            wanted += [
                use.node
                for name in names
                for use in uses_in(self.level.body, name)
                if not any(node is formula_node for node in use.around)
            ]
            place = Origin(self.level.facts.module, first_statement(self.level.body, wanted))
        known_names = list(job.held(self.frame, *self._indices(), at=place))
        if self.rank_is_wrong and self.level.index not in known_names:
            raise NoPlaceError("the local rank has no name yet where the global one is needed")
        lines = self._world_lines(place)
        if self.rank_is_wrong:
            name = own or self._new("global_rank")
            before, code = self._rank_lines(place)
            lines += before if formula else [*before, f"{name} = {code}"]
            if isinstance(formula, cst.Assign):
                self.draft.replace(Origin(self.level.facts.module, formula.value), code)
            elif formula is not None:
                self.draft.replace(Origin(self.level.facts.module, formula), f"{own} = {code}")
            for use in uses:
                self.draft.replace(Origin(self.level.facts.module, use.node), name)
            if not own and self._other_rank():
                self.draft.replace(self.given, name)
            self._give("rank", name)
        self.draft.before(place, *lines)
        carried = self._sizes() if self.world_is_wrong else []
        later = Afterwards(self.draft, self.levels, self.at, self.starts, carried, self._right_formula())
        later.write(self.rank_is_wrong)

    # -- the lines ----------------------------------------------------------------------------------------------

    def _world_lines(self, place: Origin) -> list[str]:
        """The world size, and on the way there the counts that the rank needs too."""
        worlds = self._world_names(place) if self.world_is_wrong else []
        spawn = self.group.event.context[-1]
        starter = next((one for one in reversed(self.group.event.frames) if not one.context), None)
        each = job.processes_per_node(self.draft, self.frame, spawn, starter, place, worlds)
        if each is None:
            raise NoPlaceError("how many processes are started is not known in the worker")
        lines: list[str] = []
        nnodes = job.nnodes(self.draft, self.frame, place) if self.world_is_wrong else ""
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
            self._keep_devices(worlds, each)
        elif self.world_is_wrong and "world_size" not in given and self.group.world_size is None:
            self._give("world_size", f"{nnodes} * {each}")
        elif self.world_is_wrong:
            lines += self._write_world(f"{nnodes} * {each}", each, place)
        return lines

    def _rank_lines(self, place: Origin) -> tuple[list[str], str]:
        """The formula of the global rank, and what it needs first."""
        lines: list[str] = []
        node_rank = job.node_rank(self.draft, self.frame, place)
        if "(" in node_rank:
            lines.append(f"{self._new('node_rank')} = {node_rank}")
            node_rank = self._new("node_rank")
        return lines, f"{node_rank} * {self.each} + {self.level.index}"

    def _give(self, name: str, code: str) -> None:
        """One more argument for a start that nobody told its rank or world size."""
        value = self.group.rank if name == "rank" else self.group.world_size
        if name in self.group.event.arguments or value is not None:
            return
        if self.at != len(self.levels) - 1:
            raise NoPlaceError("the start has no argument for it where the local rank is known")
        self.draft.append_argument(Origin(self.group.event.module, self.group.event.node), f"{name}={code}")

    def _keep_devices(self, worlds: Sequence[str], each: str) -> None:
        """Arithmetic that makes a GPU index out of the old count goes on with that of one node."""
        for name in worlds:
            for use in uses_in(self.level.body, name):
                if about(self.draft.program, self.level.facts, use, self.level.body) is Kind.LOCAL:
                    self.draft.replace(Origin(self.level.facts.module, use.node), each)

    def _new(self, name: str) -> str:
        """A name that the function does not use yet."""
        for candidate in (name, f"{name}_", f"job_{name}"):
            if candidate not in self.taken:
                return candidate
        raise NoPlaceError(f"the name {name} is taken")

    def _world_names(self, place: Origin) -> list[str]:
        """The names of this function that carry the world size to the process group; they come to mean all nodes."""
        way = self.starts if self.at + 1 < len(self.levels) else self._world_given().node
        written = _written(way)
        carrying = list(job.held(self.frame, *self._sizes(), at=place))
        # `connect(args)` hands on every field, and so does `self.connect()`
        found = [
            self._source(name, carrying)
            for name in carrying
            if name in written or (way is self.starts and _owner(name) in written and _owner(name) != name)
        ]
        others = [name for name in carrying if not _OF_ONE_NODE.search(name)]
        return list(dict.fromkeys([*found, *(others if found else ())]))

    def _source(self, name: str, carrying: Sequence[str]) -> str:
        """The name that ``args.world_size = world_size`` in this function takes it from."""
        for node in everything_in(self.level.facts.node.body):
            if isinstance(node, cst.Assign) and spelling(node.targets[0].target) == name:
                taken_from = spelling(node.value)
                return taken_from if taken_from in carrying else name
        return name

    def _world_given(self) -> Origin:
        return self.draft.program.written_at(self.group, "world_size", "WORLD_SIZE")

    def _sizes(self) -> list[Value]:
        """The world size as it is given, and as it is in the failure."""
        size = self.group.world_size
        return [] if size is None else [size, self.group.chosen(self.group.world_failure, size)]

    def _write_world(self, code: str, each: str, place: Origin) -> list[str]:
        """Where the process group is told a size that no variable of the function carries: the product itself, or a
        variable for it if the function says the same (a constant of the module) in more places."""
        given = self._world_given()
        stored = "world_size" not in self.group.event.arguments
        if self.at != len(self.levels) - 1:
            given, stored = self._handed_world(), False
        elif given.node is self.group.event.node:
            raise NoPlaceError("the world size is made where the number of nodes is not known")
        core = given.node
        if stored and isinstance(core, cst.Call) and len(core.args) == 1:
            core, stored = core.args[0].value, False  # str(WORLD_SIZE)
        given = Origin(given.module, core)
        written = spelling(core)
        places = [use for use in uses_in(self.level.body, written) if use.node is not core] if written else []
        if isinstance(core, cst.Integer):
            places = [use for use in replica_counts(self.level.body) if _same_number(use.node, core)]
        if written:
            self._refuse_elsewhere(written)
        if not places:
            self.draft.replace(given, f"str({code})" if stored else code)
            return []
        line = self.level.facts.module.positions.line
        if any(line(use.node) < line(place.node) for use in places):
            raise NoPlaceError(f"{written} is also read before the number of nodes is known")
        name = self._new("world_size")
        self.draft.replace(given, name)
        for use in places:
            meant = about(self.draft.program, self.level.facts, use, self.level.body)
            self.draft.replace(Origin(self.level.facts.module, use.node), each if meant is Kind.LOCAL else name)
        return [f"{name} = {code}"]

    def _refuse_elsewhere(self, written: str) -> None:
        """A constant that other functions of the worker read, too, cannot mean all nodes in one of them only."""
        known = {id(frame.facts.node) for frame in self.group.event.frames if frame.facts is not None}
        for facts in self.level.facts.module.functions.values():
            if id(facts.node) in known or facts.outer is not None or _owner(written) in names_bound_in(facts.node):
                continue
            if uses_in(facts.node.body.body, written):
                raise NoPlaceError(f"{written} is the world size in {facts.qualified}(), too")

    def _handed_world(self) -> Origin:
        """The argument of the call towards the start that becomes the world size."""
        below = self.levels[self.at + 1]
        for arg, name in arguments(self.starts, below.facts):
            known = below.frame.names.get(name)
            if known is not None and any(known.id == size.id for size in self._sizes()):
                return Origin(self.level.facts.module, arg.value)
        raise NoPlaceError("the world size is made where the number of nodes is not known")

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
        if not computed or not written or self.at != len(self.levels) - 1:
            return None
        return written if written.partition(".")[0] in names_bound_in(self.level.facts.node) else None

    def _own_formula(self) -> cst.Assign | cst.AugAssign | None:
        """The statement that makes the wrong formula under that name: it gets the right one."""
        rank = self._rank()
        node = rank.origin.node if rank is not None and rank.origin is not None else None
        for one in everything_in(self.level.facts.node.body):
            if isinstance(one, cst.AugAssign) and one is node and dotted_name(one.target) == self._own_rank():
                return one
            if isinstance(one, cst.Assign) and one.value is node:
                return one if dotted_name(one.targets[0].target) == self._own_rank() else None
        return None

    def _other_rank(self) -> bool:
        """Whether the rank is given as something that the local rank has no part in, such as a constant."""
        if "rank" not in self.group.event.arguments or self._is_index():
            return False
        if any(self._is_given(use) for level in self.levels for use in level.roles.here):
            return False
        if self.at != len(self.levels) - 1:
            raise NoPlaceError("the rank is given where the local rank is not known")
        return True

    def _is_given(self, use: Use) -> bool:
        return any(node is self.given.node for node in (use.node, *use.around))


def _same_number(one: cst.CSTNode, two: cst.Integer) -> bool:
    return isinstance(one, cst.Integer) and one.evaluated_value == two.evaluated_value


def _is_name(code: str) -> bool:
    return all(part.isidentifier() for part in code.split("."))


def _owner(name: str) -> str:
    """``args`` of ``args.world_size``."""
    return re.split(r"[.\[]", name)[0]


# A name that says it counts one node.
_OF_ONE_NODE = re.compile(r"per_?node|local|gpu|device", re.I)


def _written(root: cst.CSTNode) -> set[str]:
    """Every name and ``args.name`` that is read in an expression."""
    found: set[str] = set()
    stack = [root]
    while stack:
        node = stack.pop()
        found.add(spelling(node))
        stack.extend([node.value] if isinstance(node, (cst.Arg, cst.Attribute)) else children(node))
    return found
