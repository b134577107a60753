"""What the code does with a local rank: which of its uses mean a place in the whole job, and which a GPU of the node.

On one node both are the same number, so a script may use one name for both. A repair that makes ranks global must
tell them apart. ``GLOBAL`` uses are those that only make sense over all nodes (the process group, samplers, rank-0
guards, seeds, log lines); ``LOCAL`` ones name a device. Anything else stays what it is: ``UNKNOWN``.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import libcst as cst

from ddplint.program.imports import dotted_name
from ddplint.program.walk import children
from ddplint.repairs.draft import names_bound_in


class Kind(enum.Enum):
    """What a use of a rank is about."""

    GLOBAL = "the whole job"
    LOCAL = "a device of the node"
    UNKNOWN = "not known"


@dataclass(frozen=True, slots=True)
class Use:
    """One place where a name or attribute is read, with the nodes around it, innermost first."""

    node: cst.BaseExpression
    around: tuple[cst.CSTNode, ...]


@dataclass(frozen=True, slots=True)
class Handed:
    """A use as an argument of a call: by keyword, or at a position."""

    call: cst.Call
    keyword: str | None
    position: int


def uses_in(body: Sequence[cst.CSTNode], written: str) -> list[Use]:
    """Every read of ``rank`` or ``self.rank`` in a body, also in nested functions that do not bind it anew."""
    return [use for statement in body for use in _uses(statement).get(written, ())]


@lru_cache(maxsize=4096)
def _uses(statement: cst.CSTNode) -> dict[str, list[Use]]:
    """All reads in a statement, by what is read."""
    found: dict[str, list[Use]] = {}
    _collect(statement, (), frozenset(), found)
    return found


def spelling(node: cst.CSTNode) -> str:
    """``rank``, ``args.rank`` or ``config["rank"]``; empty for anything else."""
    if isinstance(node, cst.Subscript) and len(node.slice) == 1:
        index = node.slice[0].slice
        key = index.value if isinstance(index, cst.Index) else None
        owner = dotted_name(node.value)
        return f'{owner}["{key.raw_value}"]' if owner and isinstance(key, cst.SimpleString) else ""
    return dotted_name(node)


_READ = frozenset((cst.Name, cst.Attribute, cst.Subscript))


def _collect(node: Any, around: tuple[cst.CSTNode, ...], hidden: frozenset[str], found: dict[str, list[Use]]) -> None:
    """``hidden`` are names that an inner function has bound for itself."""
    kind = type(node)  # many times quicker than isinstance(), see draft.py
    if kind in _READ:
        written = spelling(node)
        if written and _owner(written) not in hidden:
            found.setdefault(written, []).append(Use(node, around))
    elif kind is cst.FunctionDef:
        hidden |= names_bound_in(node)
    elif kind is cst.Lambda:
        hidden |= {param.name.value for param in node.params.params}
    elif kind is cst.ImportAlias:
        return
    elif kind is cst.Param:
        if node.default is not None:
            _collect(node.default, (node, *around), hidden, found)
        return
    elif kind is cst.AssignTarget:
        if not spelling(node.target):
            _collect(node.target, (node, *around), hidden, found)
        return
    if kind is cst.Attribute or kind is cst.Arg:
        _collect(node.value, (node, *around), hidden, found)
        return
    for child in children(node):
        _collect(child, (node, *around), hidden, found)


def _owner(written: str) -> str:
    return written.partition(".")[0].partition("[")[0]


def handed(use: Use) -> Handed | None:
    """The call that a use is an argument of, as it is: ``setup(rank)``, not ``setup(rank + 1)``."""
    if len(use.around) > 1 and isinstance(use.around[0], cst.Arg) and isinstance(use.around[1], cst.Call):
        arg, call = use.around[0], use.around[1]
        if arg.star or use.node is call.func:
            return None
        keyword = arg.keyword.value if arg.keyword is not None else None
        position = next(index for index, one in enumerate(call.args) if one is arg)
        return Handed(call, keyword, position)
    return None


def assigned_to(use: Use) -> cst.BaseExpression | None:
    """What a use is assigned to, as it is: ``self.rank = rank``."""
    if use.around and isinstance(use.around[0], cst.Assign) and len(use.around[0].targets) == 1:
        target = use.around[0].targets[0].target
        return target if isinstance(target, (cst.Name, cst.Attribute, cst.Subscript)) else None
    return None


# Words of torch and of people for the parameters that take a device.
DEVICE_WORDS = frozenset(
    "device device_ids device_id output_device gpu gpu_id gpu_ids gpus map_location local_rank local_device".split()
)
_DEVICE_CALLS = frozenset("set_device device cuda to to_device get_device_name get_device_properties".split())
_SIZES = ("num_replicas", "world_size")
# Two of the samplers' parameters: DistributedSampler(dataset, num_replicas, rank), torch 2.13,
# torch/utils/data/distributed.py.
_SAMPLER_RANK = 2
_LOG_CALLS = frozenset("print info debug warning warn error log write exception critical".split())
_DEVICE_TEXT = re.compile(r"(cuda|gpu|device|local.?rank)[^A-Za-z0-9{}]*$", re.I)


# What is around an expression without changing what it is about.
_PASSES = (
    cst.Arg,
    cst.ComparisonTarget,
    cst.Element,
    cst.FormattedStringExpression,
    cst.Index,
    cst.List,
    cst.SubscriptElement,
    cst.Tuple,
)


def kind(use: Use, dotted: Sequence[str]) -> Kind:
    """What a use is about, by the expression and statement around it.

    ``dotted`` are the full names of the calls around it, innermost first (see :func:`calls_around`).
    """
    calls = iter(dotted)
    child: cst.CSTNode = use.node
    for node in use.around:
        if isinstance(node, cst.Call):
            name = next(calls, "")
            if child is node.func:
                return Kind.UNKNOWN  # rank.something()
            found = _of_call(node, child, name)
            if found is not None:
                return found
            if name in ("int", "str", "float", "repr", "len", "range", "format", "min", "max"):
                child = node
                continue
            return Kind.UNKNOWN
        if isinstance(node, cst.Comparison):
            return _of_comparison(node, child)
        if isinstance(node, (cst.UnaryOperation, cst.BooleanOperation)):
            if isinstance(node, cst.UnaryOperation) and isinstance(node.operator, cst.Not):
                return Kind.GLOBAL
            if isinstance(node, cst.BooleanOperation):
                return Kind.GLOBAL if child is use.node else Kind.UNKNOWN
        elif isinstance(node, (cst.If, cst.While, cst.Assert, cst.IfExp)):
            return Kind.GLOBAL if child is use.node and child is node.test else Kind.UNKNOWN
        elif isinstance(node, cst.FormattedString):
            before = _text_before(node, child)
            return Kind.LOCAL if _DEVICE_TEXT.search(before) else Kind.GLOBAL
        elif isinstance(node, cst.BinaryOperation):
            if isinstance(node.operator, cst.FloorDivide) and "device_count" in cst.Module([]).code_for_node(node.left):
                return Kind.LOCAL  # GPUs for each process
            if isinstance(node.operator, cst.Modulo):
                if child is node.left and isinstance(node.right, (cst.Call, cst.Attribute, cst.Name)):
                    words = dotted_name(node.right.func if isinstance(node.right, cst.Call) else node.right)
                    if "device_count" in words or "gpu" in words.lower():
                        return Kind.UNKNOWN  # a device either way
                if child is node.right and isinstance(node.left, (cst.SimpleString, cst.ConcatenatedString)):
                    return _of_template(node.left)
        elif isinstance(node, cst.Slice):
            return Kind.GLOBAL
        elif isinstance(node, cst.Subscript):
            if child is node.value:
                return Kind.UNKNOWN
        elif not isinstance(node, _PASSES):
            return Kind.UNKNOWN
        child = node
    return Kind.UNKNOWN


def _of_call(node: cst.Call, child: cst.CSTNode, dotted: str) -> Kind | None:
    """What an argument of a call is about; None if the call says nothing."""
    arg = child if isinstance(child, cst.Arg) else next((one for one in node.args if one.value is child), None)
    keyword = arg.keyword.value if arg is not None and arg.keyword is not None else ""
    last = dotted.rpartition(".")[2]
    if keyword in DEVICE_WORDS or last in _DEVICE_CALLS or dotted.startswith("torch.cuda."):
        return Kind.LOCAL
    if last.endswith("Sampler"):
        position = next((index for index, one in enumerate(node.args) if one is arg), -1)
        return Kind.GLOBAL if keyword == "rank" or (not keyword and position == _SAMPLER_RANK) else Kind.UNKNOWN
    if dotted.startswith("torch.distributed."):
        return Kind.GLOBAL
    if last in _LOG_CALLS:
        return Kind.GLOBAL
    if "seed" in last:
        return Kind.GLOBAL
    if last == "format" and isinstance(node.func, cst.Attribute):
        return _of_template(node.func.value)
    return Kind.GLOBAL if keyword == "rank" else None


def _of_template(template: cst.CSTNode) -> Kind:
    text = template.evaluated_value if isinstance(template, (cst.SimpleString, cst.ConcatenatedString)) else None
    if isinstance(text, str) and re.search(r"(cuda|gpu|device)\W*[{%]", text, re.I):
        return Kind.LOCAL
    return Kind.GLOBAL


def _of_comparison(node: cst.Comparison, child: cst.CSTNode) -> Kind:
    """``rank == 0``, ``rank in (-1, 0)``: a guard, unless -1 or None alone is asked for (not distributed at all)."""
    others = [node.left, *[target.comparator for target in node.comparisons]]
    for other in others:
        if other is child:
            continue
        code = cst.Module([]).code_for_node(other)
        if code in ("-1", "None") or ("-1" in code and not re.search(r"(?<![\d.])0(?!\d)", code)):
            return Kind.UNKNOWN
        if "device_count" in code:
            return Kind.LOCAL
    return Kind.GLOBAL


def _text_before(node: cst.FormattedString, child: cst.CSTNode) -> str:
    text = ""
    for part in node.parts:
        if part is child:
            return text
        text = part.value if isinstance(part, cst.FormattedStringText) else ""
    return ""


def is_guard(use: Use) -> bool:
    """Whether a use decides which processes do something: ``if rank == 0``, ``not rank``."""
    return any(
        isinstance(node, (cst.Comparison, cst.BooleanOperation))
        or (isinstance(node, cst.UnaryOperation) and isinstance(node.operator, cst.Not))
        for node in use.around[:3]
    )


def replica_counts(body: Sequence[cst.CSTNode]) -> Iterator[Use]:
    """The arguments that tell a sampler, or a function, the world size by its name."""
    stack: list[tuple[cst.CSTNode, tuple[cst.CSTNode, ...]]] = [(node, ()) for node in body]
    while stack:
        node, around = stack.pop()
        if isinstance(node, cst.Arg) and node.keyword is not None and node.keyword.value in _SIZES:
            yield Use(node.value, (node, *around))
        stack.extend((child, (node, *around)) for child in children(node))


def is_logged(use: Use) -> bool:
    """Whether a use only ends up in a line of text that somebody reads."""
    names = (call.func.attr if isinstance(call.func, cst.Attribute) else call.func for call in calls_around(use))
    return any(isinstance(name, cst.Name) and name.value in _LOG_CALLS for name in names)


def calls_around(use: Use) -> Iterator[cst.Call]:
    """The calls that a use is inside of, innermost first, within its statement."""
    for node in use.around:
        if isinstance(node, cst.Call):
            yield node
        elif isinstance(node, (cst.BaseSmallStatement, cst.BaseCompoundStatement)):
            return
