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
from dataclasses import dataclass, field

import libcst as cst

from ddplint.program.events import Frame
from ddplint.program.group import Group
from ddplint.program.module import FunctionFacts
from ddplint.program.values import Const, Origin, Value
from ddplint.program.walk import children
from ddplint.repairs import job
from ddplint.repairs.draft import Draft, NoPlaceError, names_bound_in
from ddplint.repairs.roles import Roles, only_called_from, roles
from ddplint.repairs.uses import Use, handed, uses_in


@dataclass(slots=True)
class _Level:
    """One function on the way from the start of a worker to its process group; ``index`` is its local rank."""

    frame: Frame
    facts: FunctionFacts
    index: str | None
    roles: Roles = field(default_factory=Roles)

    @property
    def body(self) -> Sequence[cst.CSTNode]:
        return self.facts.node.body.body


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
    levels = [
        _Level(frame, frame.facts, next(job.held(frame, spawn.index), None))
        for frame in group.event.frames
        if len(frame.context) == 1 and frame.facts is not None
    ]
    if not levels:
        raise NoPlaceError("the worker is not known")
    for level in levels:
        if level.index is not None:
            level.roles = roles(draft.program, level.facts, level.index, (given.node,), level.frame.names)
    return _Worker(draft, group, levels, _where_both_are_known(levels), world_is_wrong, given)


def _where_both_are_known(levels: Sequence[_Level]) -> int:
    """The outermost function from which on only the global rank is handed down to the process group."""
    for at, _ in enumerate(levels[:-1]):
        below = levels[at + 1]
        if levels[at].index is not None and below.index is not None and not below.roles.device:
            return at
    return len(levels) - 1


