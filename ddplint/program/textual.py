"""Strings and numbers around ``os.environ``: what is stored that is no string, and what is read as one."""

from __future__ import annotations

from collections.abc import Iterator

from ddplint.program import launchers
from ddplint.program.events import Event
from ddplint.program.judge import possible
from ddplint.program.program import Program
from ddplint.program.values import Choice, EnvVar, Input, Value

_NUMBERS = ("int", "float", "bool", "none")
_OWN = frozenset((*launchers.RENDEZVOUS, "CUDA_VISIBLE_DEVICES", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "NODE_RANK"))


def bad_stores(program: Program) -> Iterator[tuple[Event, str]]:
    """Stores of something that is certainly no string, with its type."""
    for event in program.events("store"):
        value = event.arguments["value"].value
        kinds = _types(value)
        if kinds <= set(_NUMBERS) and kinds != {"none"}:
            yield event, min(kind for kind in kinds if kind is not None)


def _types(value: Value) -> set[str | None]:
    if isinstance(value, Choice):
        return _types(value.then) | _types(value.other)
    if isinstance(value, Input) and value.spec is not None and not value.spec.typed:
        return {None}  # a typed value is a string, the default is not
    return {value.type}


def mixed(program: Program) -> Iterator[tuple[Event, str, bool]]:
    """A launcher's variables used as numbers without ``int()``: event, name, and whether a default hides it."""
    for event in program.events("mixed"):
        value = event.arguments["value"].value
        for side in possible(value):
            if isinstance(side, EnvVar) and (side.name in _OWN or launchers.meaning(side.name) is not None):
                yield event, side.name, isinstance(value, Choice)
                break
        else:
            if isinstance(value, Input) and value.spec is not None:
                yield event, value.spec.flags[0], value.spec.default is not None
