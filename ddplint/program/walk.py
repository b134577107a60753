"""One traversal for all visitors: a small dispatcher over LibCST nodes.

LibCST's own ``visit`` descends into whitespace, commas and parentheses and rebuilds nodes on the way; on a training
script it costs about as much as the parse. This one looks only at the fields that hold code, and calls the bound
``visit_<Node>`` / ``leave_<Node>`` methods that the visitors really define.
"""

from __future__ import annotations

import dataclasses
import operator
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import libcst as cst

# Fields that never lead to code that ddplint reads: layout, punctuation and operators without operands.
_LAYOUT = frozenset(
    "lpar rpar lbracket rbracket lbrace rbrace comma colon semicolon dot equal star newline indent header footer "
    "leading_lines lines_after_decorators lines_after_module_docstring trailing_whitespace empty_lines operator "
    "asynchronous lines_before_else default_newline default_indent has_trailing_newline encoding".split()
)


@cache
def code_fields(kind: type[cst.CSTNode]) -> tuple[str, ...]:
    """The fields of a node type that may hold code, in source order as far as LibCST declares them so."""
    return tuple(
        field.name
        for field in dataclasses.fields(kind)
        if field.name not in _LAYOUT and "whitespace" not in field.name and field.type not in (str, bool)
    )


def children(node: cst.CSTNode) -> list[cst.CSTNode]:
    """The parts of a node that hold code."""
    parts = _parts(type(node))
    if parts is None:
        return []
    found: list[cst.CSTNode] = []
    for part in parts(node):
        if part.__class__ in _NOT_CODE:
            continue
        if part.__class__ is tuple or part.__class__ is list:
            found.extend(part)
        else:
            found.append(part)
    return found


def everything_in(root: cst.CSTNode) -> list[cst.CSTNode]:
    """``root`` and all nodes of code in it."""
    found: list[cst.CSTNode] = []
    stack = [root]
    while stack:
        node = stack.pop()
        found.append(node)
        stack.extend(children(node))
    return found


_NOT_CODE = frozenset((type(None), cst.MaybeSentinel, str, bool))

_Handler = Callable[[cst.CSTNode], object]
_Plan = tuple[list[_Handler], "Callable[[cst.CSTNode], Sequence[Any]] | None", list[_Handler]]


def walk(root: cst.CSTNode, visitors: Sequence[cst.CSTVisitor]) -> None:
    """Visit every code node below ``root`` once, for all ``visitors`` together.

    A ``visit_*`` method that returns False keeps its own visitor's ``leave_*`` but not the traversal out of the node.
    """
    plans: dict[type, _Plan] = {}

    def handlers(kind: type, prefix: str) -> list[_Handler]:
        # CSTVisitor defines an empty method for every node type: calling those would double the cost
        name = prefix + kind.__name__
        return [
            getattr(visitor, name)
            for visitor in visitors
            if getattr(type(visitor), name, None) is not getattr(cst.CSTVisitor, name, None)
        ]

    def plan(kind: type[cst.CSTNode]) -> _Plan:
        enter, leave = handlers(kind, "visit_"), handlers(kind, "leave_")
        made = plans[kind] = (enter, _parts(kind), leave)
        return made

    def step(node: cst.CSTNode) -> None:
        kind = type(node)
        enter, parts, leave = plans.get(kind) or plan(kind)
        for call in enter:
            call(node)
        if parts is not None:
            for part in parts(node):
                if part.__class__ in _NOT_CODE:
                    continue
                if part.__class__ is tuple or part.__class__ is list:
                    for item in part:
                        step(item)
                else:
                    step(part)
        for call in leave:
            call(node)

    step(root)


@cache
def _parts(kind: type[cst.CSTNode]) -> Callable[[cst.CSTNode], Sequence[Any]] | None:
    """Reads all code fields of a node at once; None for a leaf."""
    names = code_fields(kind)
    if not names:
        return None
    get = operator.attrgetter(*names)
    return get if len(names) > 1 else lambda node: (get(node),)
