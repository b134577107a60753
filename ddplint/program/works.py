"""Work that goes on in the background: what starts it hands out an object to wait for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import libcst as cst

from ddplint.program.events import Event
from ddplint.program.module import Module
from ddplint.program.program import Program
from ddplint.program.values import Const
from ddplint.program.walk import everything_in

_ALWAYS = ("torch.distributed.irecv", "torch.distributed.isend")


@dataclass(frozen=True, slots=True)
class Unwaited:
    """A call whose work nobody can wait for. ``name`` is the variable that holds it and is never read, or empty."""

    event: Event
    name: str


def unwaited(program: Program) -> Iterator[Unwaited]:
    """Asynchronous calls of torch.distributed whose result is dropped, each once."""
    if program.evidence.test:
        return
    seen: set[int] = set()
    for event in program.events("call"):
        if not _is_async(event) or id(event.node) in seen or _synchronises(event.module):
            continue
        seen.add(id(event.node))
        if event.discarded:
            yield Unwaited(event, "")
        else:
            name = _never_read(event)
            if name:
                yield Unwaited(event, name)


def _synchronises(module: Module) -> bool:
    """Whether a module may wait for a whole device, by itself or through a helper: that waits for everything."""
    return any("synchroni" in word or word.startswith("sync") for word in module.words)


def _is_async(event: Event) -> bool:
    if event.name in _ALWAYS:
        return True
    given = event.arguments.get("async_op")
    return given is not None and isinstance(given.value, Const) and given.value.value is True


def _never_read(event: Event) -> str:
    """The local variable that a call's result is assigned to, if the function never mentions it again."""
    piece = event.module.positions.statement_line(event.node)
    if piece is None or not isinstance(piece.root, cst.SimpleStatementLine):
        return ""
    function = next((one for one in reversed(piece.around) if isinstance(one, cst.FunctionDef)), None)
    for small in piece.root.body:
        if isinstance(small, cst.Assign) and small.value is event.node and len(small.targets) == 1:
            target = small.targets[0].target
            if not isinstance(target, cst.Name):
                return ""
            root = function if function is not None else event.module.tree
            uses = [one for one in everything_in(root) if isinstance(one, cst.Name) and one.value == target.value]
            return target.value if len(uses) == 1 else ""
    return ""
