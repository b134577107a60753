"""Where a script says which GPU it wants: the expressions that are the index, in every way to write a device."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import libcst as cst

from ddplint.program.events import Event
from ddplint.program.imports import dotted_name
from ddplint.program.module import Module
from ddplint.program.program import Program
from ddplint.program.values import Input, Origin, Symbol, Value, walk
from ddplint.program.walk import children
from ddplint.repairs.declarations import around
from ddplint.repairs.draft import NoPlaceError

_CPU = re.compile(r"""(?<!map_location=)["']cpu["']""")


@dataclass(frozen=True, slots=True)
class Target:
    """An expression that is the index, in its function (None at the top level), and the nodes around it."""

    origin: Origin
    function: cst.FunctionDef | None
    around: tuple[cst.CSTNode, ...]


def home(events: Sequence[Event]) -> str:
    """The part of torch that the devices are chosen with: ``cuda``, ``accelerator``, ``npu``, ``xpu``."""
    kinds = {
        found[1]
        for event in events
        if isinstance(event.node, cst.Call)
        if (found := re.match(r"torch\.(accelerator|npu|xpu)\.", dotted_name(event.node.func)))
    }
    return kinds.pop() if len(kinds) == 1 else "cuda"


def only_with_gpus(program: Program, events: Sequence[Event]) -> bool:
    """Whether the index is never computed on a machine without GPUs.

    Only a device that is merely made can be: everything else that takes an index fails there anyway.
    """
    asks = any(_is_available(part) for run in program.runs for check in run.checks for part in walk(check))
    lazily = [event for event in events if event.name == "torch.device" and not _chosen(event)]
    return not lazily or not (asks or any(names_the_cpu(event.module) for event in lazily))


def _is_available(value: Value) -> bool:
    return isinstance(value, Symbol) and value.name == "cuda_available"


def _chosen(event: Event) -> bool:
    """Whether the device hangs on what is there, or on what somebody typed."""
    return any(
        _is_available(part) or isinstance(part, Input)
        for condition, _ in (event.path.items() if event.path else ())
        for part in walk(condition)
    )


def names_the_cpu(module: Module) -> bool:
    """Whether a module says ``"cpu"`` as a device, other than for what it loads."""
    return _CPU.search(module.source.text) is not None


def target_at(module: Module, node: cst.CSTNode) -> Target:
    """An expression with what is around it."""
    piece = module.positions.statement_line(node)
    if piece is None:
        raise NoPlaceError("an index that stands nowhere")
    functions = [one for one in piece.around if isinstance(one, cst.FunctionDef)]
    return Target(Origin(module, node), functions[-1] if functions else None, around(Origin(module, node)))


def indices(event: Event) -> Iterator[cst.CSTNode]:
    """The expressions that are the index in the argument of an event: the argument, or what a string has of it."""
    node = event.arguments["index"].node
    written = node
    if isinstance(node, cst.Name):
        given = list(assigned(event.module, node))
        texts = [one for value in given for one in _texts(value)]
        if texts:
            if len(given) > 1:
                raise NoPlaceError("a device that is chosen in several places")
            yield from (index for text in texts for index in _in_text(text))
            return
        if "device" in node.value:
            raise NoPlaceError("a device that comes from somewhere else")
    texts = list(_texts(written))
    if texts:
        yield from (index for text in texts for index in _in_text(text))
    elif isinstance(written, cst.IfExp):
        raise NoPlaceError("an index under a condition")
    else:
        yield written


def _texts(node: cst.CSTNode) -> Iterator[cst.BaseExpression]:
    """The strings that an expression may be."""
    if isinstance(node, cst.IfExp):
        yield from _texts(node.body)
        yield from _texts(node.orelse)
    elif isinstance(node, cst.FormattedString):
        yield node
    elif isinstance(node, cst.Call) and isinstance(node.func, cst.Attribute):
        if node.func.attr.value == "format":
            yield node
        elif dotted_name(node.func) == "torch.device" and node.args:
            yield from _texts(node.args[0].value)
    if isinstance(node, cst.BinaryOperation) and isinstance(node.left, cst.SimpleString):
        yield node


def _in_text(node: cst.BaseExpression) -> Iterator[cst.CSTNode]:
    """The index in ``f"cuda:{rank}"``, ``"cuda:" + str(rank)``, ``"cuda:%d" % rank``, ``"cuda:{}".format(rank)``."""
    if isinstance(node, cst.FormattedString):
        parts = [part for part in node.parts if isinstance(part, cst.FormattedStringExpression)]
        if len(parts) == 1:
            yield parts[0].expression
            return
    elif isinstance(node, cst.BinaryOperation):
        right = node.right
        if isinstance(node.operator, cst.Modulo) and not isinstance(right, (cst.Tuple, cst.Dict)):
            yield right
            return
        if isinstance(right, cst.Call) and isinstance(right.func, cst.Name) and right.func.value == "str":
            yield right.args[0].value
            return
    elif isinstance(node, cst.Call) and len(node.args) == 1:
        yield node.args[0].value
        return
    raise NoPlaceError("a device in a string of its own making")


def assigned(module: Module, name: cst.Name) -> Iterator[cst.BaseExpression]:
    """What is assigned to a name in its function, or at the top level."""
    stack: list[cst.CSTNode] = list(body_of(module, target_at(module, name).function))
    while stack:
        node = stack.pop()
        if isinstance(node, (cst.FunctionDef, cst.ClassDef)):
            continue
        if isinstance(node, cst.Assign):
            for target in node.targets:
                if isinstance(target.target, cst.Name) and target.target.value == name.value:
                    yield node.value
        stack.extend(children(node))


def body_of(module: Module, function: cst.FunctionDef | None) -> Sequence[cst.CSTNode]:
    """The statements of a function, or of the top level."""
    return module.tree.body if function is None else function.body.body
