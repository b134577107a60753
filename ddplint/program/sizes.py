"""World sizes and process counts: which of them are only typed, only local, or only a literal."""

from __future__ import annotations

import enum
from collections.abc import Iterator

from ddplint.program.group import Group, sources
from ddplint.program.misuse import misused_variable
from ddplint.program.program import Program
from ddplint.program.values import Const, Input, Op, Origin, Symbol, Value, walk


class Fault(enum.Enum):
    """What is wrong with a world size."""

    LITERAL = "literal"
    LOCAL = "local"
    TYPED = "typed"


def plain_input(value: Value) -> Input | None:
    """The option that a value is, once conversions are taken off."""
    while isinstance(value, Op) and value.name in ("int", "str"):
        value = value.args[0]
    return value if isinstance(value, Input) else None


def world_size_fault(group: Group) -> Fault | None:
    """Why a world size cannot be trusted, or None."""
    value = group.world_size
    if value is None or group.single_process or misused_variable(group, "world_size"):
        return None
    if isinstance(value, Const):
        return Fault.LITERAL if isinstance(value.value, int) and value.value > 1 else None
    typed = plain_input(value)
    if typed is not None:
        return None if has_fallback(typed) else Fault.TYPED
    if group.world_failure is None or _has_node_factor(value) or group.one_task_a_node:
        return None
    if rank_has_node_term(group):
        return None  # rank and world size are computed for different topologies: DDP113
    return Fault.LOCAL


def has_fallback(option: Input) -> bool:
    """Whether the environment decides an option that nobody types."""
    return option.spec is not None and option.spec.default is not None and bool(sources(option.spec.default))


def _has_node_factor(value: Value) -> bool:
    # `num_nodes = 1` multiplied in is a node count that somebody edits: the formula is right
    return any(
        isinstance(part, Op) and part.name == "mul" and any(isinstance(arg, Const) for arg in part.args)
        for part in walk(value)
    )


def rank_has_node_term(group: Group) -> bool:
    """Whether a rank is right by itself and computed from a node: then a local world size does not fit it."""
    return group.rank is not None and group.rank_failure is None and isinstance(_strip(group.rank), Op)


def _strip(value: Value) -> Value:
    while isinstance(value, Op) and value.name in ("int", "str"):
        value = value.args[0]
    return value


def made_at(program: Program, group: Group, fault: Fault) -> Origin:
    """Where to show a world size: its own expression, else where its value is made."""
    value = group.world_size
    assert value is not None
    if fault is Fault.TYPED:
        typed = plain_input(value)
        if typed is not None and typed.spec is not None:
            return typed.spec.origin
    core = _strip(value)
    if isinstance(core, (Const, Symbol)) and core.origin is not None:
        return core.origin
    return program.written_at(group, "world_size", "WORLD_SIZE")


def inputs(value: Value) -> Iterator[Input]:
    """The options that a value is computed from."""
    return (part for part in walk(value) if isinstance(part, Input))



