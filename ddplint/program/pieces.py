"""Cuts a module into pieces of code that start on a line of their own, and says in which of them a node is written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import libcst as cst

from ddplint.program.walk import code_fields

CLAUSES = (cst.Else, cst.Finally, cst.ExceptHandler, cst.ExceptStarHandler, cst.MatchCase)

_BODIES = frozenset({"body", "orelse", "handlers", "finalbody", "cases"})


@dataclass(frozen=True, slots=True)
class Piece:
    """A line of small statements, or the header of a compound statement or clause with the small statements in it."""

    root: cst.CSTNode
    # The node whose start both LibCST and Python's parser know: the root, or for a clause that has no node of its own
    # in Python's tree (else, finally, case) its first statement.
    anchor: cst.CSTNode
    indents: tuple[str, ...]
    elif_: bool = False
    around: tuple[cst.CSTNode, ...] = ()  # the compound statements and clauses that hold it, outermost first


@dataclass(frozen=True, slots=True)
class Located:
    """The piece in which a node is written, and the innermost statement that holds the node."""

    piece: Piece
    statement: cst.CSTNode


@dataclass(frozen=True, slots=True)
class _Block:
    body: Sequence[cst.CSTNode]
    indents: tuple[str, ...]
    elif_: bool = False
    around: tuple[cst.CSTNode, ...] = ()


class Pieces:
    """The pieces of one module, which is looked through only as far as the questions go."""

    def __init__(self, tree: cst.Module) -> None:
        self._default_indent = tree.default_indent
        self._known: dict[int, Located] = {}
        self._pending = [_Block(tree.body, ())]

    def locate(self, node: cst.CSTNode) -> Located | None:
        """None for a node that is not part of a statement of the module, and for layout and punctuation."""
        while id(node) not in self._known and self._pending:
            self._enter_block(self._pending.pop())
        return self._known.get(id(node))

    def _enter_block(self, block: _Block) -> None:
        for statement in block.body:
            if isinstance(statement, cst.SimpleStatementLine):
                piece = Piece(statement, statement, block.indents, around=block.around)
                self._known[id(statement)] = Located(piece, statement)
                self._enter_small(statement, piece)
                continue
            self._enter_header(statement, statement, block.indents, block.around, block.elif_)
            around = (*block.around, statement)
            indents = (*block.indents, self._indent(statement)) if isinstance(statement, cst.Match) else block.indents
            for clause in _clauses(statement):
                if isinstance(clause, cst.If):
                    self._pending.append(_Block((clause,), indents, True, around))
                else:
                    self._enter_header(clause, statement, indents, around)

    def _enter_header(
        self,
        clause: cst.CSTNode,
        statement: cst.CSTNode,
        indents: tuple[str, ...],
        around: tuple[cst.CSTNode, ...],
        elif_: bool = False,
    ) -> None:
        suite = getattr(clause, "body", None)  # a match statement has none
        nameless = isinstance(clause, (cst.Else, cst.Finally, cst.MatchCase))
        piece = Piece(clause, suite.body[0] if nameless and suite else clause, indents, elif_, around)
        located = Located(piece, statement)
        self._enter(clause, located)
        if suite is not None:
            self._known[id(suite)] = located
        if isinstance(suite, cst.IndentedBlock):
            self._pending.append(_Block(suite.body, (*indents, self._indent(suite)), around=(*around, clause)))
        elif isinstance(suite, cst.SimpleStatementSuite):
            self._enter_small(suite, piece)

    def _enter_small(self, line: cst.SimpleStatementLine | cst.SimpleStatementSuite, piece: Piece) -> None:
        for small in line.body:
            self._enter(small, Located(piece, small))

    def _enter(self, root: cst.CSTNode, located: Located) -> None:
        known = self._known
        stack = [root]
        while stack:
            node = stack.pop()
            known[id(node)] = located
            for name in _FIELDS[type(node)]:
                part = getattr(node, name)
                kind = type(part)
                if kind is tuple or kind is list:
                    stack.extend(part)
                elif part is not None and kind is not str and kind is not cst.MaybeSentinel:
                    stack.append(part)

    def _indent(self, node: cst.IndentedBlock | cst.Match) -> str:
        return self._default_indent if node.indent is None else node.indent


def _clauses(statement: cst.CSTNode) -> Iterator[cst.CSTNode]:
    for name in "handlers", "cases":
        yield from getattr(statement, name, ())
    for name in "orelse", "finalbody":
        clause = getattr(statement, name, None)
        if clause is not None:
            yield clause


class _Fields(dict[type[cst.CSTNode], tuple[str, ...]]):
    """The fields of a node type that hold code, other than the bodies of compound statements and clauses."""

    def __missing__(self, kind: type[cst.CSTNode]) -> tuple[str, ...]:
        skipped = _BODIES if issubclass(kind, (cst.BaseCompoundStatement, *CLAUSES)) else frozenset()
        self[kind] = tuple(name for name in code_fields(kind) if name not in skipped)
        return self[kind]


_FIELDS = _Fields()
