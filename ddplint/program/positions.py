"""Where the nodes of a tree stand in their file, found only when somebody asks.

LibCST nodes do not know their positions: they follow from generating the code of the whole module, which costs more
than parsing it did. A finding needs the position of a node or two. So only the code of the line or header that holds
a node is generated. If it occurs once in the file, that is where it stands; otherwise Python's own parser, which is
quick, says where every statement starts. Where it cannot (syntax newer than the running Python), the code of the
whole module is generated after all.

The positions are those of ``libcst.metadata.PositionProvider``: without the whitespace and comments around a node,
and without the parentheses around an expression. What LibCST drops from a file (a form feed or a backslash before a
statement) shifts the positions of the provider, but not these.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import libcst as cst
from libcst._nodes.internal import CodegenState

from ddplint.findings import Position, Span
from ddplint.program.pieces import CLAUSES, Piece, Pieces
from ddplint.program.statement_starts import statement_starts

_Place = tuple[int, int]  # line from 1, column from 0 in characters

_NEWLINE = re.compile(r"\r\n?|\n")
# Where the code of a line or header ends. An If below the header is an elif, which has a header of its own.
_BEYOND = frozenset({cst.IndentedBlock, cst.If, *CLAUSES})


class Positions:
    """The positions of the nodes of one module; nothing is computed before the first question.

    ``text`` is what ``tree`` was parsed from. Expressions, statements, clauses and suites are cheap to ask for;
    the module itself, operators, punctuation and whitespace may cost the code of the whole module.
    """

    def __init__(self, tree: cst.Module, text: str) -> None:
        self._tree = tree
        self._text = text.removeprefix("\ufeff")  # LibCST does not count a byte order mark either
        self._pieces = Pieces(tree)
        self._places: dict[int, tuple[_Place, _Place]] = {}
        self._recorders: dict[int, _Recorder] = {}
        self._complete = False

    def span(self, node: cst.CSTNode) -> Span:
        """Where ``node`` stands. Raises KeyError for a node that is not part of the tree."""
        (line, column), (end_line, end_column) = self._place(node)
        return Span(Position(line, column + 1), Position(end_line, end_column + 1))

    def spans(self, nodes: Iterable[cst.CSTNode]) -> dict[int, Span]:
        """The spans of several nodes, by their ``id``. Raises KeyError for a node that is not part of the tree."""
        return {id(node): self.span(node) for node in nodes}

    def line(self, node: cst.CSTNode) -> int:
        """The line on which ``node`` starts. Raises KeyError for a node that is not part of the tree."""
        return self._place(node)[0][0]

    def statement_span(self, node: cst.CSTNode) -> Span:
        """The whole of the innermost statement that holds ``node``: the node itself, if it is a statement.

        For a node in the header of a compound statement that includes the bodies. Raises KeyError for a node that is
        not part of the tree or not of a statement (the module), and for operators, punctuation and whitespace.
        """
        located = self._pieces.locate(node)
        if located is None:
            raise KeyError(node)
        return self.span(located.statement)

    def statement_line(self, node: cst.CSTNode) -> Piece | None:
        """The line of small statements, or the header, in which ``node`` is written, with what is around it."""
        located = self._pieces.locate(node)
        return located.piece if located is not None else None

    def _place(self, node: cst.CSTNode) -> tuple[_Place, _Place]:
        place = self._places.get(id(node))
        if place is None:
            place = self._places[id(node)] = self._find(node)
        return place

    def _find(self, node: cst.CSTNode) -> tuple[_Place, _Place]:
        if id(node) not in self._recorders and not self._complete:
            located = self._pieces.locate(node)
            if located is None:
                self._record_all()
            elif isinstance(node, cst.IndentedBlock):
                return self._place(node.body[0])[0], self._place(node.body[-1])[1]
            else:
                self._record(located.piece)
                if id(node) not in self._recorders:  # too deep in an expression for LibCST to generate
                    start, _ = self._recorders[id(located.piece.root)].place(located.piece.root)
                    return start, start
        start, end = self._recorders[id(node)].place(node)
        return start, end or self._place(_last_statement(node))[1]

    def _record(self, piece: Piece) -> None:
        recorder = _Recorder(self._tree, piece)
        try:
            if piece.elif_:
                piece.root._codegen(recorder, is_elif=True)
            else:
                piece.root._codegen(recorder)
        except (_EndOfPiece, RecursionError):
            pass
        anchor_place = self._search("".join(recorder.tokens[recorder.anchor_token :])) or self._ask_python(piece.anchor)
        if anchor_place is None:
            self._record_all()
        else:
            recorder.move_anchor(anchor_place)
            self._recorders.update(dict.fromkeys([id(piece.root), *recorder.found], recorder))

    def _record_all(self) -> None:
        recorder = _Recorder(self._tree, None)
        self._tree._codegen(recorder)
        self._recorders = dict.fromkeys(recorder.found, recorder) | self._recorders
        self._complete = True

    def _search(self, code: str) -> _Place | None:
        text = self._generated
        at = text.find(code) if code else -1
        if at < 0 or text.find(code, at + 1) >= 0:
            return None
        return text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at) - 1

    @cached_property
    def _generated(self) -> str:
        """The code that LibCST would generate for the module; empty where it may differ within a statement.

        A search must find the place where a piece stands, or else its only copy elsewhere would be taken for it.
        """
        if "\f" in self._text or self._text.count("\r") != self._text.count("\r\n"):
            return ""
        return self._text if self._tree.has_trailing_newline else self._text + self._tree.default_newline

    def _ask_python(self, anchor: cst.CSTNode) -> _Place | None:
        start = self._python_starts.get(id(anchor))
        if start is None:
            return None
        line, offset = start
        if not self._text.isascii():
            offset = len(_NEWLINE.split(self._text, line)[line - 1].encode(errors="replace")[:offset].decode())
        return line, offset

    @cached_property
    def _python_starts(self) -> dict[int, tuple[int, int]]:
        return statement_starts(self._tree, self._text) or {}


def _last_statement(node: Any) -> cst.CSTNode:
    """The small statement with which a compound statement or a clause ends."""
    last: cst.CSTNode = node
    while not isinstance(last, cst.BaseSmallStatement):
        if isinstance(last, cst.Match):
            last = last.cases[-1]
        elif isinstance(last, (cst.BaseSuite, cst.SimpleStatementLine)):
            last = last.body[-1]
        else:
            parts = (getattr(last, name, None) for name in ("finalbody", "orelse", "handlers", "body"))
            part = next(part for part in parts if part)
            last = part if isinstance(part, cst.CSTNode) else part[-1]
    return last


class _EndOfPiece(Exception):
    """All code of a piece has been generated."""


class _Recorder(CodegenState):
    """Generates the code of a piece, or of the whole module, and notes where in it the nodes stand."""

    def __init__(self, tree: cst.Module, piece: Piece | None) -> None:
        super().__init__(tree.default_indent, tree.default_newline)
        self._root = piece.root if piece else None
        self._anchor = piece.anchor if piece else None
        self.indent_tokens.extend(piece.indents if piece else ())
        self._here: _Place = 1, 0
        self._open: list[_Place] = []
        self._root_start: _Place = 1, 0
        self._anchor_start: _Place | None = None
        self._moved = 0, 0
        self.anchor_token = 0
        self.found: dict[int, tuple[_Place, _Place]] = {}

    def move_anchor(self, place: _Place) -> None:
        """Let all positions follow from the one of the anchor."""
        assert self._anchor_start is not None
        line, column = self._anchor_start
        self._moved = place[0] - line, place[1] - column

    def place(self, node: cst.CSTNode) -> tuple[_Place, _Place | None]:
        """The start and the end of a node; no end for the root of a piece that goes on beyond the piece."""
        if id(node) in self.found:
            start, end = self.found[id(node)]
            return self._move(start), self._move(end)
        return self._move(self._root_start), None

    def _move(self, place: _Place) -> _Place:
        line, column = place
        down, right = self._moved
        on_anchor_line = self._anchor_start is not None and line == self._anchor_start[0]
        return line + down, column + right if on_anchor_line else column

    def add_indent_tokens(self) -> None:
        for token in self.indent_tokens:
            self.add_token(token)

    def add_token(self, value: str) -> None:
        self.tokens.append(value)
        line, column = self._here
        if "\n" in value or "\r" in value:
            lines = _NEWLINE.split(value)
            self._here = line + len(lines) - 1, len(lines[-1])
        else:
            self._here = line, column + len(value)

    def before_codegen(self, node: cst.CSTNode) -> None:
        if type(node) in _BEYOND and self._anchor_start is not None:
            raise _EndOfPiece
        self._open.append(self._here)

    def after_codegen(self, node: cst.CSTNode) -> None:
        start = self._open.pop()
        if id(node) not in self.found:
            self.found[id(node)] = start, self._here

    @contextmanager
    def record_syntactic_position(
        self, node: cst.CSTNode, *, start_node: cst.CSTNode | None = None, end_node: cst.CSTNode | None = None
    ) -> Iterator[None]:
        start = self._here
        if node is self._root:
            self._root_start = start
        if node is self._anchor:
            self._anchor_start = start
            self.anchor_token = len(self.tokens)
            if node is not self._root and isinstance(node, cst.BaseStatement):
                raise _EndOfPiece  # the first line below an else, with which the piece has no more to do
        yield
        end = self._here
        if start_node is not None:
            start = self.found[id(start_node)][0]
        if end_node is not None:
            end = self.found[id(end_node)][1]
        self.found[id(node)] = start, end
