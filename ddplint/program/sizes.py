"""World sizes and process counts: which of them are only typed, only local, or only a literal."""

from __future__ import annotations

import enum
from collections.abc import Iterator

from ddplint.program import launchers
from ddplint.program.group import Group
from ddplint.program.judge import Verdict, sources
from ddplint.program.launchers import Role
from ddplint.program.misuse import misused_variable
from ddplint.program.program import Program
from ddplint.program.topology import Topology
from ddplint.program.values import Choice, Const, EnvVar, Input, Op, Origin, Symbol, Value, walk


class Fault(enum.Enum):
    """What is wrong with a world size."""

    LITERAL = "literal"
    LOCAL = "local"
    TYPED = "typed"
    STARTED = "started"  # typed, and as many processes are started on each node


def plain_input(value: Value) -> Input | None:
    """The option that a value is, once conversions are taken off."""
    core = unconverted(value)
    return core if isinstance(core, Input) else None


def _compared(program: Program, option: Input) -> bool:
    """Whether a test holds an option against what the launcher says, or against the GPUs that are there."""
    for run in program.runs:
        for check in run.checks:
            parts = list(walk(check))
            if any(part.id == option.id for part in parts) and any(_counts(part, parts) for part in parts):
                return True
    return False


def _counts(value: Value, check: list[Value]) -> bool:
    if isinstance(value, EnvVar):
        return launchers.meaning(value.name) in (Role.WORLD_SIZE, Role.NNODES, Role.LOCAL_WORLD_SIZE)
    # "no more than there are GPUs" leaves every smaller number: a GPU for each process, but no size of the world
    exact = any(isinstance(part, Op) and part.name in ("eq", "ne") for part in check)
    return isinstance(value, Symbol) and value.name == "device_count" and exact


def world_size_fault(program: Program, group: Group) -> Fault | None:
    """Why a world size cannot be trusted, or None."""
    value = group.world_size
    if value is None or group.single_process or misused_variable(group, "world_size"):
        return None
    if isinstance(value, Const):
        if not isinstance(value.value, int) or value.value < 2:
            return None
        return Fault.STARTED if _starts(group, value) else Fault.LITERAL
    typed = plain_input(value)
    if typed is not None:
        if has_fallback(typed) or _compared(program, typed):
            return None
        return Fault.STARTED if _starts(group, typed) else Fault.TYPED
    if group.world_failure is None or _has_node_factor(value) or group.one_task_a_node or group.starts_too_many:
        return None
    return Fault.LOCAL


def _starts(group: Group, size: Value) -> bool:
    """Whether every node starts as many processes as the world size says."""
    spawns = group.event.context
    count = spawns[-1].count if spawns else None
    return count is not None and unconverted(count.value).id == size.id


def has_fallback(option: Input) -> bool:
    """Whether the environment decides an option that nobody types."""
    return option.spec is not None and option.spec.default is not None and bool(sources(option.spec.default))


def _has_node_factor(value: Value) -> bool:
    # `num_nodes = 1` multiplied in is a node count that somebody edits: the formula is right
    return any(
        isinstance(part, Op) and part.name == "mul" and any(isinstance(arg, Const) for arg in part.args)
        for part in walk(value)
    )


def rank_is_global(group: Group) -> bool:
    """Whether the rank is right by itself, while the world size is no plain literal or option (DDP102 says that)."""
    value = group.world_size
    if value is None or isinstance(value, Const) or plain_input(value) is not None:
        return False
    if group.rank is None or group.rank_failure is not None or isinstance(unconverted(group.rank), Input):
        return False
    if isinstance(unconverted(group.rank), Op):
        return True  # a formula: something tells the nodes apart in it
    # anything else must be known to be right: a bare parameter is not wrong, but it says nothing
    return any(
        group.judge(scenario, Topology(2, 2), group.ranks_are_unique, thorough=True).verdict is Verdict.RIGHT
        for scenario in group.scenarios
    )


def unconverted(value: Value) -> Value:
    """What a value is before ``int()`` and ``str()`` made a number or a text of it."""
    while isinstance(value, Op) and value.name in ("int", "str"):
        value = value.args[0]
    return value


def made_at(program: Program, group: Group, fault: Fault, value: Value) -> Origin:
    """Where to show a world size: where its value is made, else where it is given."""
    if fault in (Fault.TYPED, Fault.STARTED):
        typed = plain_input(value)
        if typed is not None and typed.spec is not None:
            return typed.spec.origin
    core = unconverted(value)
    if core.origin is not None and not isinstance(core, Choice):
        return core.origin
    return program.written_at(group, "world_size", "WORLD_SIZE")


def inputs(value: Value) -> Iterator[Input]:
    """The options that a value is computed from."""
    return (part for part in walk(value) if isinstance(part, Input))
