"""What becomes of the result of a collective that works in place and returns None."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import libcst as cst

from ddplint.program.events import Event
from ddplint.program.imports import bound_names, dotted_name
from ddplint.program.program import Program
from ddplint.program.values import Origin
from ddplint.program.walk import children, everything_in

# The parameter that the result is written to; torch 2.13, torch/distributed/distributed_c10d.py. All of these return
# None unless async_op is true.
WRITTEN: Mapping[str, str | None] = {
    "torch.distributed.all_gather": "tensor_list",
    "torch.distributed.all_gather_into_tensor": "output_tensor",
    "torch.distributed.all_reduce": "tensor",
    "torch.distributed.all_to_all": "output_tensor_list",
    "torch.distributed.all_to_all_single": "output",
    "torch.distributed.barrier": None,
    "torch.distributed.broadcast": "tensor",
    "torch.distributed.gather": "gather_list",
    "torch.distributed.reduce": "tensor",
    "torch.distributed.reduce_scatter": "output",
    "torch.distributed.reduce_scatter_tensor": "output",
    "torch.distributed.scatter": "tensor",
}


@dataclass(frozen=True, slots=True)
class Used:
    """A call that returns None, and where that None is used as a value.

    ``target`` is what it is assigned to first. ``same``: that is what the collective has written its result to.
    """

    event: Event
    place: Origin
    target: str = ""
    same: bool = False


def used(program: Program) -> Iterator[Used]:
    """Results of in-place collectives that somebody uses as if they were tensors, each call once."""
    events = [event for event in program.events("call") if event.name in WRITTEN]
    # One place may be reached several times: by a wrapper that takes async_op it may be a Work once.
    other = {id(event.node) for event in events if not _returns_none(event)}
    seen: set[int] = set()
    for event in events:
        if event.discarded or id(event.node) in seen or id(event.node) in other:
            continue
        seen.add(id(event.node))
        found = _used(event)
        if found is not None:
            yield found


def _returns_none(event: Event) -> bool:
    if "open" in event.arguments or not isinstance(event.node, cst.Call):
        return False
    given = event.arguments.get("async_op")
    return given is None or (isinstance(given.node, cst.Name) and given.node.value == "False")


def _used(event: Event) -> Used | None:
    way = _way_to(event)
    if not way:
        return None
    child: cst.CSTNode = event.node
    for place, node in enumerate(way):
        if _passes_on(node, child):
            child = node
        elif isinstance(node, cst.Assign) and len(node.targets) == 1:
            return _assigned(event, node.targets[0].target)
        elif isinstance(node, cst.AnnAssign):
            return _assigned(event, node.target)
        elif _meaning(way[place:], child) is _Meaning.VALUE:
            return Used(event, Origin(event.module, event.node))
        else:
            return None
    return None


def _passes_on(node: cst.CSTNode, child: cst.CSTNode) -> bool:
    if isinstance(node, cst.BooleanOperation):
        return node.right is child  # `dist.barrier() or x` is a way to say two things in one expression
    return isinstance(node, cst.IfExp) and node.test is not child


def _assigned(event: Event, target: cst.BaseExpression) -> Used | None:
    name = dotted_name(target)
    if not name:
        return None
    same = name == _written(event)
    place = _later(event, name, same)
    if place is None and same and "." in name:
        place = _elsewhere(event, name)
    return Used(event, Origin(event.module, place), name, same) if place is not None else None


def _written(event: Event) -> str:
    """What the collective writes to, as the call says it."""
    argument = event.arguments.get(WRITTEN[event.name] or "")
    return dotted_name(argument.node) if argument is not None else ""


# -- after the assignment ----------------------------------------------------------------------------------------


class _Meaning(enum.Enum):
    """What a read of a name is about."""

    VALUE = "nothing but a value will do"
    CHECK = "None is asked for"
    HANDED = "handed on as it is"


def _meaning(around: tuple[cst.CSTNode, ...], child: cst.CSTNode) -> _Meaning:
    """What an expression is used for, by what is around it, innermost first."""
    node = around[0] if around else None
    if isinstance(node, cst.Comparison):
        operands = [node.left, *(target.comparator for target in node.comparisons)]
        none = any(isinstance(operand, cst.Name) and operand.value == "None" for operand in operands)
        return _Meaning.CHECK if none else _Meaning.VALUE
    if isinstance(node, cst.ComparisonTarget):
        return _meaning(around[1:], node)
    if isinstance(node, cst.Arg) and not node.star:
        call = around[1] if len(around) > 1 else None
        function = dotted_name(call.func) if isinstance(call, cst.Call) else ""
        return _Meaning.CHECK if function in ("isinstance", "hasattr", "getattr", "bool", "type") else _Meaning.VALUE
    if isinstance(node, cst.UnaryOperation):
        return _Meaning.CHECK if isinstance(node.operator, cst.Not) else _Meaning.VALUE
    if isinstance(node, (cst.If, cst.While, cst.Assert, cst.BooleanOperation, cst.IfExp)):
        return _Meaning.CHECK
    if isinstance(node, (cst.For, cst.CompFor)):
        return _Meaning.VALUE if node.iter is child else _Meaning.HANDED
    if isinstance(node, cst.Call):
        return _Meaning.VALUE if node.func is child else _Meaning.HANDED
    if isinstance(node, (cst.Attribute, cst.Subscript)):
        return _Meaning.VALUE if node.value is child else _Meaning.HANDED
    return _Meaning.VALUE if isinstance(node, _NEEDS_A_VALUE) else _Meaning.HANDED


_NEEDS_A_VALUE = (cst.Arg, cst.AugAssign, cst.Await, cst.BinaryOperation, cst.FormattedStringExpression, cst.Index)


class _Stop(Exception):
    """From here on nobody knows: the name is bound anew, or asked whether it is None."""


def _later(event: Event, name: str, same: bool) -> cst.CSTNode | None:
    """The first read of ``name`` after the statement of a call that needs a value, in the same function."""
    piece = event.module.positions.statement_line(event.node)
    if piece is None:
        return None
    root: cst.CSTNode = piece.root
    try:
        for holder in reversed((None, *piece.around)):
            body = tuple(event.module.tree.body) if holder is None else _body(holder)
            places = [index for index, one in enumerate(body) if one is root]
            for index in places:
                found = _first(body[index + 1 :], name, same)
                if found is not None:
                    return found
            if isinstance(holder, (cst.FunctionDef, cst.ClassDef)):
                return None
            if holder is not None:
                root = holder
    except _Stop:
        pass
    return None


def _body(node: cst.CSTNode) -> tuple[cst.CSTNode, ...]:
    suite = getattr(node, "body", None)
    return tuple(suite.body) if isinstance(suite, cst.BaseSuite) else ()


def _first(body: tuple[cst.CSTNode, ...], name: str, same: bool) -> cst.CSTNode | None:
    for statement in body:
        found = _read_in(statement, name, same)
        if found is not None:
            return found
    return None


def _read_in(statement: cst.CSTNode, name: str, same: bool) -> cst.CSTNode | None:
    """Reads come before what the statement binds. Raises _Stop where the name is bound."""
    if isinstance(statement, (cst.FunctionDef, cst.ClassDef)):
        if statement.name.value == name:
            raise _Stop
        return None
    if isinstance(statement, (cst.SimpleStatementLine, cst.BaseSuite)):
        return _first(tuple(statement.body), name, same)
    suites: list[cst.CSTNode] = []
    for node, around in _reads(statement, name, (), suites):
        meaning = _meaning(around, node)
        if meaning is _Meaning.VALUE or (same and meaning is _Meaning.HANDED):
            return node
        raise _Stop
    if _binds(statement, name):
        raise _Stop
    for suite in suites:
        found = _read_in(suite, name, same)
        if found is not None:
            return found
    return None


_CLAUSES = (cst.Else, cst.Finally, cst.ExceptHandler, cst.ExceptStarHandler, cst.MatchCase, cst.If)
_SCOPES = (cst.Lambda, cst.ListComp, cst.SetComp, cst.DictComp, cst.GeneratorExp)


def _reads(
    node: cst.CSTNode, name: str, around: tuple[cst.CSTNode, ...], suites: list[cst.CSTNode]
) -> Iterator[tuple[cst.CSTNode, tuple[cst.CSTNode, ...]]]:
    """Every read of a name in a simple statement or a header, with what is around it; the bodies go to ``suites``."""
    if isinstance(node, cst.BaseSuite) or (around and isinstance(node, _CLAUSES)):
        suites.append(node)
        return
    if dotted_name(node) == name:
        yield node, around
        return
    if isinstance(node, cst.Lambda):
        return  # called later, if at all
    parts = children(node)
    if isinstance(node, cst.AssignTarget) and isinstance(node.target, (cst.Name, cst.Attribute)):
        parts = (
            [node.target.value] if isinstance(node.target, cst.Attribute) and name != dotted_name(node.target) else []
        )
    elif isinstance(node, (cst.AnnAssign, cst.For, cst.NamedExpr)) and dotted_name(node.target) == name:
        parts = [part for part in parts if part is not node.target]
    elif isinstance(node, (cst.Attribute, cst.Arg)):
        parts = [node.value]
    elif isinstance(node, (cst.Import, cst.ImportFrom, cst.Global, cst.Nonlocal, cst.Del, cst.AsName)):
        return
    for part in parts:
        yield from _reads(part, name, (node, *around), suites)


def _binds(node: cst.CSTNode, name: str) -> bool:
    """Whether a simple statement or a header gives a name (or an attribute's owner) another value."""
    stack = [node]
    while stack:
        one = stack.pop()
        if isinstance(one, cst.BaseSuite) or (one is not node and isinstance(one, _CLAUSES)):
            continue
        targets: list[cst.CSTNode] = []
        if isinstance(one, (cst.AssignTarget, cst.AnnAssign, cst.AugAssign, cst.For, cst.NamedExpr, cst.Del)):
            targets = [one.target]
        elif isinstance(one, cst.AsName):
            targets = [one.name]
        elif isinstance(one, (cst.Import, cst.ImportFrom)):
            targets = [] if isinstance(one.names, cst.ImportStar) else [alias.name for alias in one.names]
        for target in targets:
            if any(name == bound or name.startswith(f"{bound}.") for bound in bound_names(target)):
                return True
        stack.extend(children(one))
    return False


def _elsewhere(event: Event, name: str) -> cst.CSTNode | None:
    """A read of ``self.loss`` that needs a value, in a method of the same class that does not bind it itself."""
    piece = event.module.positions.statement_line(event.node)
    around = piece.around if piece is not None else ()
    cls = next((node for node in reversed(around) if isinstance(node, cst.ClassDef)), None)
    facts = event.module.classes.get(id(cls))
    for method in facts.methods.values() if facts is not None else ():
        if method.node in around:
            continue
        nodes = everything_in(method.node.body)
        if any(isinstance(node, cst.AssignTarget) and name in bound_names(node.target) for node in nodes):
            continue
        for statement in nodes:
            if isinstance(statement, cst.BaseSmallStatement):
                for node, holders in _reads(statement, name, (), []):
                    if _meaning(holders, node) is _Meaning.VALUE:
                        return node
    return None


def _way_to(event: Event) -> tuple[cst.CSTNode, ...]:
    """What is around a call in its statement, innermost first."""
    piece = event.module.positions.statement_line(event.node)
    found = _way(piece.root, event.node) if piece is not None else None
    return tuple(reversed(found)) if found is not None else ()


def _way(root: cst.CSTNode, node: cst.CSTNode) -> list[cst.CSTNode] | None:
    if root is node:
        return []
    for part in children(root):
        if isinstance(part, (cst.IndentedBlock, *_CLAUSES)):
            continue
        rest = _way(part, node)
        if rest is not None:
            return [root, *rest]
    return None
