"""Who decides the order of a DataLoader: its sampler, or ``shuffle``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import libcst as cst

from ddplint.program import alternatives
from ddplint.program.events import Argument, Event
from ddplint.program.imports import bound_names, dotted_name
from ddplint.program.program import Program
from ddplint.program.values import Const, Object, Value
from ddplint.program.walk import everything_in


@dataclass(frozen=True, slots=True)
class Shuffled:
    """A DataLoader that is given both. ``sometimes``: the sampler is None in other runs."""

    event: Event
    shuffle: Argument
    sampler: Argument
    name: str
    sometimes: bool


def shuffled(program: Program) -> Iterator[Shuffled]:
    """Loaders with ``shuffle=True`` and a sampler, each once."""
    found: dict[int, Shuffled] = {}
    harmless: set[int] = set()
    for event in program.events("call"):
        if event.name == "torch.utils.data.DataLoader":
            one = _shuffled(event, "sampler") or _shuffled(event, "batch_sampler")
            if one is not None:
                found.setdefault(id(event.node), one)
            else:
                harmless.add(id(event.node))
    for node, one in found.items():
        # The same line may be reached with a sampler and without one.
        yield replace(one, sometimes=True) if node in harmless or not _always_made(one) else one


def _always_made(loader: Shuffled) -> bool:
    """Whether every assignment to the sampler that is written around the loader makes one, whoever gets there."""
    node = loader.sampler.node
    if isinstance(node, cst.Call):
        return True
    name = dotted_name(node)
    piece = loader.event.module.positions.statement_line(loader.event.node)
    around = piece.around if piece is not None and "." not in name else ()
    function = next((one for one in reversed(around) if isinstance(one, cst.FunctionDef)), None)
    values: list[cst.BaseExpression | None] = []
    for one in everything_in(function if function is not None else loader.event.module.tree):
        if isinstance(one, cst.Param) and one.name.value == name:
            return False
        if isinstance(one, cst.Assign):
            values += [one.value for target in one.targets if name in bound_names(target.target)]
        elif isinstance(one, (cst.AnnAssign, cst.NamedExpr)) and dotted_name(one.target) == name:
            values.append(one.value)
    return bool(values) and all(isinstance(value, cst.Call) for value in values)


def _shuffled(event: Event, name: str) -> Shuffled | None:
    shuffle, sampler = event.arguments.get("shuffle"), event.arguments.get(name)
    if shuffle is None or sampler is None:
        return None
    cases = list(alternatives.together((shuffle.value, sampler.value), event.path))
    bad = [case for case in cases if _is_true(case.values[0]) and _is_sampler(case.values[1])]
    if not bad:
        return None
    sometimes = len(bad) < len(cases)
    # Two conditions, or one around the call, may exclude each other without the model seeing it.
    if sometimes and (event.path is not None or max(case.open for case in cases) > 1):
        return None
    return Shuffled(event, shuffle, sampler, name, sometimes)


def _is_true(value: Value) -> bool:
    return isinstance(value, Const) and value.value is True


def _is_sampler(value: Value) -> bool:
    """Whether a value is what the constructor of a sampler made: an object, never None."""
    if isinstance(value, Object):
        return value.cls is not None and value.cls.name.endswith("Sampler")
    if not alternatives.is_constructed(value) or value.origin is None or not isinstance(value.origin.node, cst.Call):
        return False
    return dotted_name(value.origin.node.func).endswith("Sampler")
