"""Saying in plain English what a value is and where it comes from."""

from __future__ import annotations

from collections.abc import Iterator

import libcst as cst

from ddplint.findings import Note
from ddplint.program import launchers
from ddplint.program.program import Program
from ddplint.program.values import Choice, Const, EnvVar, Index, Input, Op, Origin, Symbol, Unknown, Value, walk

_SYMBOLS = {
    "device_count": "the number of GPUs on this node",
    "group_rank": "the global rank",
    "group_world_size": "the world size",
}


def code(origin: Origin | None, limit: int = 60) -> str:
    """The source text of an expression, on one line, shortened."""
    if origin is None or not isinstance(origin.node, (cst.BaseExpression, cst.AugAssign)):
        return "this value"
    text = " ".join(cst.Module([]).code_for_node(origin.node).split())
    return text if len(text) <= limit else text[: limit - 3] + "..."


def describe(value: Value) -> str:
    """What a value is, as part of a sentence: "the index that mp.spawn hands out"."""
    if isinstance(value, Op) and value.name in ("int", "str"):
        return describe(value.args[0])
    if isinstance(value, Index):
        return f"the index that {starter(value)} counts from 0 on every node"
    if isinstance(value, Const):
        return f"the constant {value.value!r}"
    if isinstance(value, Input):
        if value.spec is None or not value.spec.flags:
            return f"the configuration field {value.name}"
        flag = option_name(value)
        return f"the argument {flag}" if not flag.startswith("-") else f"the option {flag}"
    if isinstance(value, EnvVar):
        role = launchers.meaning(value.name)
        return f"{value.name} (the {role.value})" if role and role is not launchers.Role.OTHER else value.name
    if isinstance(value, Choice):
        sides = [side for side in (value.then, value.other) if not isinstance(side, (Const, Unknown))]
        return describe(sides[0]) if sides else f"a value that depends on `{code(value.condition.origin, 40)}`"
    if isinstance(value, Symbol):
        return _SYMBOLS.get(value.name, value.name)
    return f"`{code(value.origin)}`"


def starter(index: Index) -> str:
    """What starts the processes that an index counts."""
    if isinstance(index.site, cst.Call):
        return code(Origin(index.origin.module, index.site.func)) if index.origin else "mp.spawn"
    return "the loop that starts the processes"


def option_name(option: Input) -> str:
    """``--nr``, or ``args.nr`` where no declaration is visible."""
    flags = option.spec.flags if option.spec else ()
    return next((flag for flag in flags if flag.startswith("--")), flags[0] if flags else option.name)


def _sources(value: Value) -> Iterator[Value]:
    """:func:`walk`, but an index is a source by itself, whatever counts it."""
    counts = {part.id for index in walk(value) if isinstance(index, Index) for part in walk(index.count)}
    return (part for part in walk(value) if part.id not in counts or part is value)


def chain(program: Program, value: Value, what: str, at: Origin) -> list[Note]:
    """Where a value comes from: one note for each of its sources that stands somewhere else."""
    notes: list[Note] = []
    here = (at.module.path, at.module.positions.line(at.node))
    seen = {here}
    for part in _sources(value):
        told = isinstance(part, (Index, Input, EnvVar, Symbol)) or (part is value and isinstance(part, Const))
        if not told or part.origin is None:
            continue
        note = program.note(f"{what} comes from {describe(part).rstrip(',')}", part.origin)
        if (note.path, note.line) not in seen:
            seen.add((note.path, note.line))
            notes.append(note)
    return notes[:4]


def sentence(value: Value) -> str:
    """:func:`describe` at the start of a sentence."""
    text = describe(value)
    return text[0].upper() + text[1:]


def described_code(value: Value) -> str:
    """A computed value as its source text, anything else in words."""
    return f"`{code(value.origin)}`" if isinstance(value, Op) and value.origin else describe(value)
