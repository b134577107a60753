"""The way from the start of a process to its process group: the functions on it, and places in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import libcst as cst

from ddplint.program.events import Frame
from ddplint.program.group import Group
from ddplint.program.module import FunctionFacts, Module
from ddplint.program.values import Origin
from ddplint.program.walk import everything_in
from ddplint.repairs.draft import Draft, NoPlaceError
from ddplint.repairs.roles import Roles


@dataclass(slots=True)
class Level:
    """One function on the way from the start of a process to its process group; ``index`` names its local rank."""

    frame: Frame
    facts: FunctionFacts
    index: str | None
    roles: Roles = field(default_factory=Roles)

    @property
    def body(self) -> Sequence[cst.CSTNode]:
        return self.facts.node.body.body


@dataclass(slots=True)
class Way:
    """The functions that lead to one start of a process group, outermost first; ``at`` is the one that is repaired."""

    draft: Draft
    group: Group
    levels: Sequence[Level]
    at: int

    @property
    def level(self) -> Level:
        """The function that is repaired."""
        return self.levels[self.at]

    @property
    def is_last(self) -> bool:
        """Whether that function starts the group itself."""
        return self.at == len(self.levels) - 1

    @property
    def starts(self) -> cst.CSTNode:
        """What starts the group, as that function sees it: the call of the next one, or the start itself."""
        below = None if self.is_last else self.levels[self.at + 1].frame.call
        return below.node if below is not None else self.group.event.node

    def origin(self, node: cst.CSTNode) -> Origin:
        """A node of the repaired function, as an origin."""
        return Origin(self.level.facts.module, node)


def statements_after(
    body: Sequence[cst.CSTNode], node: cst.CSTNode
) -> tuple[cst.CSTNode, Sequence[cst.CSTNode]] | None:
    """The statement of ``body`` that ``node`` is written in, and those after it; None if it is in a block inside."""
    for position, statement in enumerate(body):
        if holds(statement, {id(node)}):
            return (statement, body[position + 1 :]) if isinstance(statement, cst.SimpleStatementLine) else None
    return None


def holds(root: cst.CSTNode, wanted: set[int]) -> bool:
    """Whether one of the nodes, by ``id``, is in ``root``."""
    return any(id(node) in wanted for node in everything_in(root))


def holds_any(roots: Sequence[cst.CSTNode], node: cst.CSTNode) -> bool:
    """Whether a node is in one of the ``roots``."""
    return any(holds(root, {id(node)}) for root in roots)


def first_statement(body: Sequence[cst.CSTNode], nodes: Sequence[cst.CSTNode]) -> cst.CSTNode:
    """The first statement with one of the nodes in it, in the innermost block that holds all of them."""
    wanted = {id(node) for node in nodes}
    while True:
        holding = [statement for statement in body if holds(statement, wanted)]
        if not holding:
            raise NoPlaceError("the start of the process group is not in this function")
        inner = _only_block(holding[0], wanted) if len(holding) == 1 else None
        if inner is None:
            return holding[0]
        body = inner


def _only_block(statement: cst.CSTNode, wanted: set[int]) -> Sequence[cst.CSTNode] | None:
    """The body of an ``if`` or ``with`` that holds all of the nodes."""
    if not isinstance(statement, (cst.If, cst.With)) or not isinstance(statement.body, cst.IndentedBlock):
        return None
    below = {id(node) for node in everything_in(statement.body)}
    return statement.body.body if wanted <= below else None


def where_both_are_known(levels: Sequence[Level]) -> int:
    """The outermost function from which on only the global rank is handed down to the process group."""
    for at, below in enumerate(levels[1:]):
        if levels[at].index is not None and below.index is not None and not below.roles.device:
            return at
    return len(levels) - 1


def top_level(module: Module) -> FunctionFacts:
    """The top level of a module in the form of a function, made of the same statements."""
    node = cst.FunctionDef(
        name=cst.Name("module"), params=cst.Parameters(), body=cst.IndentedBlock(body=list(module.tree.body))
    )
    return FunctionFacts(module, node, "module", None, None)
