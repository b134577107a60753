"""Why a value is not known, in words: the first thing on the way to it that only a run of the script would show."""

from __future__ import annotations

import libcst as cst

from ddplint.program import launchers
from ddplint.program.launchers import Role
from ddplint.program.module import Module
from ddplint.program.place import EXPORTED, Place
from ddplint.program.topology import ABSENT, OTHER, UNKNOWN, Infeasible, Topology
from ddplint.program.values import (
    Choice,
    Const,
    Device,
    EnvHas,
    EnvVar,
    External,
    Index,
    Input,
    Items,
    Method,
    Op,
    Origin,
    Symbol,
    Unknown,
    Value,
)

# An unknown that is only a step away from another: what is behind it says more.
_STEPS = ("what .", "an element", "an unpacked element", "a formatted string", "arithmetic with a string", "a slice")
_SYMBOLS = {"device_count": "the number of GPUs", "current_device": "the current GPU"}
_LONGEST_CODE = 60
_MOST_EXAMPLES = 8


def reason(place: Place, value: Value, module: Module) -> str:
    """Why ``value`` is not known for a process of the script ``module``, or why the script fails there."""
    try:
        found = place.settle(value)
    except Infeasible:
        return _failure(place, value, module)
    return _not_given(place, value, module) if found is None else _unknown(place, value, module)


def at(origin: Origin | None, module: Module) -> str:
    """``", line 12"``, with the file if it is another one."""
    if origin is None:
        return ""
    line = f", line {origin.module.positions.line(origin.node)}"
    return line if origin.module is module else f"{line} of {origin.module.path}"


def code(origin: Origin) -> str:
    """An expression as it is written, on one line and not too long."""
    text = " ".join(origin.module.tree.code_for_node(origin.node).split())
    return text if len(text) <= _LONGEST_CODE else f"{text[: _LONGEST_CODE - 3]}..."


def flag(option: Input) -> str:
    """An option as it is typed: its long name."""
    flags = option.spec.flags if option.spec is not None else ()
    return next((word for word in flags if word.startswith("--")), flags[0] if flags else option.name)


def unset(place: Place, name: str) -> str:
    """A variable that is not there, and who would set it."""
    owner = launchers.owner(name)
    role = launchers.meaning(name)
    if owner is not None and name not in EXPORTED and owner is not place.scenario.launcher:
        return f"{name} is not set: {owner.name} sets it"
    return f"{name} is not set: use --set {name}={example(place.topology, role)}"


def example(topology: Topology, role: Role | None) -> str:
    """What to write behind ``--set NAME=`` for a number that counts ``role``."""
    nodes = range(topology.nnodes)
    if role is Role.NODE_RANK and len(nodes) <= _MOST_EXAMPLES:
        return ",".join(str(node) for node in nodes)
    if role is Role.RANK and topology.nnodes * topology.nproc <= 2 * _MOST_EXAMPLES:
        return ",".join(str(rank) for rank in range(topology.nnodes * topology.nproc))
    if role in (Role.RANK, Role.NODE_RANK):
        return "0,1,2,..."
    counts = {
        Role.NNODES: topology.nnodes,
        Role.LOCAL_WORLD_SIZE: topology.nproc,
        Role.WORLD_SIZE: topology.nnodes * topology.nproc,
        Role.MASTER_ADDR: "node0",
        Role.MASTER_PORT: 29500,
    }
    return str(counts[role]) if role in counts else "..."


def _unknown(place: Place, value: Value, module: Module) -> str:
    if isinstance(value, Unknown):
        if value.reason.startswith(_STEPS):
            for part in value.uses:
                if _is_unknown(place, part):
                    return _unknown(place, part, module)
        words = value.reason
        if value.origin is not None and words == "what this call returns":
            words = f"what {code(value.origin)} returns"
        return words + at(value.origin, module)
    if isinstance(value, Input):
        return _input(place, value, module)
    if isinstance(value, Choice):
        known = place.holds(value.condition)
        if known is None:
            return _unknown(place, value.condition, module)
        return reason(place, value.then if known else value.other, module)
    if isinstance(value, (EnvVar, EnvHas)):
        return f"{value.name} is known only when it runs" + at(value.origin, module)
    if isinstance(value, (Op, Items, Device)):
        for part in value.parts():
            try:
                found = place.settle(part)
            except Infeasible:
                return _failure(place, part, module)
            if found is UNKNOWN or found is OTHER:
                return _unknown(place, part, module)
        return _code(value, module)
    if isinstance(value, Symbol):
        return _SYMBOLS.get(value.name, value.name) + at(value.origin, module)
    if isinstance(value, Index):
        return "the counter of a loop" + at(value.origin, module)
    if isinstance(value, Method) and _is_unknown(place, value.owner):
        return _unknown(place, value.owner, module)
    if isinstance(value, (External, Method)):
        return f"what {value.name} is" + at(value.origin, module)
    return _code(value, module)


def _is_unknown(place: Place, value: Value) -> bool:
    try:
        found = place.settle(value)
    except Infeasible:
        return False
    return found is UNKNOWN or found is OTHER


def _code(value: Value, module: Module) -> str:
    if value.origin is None or not isinstance(value.origin.node, cst.BaseExpression):
        return "a value that was not followed" + at(value.origin, module)
    return f"what `{code(value.origin)}` is" + at(value.origin, module)


def _input(place: Place, option: Input, module: Module) -> str:
    if option.name in place.typed:
        return f"{flag(option)} does not take {place.typed[option.name]!r}"
    default = option.spec.default if option.spec is not None else None
    if default is not None:
        try:
            known = place.settle(default)
        except Infeasible:
            return _failure(place, default, module)
        if known is UNKNOWN or known is OTHER:
            return f"the default of {flag(option)}: {_unknown(place, default, module)}"
    return _missing(option, module)


def _missing(option: Input, module: Module) -> str:
    if option.spec is None:
        where = at(option.origin, module)
        return f"{option.name} is read from a configuration{where}: use --set {option.name}=..."
    return f"{flag(option)} was not given: use --set {option.name}=..."


def _not_given(place: Place, value: Value, module: Module) -> str:
    """Why a value is None."""
    if isinstance(value, Input):
        return _missing(value, module)
    if isinstance(value, Choice):
        known = place.holds(value.condition)
        if isinstance(value.condition, EnvHas) and known is False and isinstance(value.other, Const):
            return unset(place, value.condition.name)
        if known is not None:
            return _not_given(place, value.then if known else value.other, module)
    return "it is None" + at(value.origin, module)


def _failure(place: Place, value: Value, module: Module) -> str:
    """Why the script fails when it computes ``value``."""
    if isinstance(value, EnvVar) and place.variable(value.name) is ABSENT:
        return unset(place, value.name)
    if isinstance(value, Choice):
        known = place.holds(value.condition)
        if known is None:
            return _unknown(place, value.condition, module)
        return reason(place, value.then if known else value.other, module)
    if isinstance(value, Input) and value.spec is not None and value.spec.default is not None:
        return _failure(place, value.spec.default, module)
    for part in value.parts():
        try:
            found = place.settle(part)
        except Infeasible:
            return _failure(place, part, module)
        if found is None:
            return _not_given(place, part, module)
    if value.origin is None:
        return "the script fails here"
    return f"`{code(value.origin)}` fails" + at(value.origin, module)
