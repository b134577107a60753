"""Lists of tensors that a collective writes into: whether their places are different tensors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import libcst as cst

from ddplint.program import alternatives
from ddplint.program.events import Event
from ddplint.program.program import Program
from ddplint.program.values import Const, Items, Origin, Repeated, Value

_OUTPUTS = {
    "torch.distributed.all_gather": "tensor_list",
    "torch.distributed.gather": "gather_list",
    "torch.distributed.all_to_all": "output_tensor_list",
}


@dataclass(frozen=True, slots=True)
class Aliased:
    """``[tensor] * n`` at ``origin``, handed to a collective that fills each of its places."""

    event: Event
    origin: Origin


def aliased(program: Program) -> Iterator[Aliased]:
    """Lists that hold one tensor many times and are gathered into, each once."""
    seen: set[int] = set()
    for event in program.events("call"):
        argument = event.arguments.get(_OUTPUTS.get(event.name, ""))
        if argument is None:
            continue
        for case in alternatives.together((argument.value,), event.path):
            origin = _one_tensor(case.values[0])
            if origin is not None and id(origin.node) not in seen:
                seen.add(id(origin.node))
                yield Aliased(event, origin)


def _one_tensor(value: Value) -> Origin | None:
    if not isinstance(value, Repeated) or isinstance(value.element, (Const, Items)) or value.element.type is not None:
        return None
    times = value.times
    if isinstance(times, Const) and not (isinstance(times.value, int) and times.value > 1):
        return None
    node = value.origin.node if value.origin is not None else None
    if isinstance(node, cst.BinaryOperation) and isinstance(node.left, cst.Tuple):
        return None  # torch refuses a tuple, and says so
    return value.origin