class _Worker:
    """The function that gets the lines, and those above it."""

    def __init__(
        self, draft: Draft, group: Group, levels: Sequence[_Level], at: int, world_is_wrong: bool, given: Origin
    ) -> None:
        self.draft = draft
        self.group = group
        self.levels = levels
        self.world_is_wrong = world_is_wrong
        self.given = given
        self.move_to(at)

    def move_to(self, at: int) -> None:
        """Let this level get the lines."""
        self.at = at
        self.level = self.levels[at]
        self.frame = self.level.frame
        self.taken = names_bound_in(self.level.facts.node) | self.level.facts.words
        # what the process group is started by, from here: the call of the next function, or the start itself
        below = self.levels[at + 1].frame.call if at + 1 < len(self.levels) else None
        self.starts = below.node if below is not None else self.group.event.node

    def write(self) -> None:
        if self.level.index is None:
            raise NoPlaceError("the local rank has no name where the global one is needed")
        uses = list(self.level.roles.here)
        constant = self._constant_rank()
        first = self._first_statement([use.node for use in uses] + [self.starts])
        place = Origin(self.level.facts.module, first)
        lines, rank = self._lines(place)
        self.draft.before(place, *lines)
        for use in uses:
            self.draft.replace(Origin(self.level.facts.module, use.node), rank)
        if constant:
            self.draft.replace(self.given, rank)
        self._give_missing(rank)
        self._after_the_start()

    # -- the lines ----------------------------------------------------------------------------------------------

    def _lines(self, place: Origin) -> tuple[list[str], str]:
        draft, frame = self.draft, self.frame
        count = self.group.event.context[-1].count
        assert count is not None
        each = job.processes_per_node(draft, frame, count.value, place)
        if each is None:
            raise NoPlaceError("how many processes are started is not known in the worker")
        lines: list[str] = []
        world = self._world_name() if self.world_is_wrong else None
        node_rank = job.node_rank(draft, frame, place)
        nnodes = job.nnodes(draft, frame, place) if self.world_is_wrong else ""
        if self.world_is_wrong and not nnodes.isidentifier() and "." not in nnodes.partition("(")[0]:
            lines.append(f"{self._new('nnodes')} = {nnodes}")
            nnodes = self._new("nnodes")
        if "(" in node_rank:
            lines.append(f"{self._new('node_rank')} = {node_rank}")
            node_rank = self._new("node_rank")
        rebound = world is not None and _WORLD.search(world) is not None
        if not _is_name(each) or (each == world and rebound):
            lines.append(f"{self._new('nproc_per_node')} = {each}")
            each = self._new("nproc_per_node")
        if world is not None and rebound:
            lines.append(f"{world} = {nnodes} * {each}")
        elif world is not None:
            # `n_gpus` goes on to be the number of one node
            lines.append(f"{self._new('world_size')} = {nnodes} * {each}")
            self._rename_world(world, self._new("world_size"))
        elif self.world_is_wrong:
            self._write_world(f"{nnodes} * {each}")
        rank = self._new("global_rank")
        lines.append(f"{rank} = {node_rank} * {each} + {self.level.index}")
        return lines, rank

    def _new(self, name: str) -> str:
        """A name that the function does not use yet."""
        for candidate in (name, f"{name}_", f"job_{name}"):
            if candidate not in self.taken:
                return candidate
        raise NoPlaceError(f"the name {name} is taken")

    def _world_name(self) -> str | None:
        """The parameter, or the field of one, that carries the world size through this function."""
        size = self._size()
        return next(job.held(self.frame, size), None) if size is not None else None

    def _size(self) -> Value | None:
        size = self.group.world_size
        return self.group.chosen(self.group.world_failure, size) if size is not None else None

    def _rename_world(self, old: str, new: str) -> None:
        """Hand on the new name where the old one was the world size."""
        argument = self.group.event.arguments.get("world_size")
        for use in uses_in(self.level.body, old):
            nodes = (use.node, *use.around)
            given = argument is not None and any(node is argument.node for node in nodes)
            if given or _is_world_argument(use, self.starts):
                self.draft.replace(Origin(self.level.facts.module, use.node), new)

    def _write_world(self, code: str) -> None:
        """Where the process group is started with a size that no name carries: the product itself."""
        argument = self.group.event.arguments.get("world_size")
        if argument is None or self.at != len(self.levels) - 1:
            raise NoPlaceError("the world size is made where the number of nodes is not known")
        self.draft.replace(Origin(self.group.event.module, argument.node), code)

    def _give_missing(self, rank: str) -> None:
        """``rank=`` and ``world_size=`` for a start that nobody told them."""
        return

    def _constant_rank(self) -> bool:
        """Whether the rank is given as something that the local rank has no part in."""
        argument = self.group.event.arguments.get("rank")
        if argument is None or any(use for level in self.levels for use in level.roles.here if self._is_given(use)):
            return False
        if self.at != len(self.levels) - 1:
            raise NoPlaceError("the rank is given where the local rank is not known")
        return True

    def _is_given(self, use: Use) -> bool:
        return any(node is self.given.node for node in (use.node, *use.around))

    def _first_statement(self, nodes: Sequence[cst.CSTNode]) -> cst.CSTNode:
        """The first statement of the function with one of the nodes in it."""
        wanted = {id(node) for node in nodes}
        for statement in self.level.body:
            if _holds(statement, wanted):
                return statement
        raise NoPlaceError("the start of the process group is not in this function")

    # -- after the start ----------------------------------------------------------------------------------------

    def _after_the_start(self) -> None:
        """Functions above, and those that are called later, ask torch for the rank."""
        inside: list[cst.CSTNode] = []
        for level, below in zip(self.levels[: self.at], self.levels[1:], strict=False):
            call = below.frame.call
            after = _statements_after(level.body, call.node) if call is not None else None
            if after is None:
                continue
            inside += after[1]
            self._ask_above(level, *after)
        after = _statements_after(self.level.body, self.starts)
        if after is not None:
            inside += after[1]
        for level in self.levels[: self.at + 1]:
            for _, target, name in level.roles.passed:
                if not any(target is one.facts for one in self.levels):
                    self._ask_in(target, name, inside)

    def _ask_above(self, level: _Level, call: cst.CSTNode, later: Sequence[cst.CSTNode]) -> None:
        below = {id(node) for root in later for node in _all(root)}
        uses = [use for use in level.roles.here if id(use.node) in below]
        module = level.facts.module
        place = Origin(module, call)
        lines: list[str] = []
        if uses:
            name = "global_rank"
            if name in level.facts.words:
                raise NoPlaceError(f"the name {name} is taken")
            lines.append(f"{name} = {self.draft.name(place, 'torch.distributed.get_rank')}()")
            for use in uses:
                self.draft.replace(Origin(module, use.node), name)
        size = self._size()
        carried = next(job.held(level.frame, size), None) if size is not None and self.world_is_wrong else None
        if carried is not None and uses_in(later, carried):
            lines.append(f"{carried} = {self.draft.name(place, 'torch.distributed.get_world_size')}()")
        if lines:
            self.draft.after(place, *lines)

    def _ask_in(self, facts: FunctionFacts, name: str, inside: Sequence[cst.CSTNode]) -> None:
        """A function that needs both: it keeps the local rank it is given, and asks for the global one."""
        if not only_called_from(self.draft.program, facts, inside):
            return
        found = roles(self.draft.program, facts, name)
        self._ask(facts, found.here)
        for attribute in found.attributes:
            assert facts.cls is not None
            for method in facts.cls.methods.values():
                self._ask(method, roles(self.draft.program, method, attribute).here)
        for _, target, inner in found.passed:
            self._ask_in(target, inner, [*inside, facts.node])

    def _ask(self, facts: FunctionFacts, uses: Sequence[Use]) -> None:
        for use in uses:
            place = Origin(facts.module, use.node)
            self.draft.replace(place, f"{self.draft.name(place, 'torch.distributed.get_rank')}()")


# A name that means all processes; anything else is taken for a count of one node.
_WORLD = re.compile(r"world|size|total|replicas", re.I)


def _is_world_argument(use: Use, starts: cst.CSTNode) -> bool:
    given = handed(use)
    if given is None:
        return False
    return given.call is starts or given.keyword in ("num_replicas", "world_size")


def _is_name(code: str) -> bool:
    return all(part.isidentifier() for part in code.split("."))


def _statements_after(
    body: Sequence[cst.CSTNode], node: cst.CSTNode
) -> tuple[cst.CSTNode, Sequence[cst.CSTNode]] | None:
    """The statement of ``body`` that ``node`` is written in, and those after it; None if it is in a block inside."""
    for position, statement in enumerate(body):
        if _holds(statement, {id(node)}):
            return (statement, body[position + 1 :]) if isinstance(statement, cst.SimpleStatementLine) else None
    return None


def _holds(root: cst.CSTNode, wanted: set[int]) -> bool:
    return any(id(node) in wanted for node in _all(root))


def _all(root: cst.CSTNode) -> list[cst.CSTNode]:
    found: list[cst.CSTNode] = []
    stack = [root]
    while stack:
        node = stack.pop()
        found.append(node)
        stack.extend(children(node))
    return found
