"""Which rule a parting of the processes belongs to, and the places and words that explain it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import libcst as cst

from ddplint.findings import Note
from ddplint.program.events import Event
from ddplint.program.imports import dotted_name
from ddplint.program.library import collectives
from ddplint.program.passes import Uneven, departures, uneven
from ddplint.program.program import Program
from ddplint.program.state import steps
from ddplint.program.traces import Divergence, Trace, traces
from ddplint.program.values import Origin, Value
from ddplint.program.words import code
from ddplint.program.worlds import World


@dataclass(frozen=True, slots=True)
class Parting:
    """One place where processes part.

    ``kind`` is ``branch``, ``exit``, ``loop``, ``group`` (``new_group``), ``sharded`` (the state of a sharded model),
    ``forward`` (of a sharded model) or ``buffers`` (the forward pass of a DDP model, which shares its buffers).

    ``origin`` is where the mistake is written, ``message`` and ``notes`` tell the two ways.
    """

    kind: str
    event: Event
    origin: Origin
    message: str
    notes: tuple[Note, ...]


def partings(program: Program) -> tuple[Parting, ...]:
    """All places of a program where some processes go to a collective and others do not, each once."""
    if program.evidence.test:
        return ()
    found: dict[int, Parting] = {}
    for trace in traces(program, program.collectives.name):
        for one in _of(program, trace):
            found.setdefault(id(one.origin.node), one)
    for trace in traces(program, program.collectives.forward):
        for divergence in trace.divergences():
            model = divergence.event.arguments["self"].value.origin
            if model is not None and any(one.event.node is model.node for one in found.values()):
                continue  # not even made on every rank
            one = replace(_branch(program, divergence), kind="buffers")
            found.setdefault(id(one.origin.node), one)
    return tuple(found.values())


def _of(program: Program, trace: Trace) -> Iterator[Parting]:
    exits: set[int] = set()
    for divergence in trace.divergences():
        if divergence.leave is None:
            yield _branch(program, divergence)
        elif id(divergence.leave.node) not in exits:
            exits.add(id(divergence.leave.node))
            yield _exit(program, divergence)
    for divergence in departures(trace):
        if divergence.leave is not None and id(divergence.leave.node) not in exits:
            yield _exit(program, divergence)
    for one in uneven(trace):
        yield _loop(program, one)


def _branch(program: Program, found: Divergence) -> Parting:
    event = found.event
    kind = "branch"
    if event.kind == "call" and event.name.endswith(".new_group"):
        kind = "group"
    elif event.kind == "method" and event.name == "__call__":
        kind = "forward"
    elif collectives.is_sharded(event):
        kind = "sharded"
    origin = _guarded(event, found.deciding)
    instead = ""
    if found.instead is not None:
        instead = f": it goes on to {collectives.phrase(found.instead)}"
    message = (
        f"{_capital(_who(found.here))} calls {collectives.phrase(event)} here and {_who(found.there)} does not{instead}"
    )
    return Parting(kind, event, origin, message, tuple(_notes(program, found, origin)))


def _exit(program: Program, found: Divergence) -> Parting:
    leave = found.leave
    assert leave is not None
    origin = Origin(leave.module, leave.node)
    how = _HOW[leave.kind]
    # In a departure the process that stays is the one that waits; the message reads the same.
    message = (
        f"{_capital(_who(found.there))} {how} here, and {_who(found.here)} waits for it in "
        f"{collectives.phrase(found.event)}"
    )
    return Parting("exit", found.event, origin, message, tuple(_notes(program, found, origin)))


_HOW = {
    "return": "returns",
    "raise": "raises",
    "exit": "ends",
    "break": "leaves the loop",
    "continue": "goes on to the next pass",
}


def _loop(program: Program, found: Uneven) -> Parting:
    event = found.event
    origin = Origin(event.module, event.node)
    for call in event.calls:
        if _inside(call.origin.node, found.loop.node):
            origin = call.origin
            break
    message = (
        f"{_capital(_who(found.here))} calls {collectives.phrase(event)} {_times(found.more)} in this loop and "
        f"{_who(found.there)} {_times(found.fewer)}"
    )
    notes = [program.note("how often hangs on the rank", Origin(found.loop.module, found.loop.node))]
    return Parting("loop", event, origin, message, tuple(notes))


def _inside(node: cst.CSTNode, loop: cst.CSTNode) -> bool:
    from ddplint.program.walk import everything_in

    return any(one is node for one in everything_in(loop))


def _times(count: int) -> str:
    return {0: "not at all", 1: "once", 2: "twice"}.get(count, f"{count} times")


def _guarded(event: Event, deciding: Sequence[Value]) -> Origin:
    """Where the guarded code is written: the outermost call of a named function that is made behind the conditions."""
    ids = {condition.id for condition in deciding}
    for call in event.calls:
        behind = {condition.id for condition, _ in steps(call.path)}
        written = call.origin.node
        name = dotted_name(written.func).rpartition(".")[2] if isinstance(written, cst.Call) else ""
        if ids & behind and call.facts is not None and name == call.facts.name:
            return call.origin
    return Origin(event.module, event.node)


def _notes(program: Program, found: Divergence, at: Origin) -> Iterator[Note]:
    for condition in found.deciding[:2]:
        if condition.origin is not None:
            yield program.note(f"`{code(condition.origin)}` tells the ranks apart", condition.origin)
    if found.event.node is not at.node:
        yield program.note(f"{collectives.phrase(found.event)} is called", Origin(found.event.module, found.event.node))
    if found.instead is not None:
        what = f"{_who(found.there)} goes on to {collectives.phrase(found.instead)}"
        yield program.note(what, Origin(found.instead.module, found.instead.node))


def _who(world: World) -> str:
    if world.rank == 0:
        return "rank 0"
    place = "the first process of node 1" if world.local == 0 else "the second process of node 0"
    return f"rank {world.rank} ({place})"


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
