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
from ddplint.program.world import World


@dataclass(frozen=True, slots=True)
class Parting:
    """One place where processes part.

    ``kind`` is ``branch``, ``exit``, ``loop``, ``group`` (``new_group``), ``sharded`` (the state of a sharded model),
    ``forward`` (of a sharded model) or ``buffers`` (the forward pass of a DDP model, which shares its buffers).

    ``origin`` is where the mistake is written. ``message`` says who does what, ``waits`` who waits for whom then, and
    ``notes`` where it is to be seen.
    """

    kind: str
    event: Event
    origin: Origin
    message: str
    waits: str
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
    here, there = sides(program, found)
    does = f"{here.opening} {here.verb('run' if event.name == '__call__' else 'call')} {collectives.phrase(event)}"
    if event.name.endswith(".destroy_process_group"):
        message, waits = f"{does} here and {there.name} {there.verb('do')} not", "the next collective fails or waits"
    else:
        goes = f"{there.verb('do')} not"
        own = collectives.phrase(event)
        if found.instead is not None and kind != "group" and collectives.phrase(found.instead) != own:
            goes = f"{there.verb('go')} on to {collectives.phrase(found.instead)} instead"
        message = f"{does} here and {there.name} {goes}"
        waits = f"{here.short} {here.verb('wait')} for {'the others' if there.several else 'it'}"
    return Parting(kind, event, origin, message, waits, tuple(_notes(program, found, origin, there)))


def _exit(program: Program, found: Divergence) -> Parting:
    leave = found.leave
    assert leave is not None
    origin = Origin(leave.module, leave.node)
    here, there = sides(program, found)
    verb, rest = _HOW[leave.kind]
    message = f"{there.opening} {there.verb(verb)}{rest} here and {here.name}"
    waits = f"{here.verb('wait')} for {there.pronoun} in {collectives.phrase(found.event)}"
    return Parting("exit", found.event, origin, message, waits, tuple(_notes(program, found, origin, there)))


_HOW = {
    "return": ("return", ""),
    "raise": ("raise", ""),
    "exit": ("end", ""),
    "break": ("leave", " the loop"),
    "continue": ("go", " on to the next pass"),
}


def _loop(program: Program, found: Uneven) -> Parting:
    event = found.event
    origin = Origin(event.module, event.node)
    for call in event.calls:
        if _inside(call.origin.node, found.loop.node):
            origin = call.origin
            break
    here, there = Side((found.here,)), Side((found.there,))
    message = (
        f"{here.opening} calls {collectives.phrase(event)} {_times(found.more)} in this loop and "
        f"{there.name} {_times(found.fewer)}"
    )
    notes = [program.note("the loop is not equally long on all ranks", Origin(found.loop.module, found.loop.node))]
    return Parting("loop", event, origin, message, f"{here.short} waits for {there.pronoun}", tuple(notes))


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


def _notes(program: Program, found: Divergence, at: Origin, there: Side) -> Iterator[Note]:
    for condition in found.deciding[:2]:
        if condition.origin is not None:
            apart = len(set(program.worlds.holds(condition, found.event.context))) > 1
            what = "tells the ranks apart" if apart else "decides as well"
            yield program.note(f"`{code(condition.origin)}` {what}", condition.origin)
    if found.event.node is not at.node:
        what = f"{collectives.phrase(found.event)} is {'run' if found.event.name == '__call__' else 'called'}"
        yield program.note(what, Origin(found.event.module, found.event.node))
    if found.instead is not None:
        what = f"{there.name} {there.verb('go')} on to {collectives.phrase(found.instead)}"
        yield program.note(what, Origin(found.instead.module, found.instead.node))


# -- who ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Side:
    """Processes that do the same, in words; ``several`` are named by what they have in common.

    ``first`` is the name where nobody else was named before.
    """

    worlds: tuple[World, ...]
    several: str = ""
    first: str = ""

    @property
    def name(self) -> str:
        return self.several or str(self.worlds[0])

    @property
    def opening(self) -> str:
        """The name at the beginning of a sentence."""
        name = self.first or self.name
        return name[0].upper() + name[1:]

    @property
    def short(self) -> str:
        """The name where it is said for the second time."""
        return "they" if self.several else f"rank {self.worlds[0].rank}"

    @property
    def pronoun(self) -> str:
        return "them" if self.several else "it"

    def verb(self, plain: str) -> str:
        """A verb in the present, as it agrees with the name."""
        return plain if self.several else f"{plain}es" if plain in ("do", "go") else f"{plain}s"


def sides(program: Program, found: Divergence) -> tuple[Side, Side]:
    """Who executes a collective, and who does not.

    What three processes show is said of all where it holds for every process of a larger job.
    """
    crowd = program.worlds.crowd(found.event.context)
    path, stays = found.event.path, False
    if found.leave is not None and Trace.standing(path, found.there)[0] is not False:
        path, stays = found.leave.path, True  # it leaves a loop, and has been at the collective itself before
    gone = [world for world in crowd if Trace.standing(path, world.assuming(found.there.assumed))[0] is stays]
    ranks = {world.rank for world in gone}
    others = [
        world
        for world in crowd
        if world.rank not in ranks and Trace.standing(path, world.assuming(found.here.assumed))[0] is not stays
    ]
    if len(gone) + len(others) == len(crowd):
        for few, many in ((others, gone), (gone, others)):
            if few and {world.rank for world in few} == {0}:
                one, rest = Side((few[0],)), Side(tuple(many), "the other ranks", "all ranks but 0")
            elif {world.rank for world in few} == {world.rank for world in crowd if world.local == 0}:
                name = "the first ranks of all nodes"
                one = Side(tuple(few), name, name)
                rest = Side(tuple(many), "the other ranks", "all ranks but the first of each node")
            else:
                continue
            return (one, rest) if few is others else (rest, one)
    return Side((found.here,)), Side((found.there,))
