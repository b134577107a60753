"""Where the statements of a LibCST tree start, from Python's own parser, which is many times quicker than LibCST's."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import libcst as cst


def statement_starts(tree: cst.Module, text: str) -> dict[int, tuple[int, int]] | None:
    """The line and the offset in it (bytes of UTF-8) of every statement, by ``id``.

    These are lines of small statements, the small statements behind a colon, compound statements (at ``def`` and
    ``class``, not at the decorators) and except clauses. None if Python does not see the same statements as LibCST,
    which happens with syntax that is newer than the running Python.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # those about the user's code, such as an invalid escape
            module = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    starts: dict[int, tuple[int, int]] = {}
    pending: list[tuple[Sequence[cst.CSTNode], Sequence[Any]]] = [(tree.body, module.body)]
    while pending:
        body, twins = pending.pop()
        sizes = [len(node.body) if isinstance(node, cst.SimpleStatementLine) else 1 for node in body]
        if sum(sizes) != len(twins):
            return None
        seen = 0
        for node, size in zip(body, sizes, strict=True):
            twin = twins[seen]
            seen += size
            starts[id(node)] = twin.lineno, twin.col_offset
            if isinstance(node, cst.BaseCompoundStatement):
                if type(twin).__name__.removeprefix("Async") != type(node).__name__:
                    return None
                pending.extend(_bodies(node, twin))
                clauses = getattr(node, "handlers", ())
                starts.update(
                    (id(clause), (handler.lineno, handler.col_offset))
                    for clause, handler in zip(clauses, getattr(twin, "handlers", ()), strict=False)
                )
    return starts


def _bodies(node: Any, twin: Any) -> Iterator[tuple[Sequence[cst.CSTNode], Sequence[Any]]]:
    """The lists of statements in a compound statement, beside those that Python's parser has made of them."""
    if not isinstance(node, cst.Match):
        yield node.body.body, twin.body
    for clauses in "handlers", "cases":
        for clause, clause_twin in zip(getattr(node, clauses, ()), getattr(twin, clauses, ()), strict=False):
            yield clause.body.body, clause_twin.body
    for name in "orelse", "finalbody":
        clause = getattr(node, name, None)
        if isinstance(clause, cst.If):  # an elif, which Python's parser takes for an if in an else
            yield (clause,), twin.orelse
        elif clause is not None:
            yield clause.body.body, getattr(twin, name)
