"""What a script does to the outside world while it is executed symbolically: the facts that rules ask for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import libcst as cst

from ddplint.program.module import FunctionFacts, Module
from ddplint.program.state import Path
from ddplint.program.values import Index, Origin, Value


@dataclass(frozen=True, slots=True)
class Argument:
    """A value handed to a call, and the expression it was written as."""

    value: Value
    node: cst.CSTNode


@dataclass(frozen=True, slots=True)
class Arguments:
    """The arguments of one call. ``open`` says that some came through a ``*`` or ``**`` that is not known.

    ``spread`` is the namespace of ``**vars(args)``: any parameter may be a field of it.
    """

    positional: tuple[Argument, ...] = ()
    keyword: Mapping[str, Argument] = field(default_factory=dict)
    open: bool = False
    spread: Value | None = None

    def get(self, name: str | None, index: int | None = None) -> Argument | None:
        """The argument of that name, else the one at that place."""
        if name is not None and name in self.keyword:
            return self.keyword[name]
        if index is not None and index < len(self.positional):
            return self.positional[index]
        return None

    def value(self, name: str | None, index: int | None = None) -> Value | None:
        """The value of :meth:`get`."""
        found = self.get(name, index)
        return found.value if found else None


@dataclass(frozen=True, slots=True)
class Spawn:
    """Processes that the script starts itself: ``count`` of them by one call or loop, told apart by ``index``.

    ``kind`` is ``spawn`` (``mp.spawn``), ``process`` (``Process``) or ``command`` (``subprocess`` with an environment).
    ``index`` is None where nothing tells the children apart that the model can see.
    """

    kind: str
    module: Module
    node: cst.CSTNode
    count: Argument | None
    index: Index | None


@dataclass(frozen=True, slots=True)
class Frame:
    """A function being executed when something happened: who called it, and its names with their values just then.

    ``fields`` are those of the objects among them, by the object's ``id``. ``facts`` and ``call`` are None for the
    top level of a module. ``context`` is the kind of process it runs in.
    """

    module: Module
    facts: FunctionFacts | None
    call: Origin | None
    names: Mapping[object, Value]
    fields: Mapping[int, Mapping[object, Value]]
    context: tuple[Spawn, ...]


class Call(NamedTuple):
    """A call that led to an event: where it is written, which function it executes, on which path it was made."""

    origin: Origin
    facts: FunctionFacts | None
    path: Path | None


@dataclass(frozen=True, slots=True)
class Mark:
    """A step of the way that is no event: a place where processes leave, a loop, or a call that is not followed.

    ``kind`` is ``return``, ``raise``, ``exit``, ``break``, ``continue``, ``loop`` (``value`` is what it runs over) or
    ``opaque``. ``order`` is the number of events before it, ``nest`` the function bodies and loops around it, by
    number, outermost first; a loop's own number is the last of its mark. ``caught``: a `try` of the script with
    handlers is around it.
    """

    kind: str
    module: Module
    node: cst.CSTNode
    path: Path | None
    context: tuple[Spawn, ...]
    order: int
    entry: int
    nest: tuple[int, ...]
    value: Value | None = None
    caught: bool = False


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened at one place: which arguments, on which path, in which kind of process.

    ``kind`` is one of ``init`` (``init_process_group``), ``spawn``, ``command`` (a child started with an environment
    of its own), ``device`` (a GPU chosen by index), ``placed`` (something put on a device, whichever), ``store`` (a
    write to ``os.environ``), ``wrap`` (DDP and its like), ``managed`` (a framework starts the process group), ``rpc``
    (torch's RPC), ``mixed`` (an environment string used as a number), ``attribute`` (one that is read of a wrapped
    model: of the wrapper ``self``; with ``sometimes`` if the same name is something else in another case), ``asked``
    (the group is asked for its rank or size, ``name`` says for which), ``call`` (a function of torch that rules ask
    for, see ``library/calls.py``; ``name`` says which), ``method`` (a method of something that the model does not
    know: ``name`` says which, the argument ``self`` of what), ``iterate`` (a loop goes through a DataLoader),
    ``handed`` (a loader or sampler goes where the model does not follow it), ``set`` (``requires_grad`` is stored in
    anything, or what a library made in any attribute after a wrap: ``self`` and ``value``).
    ``calls`` are the calls that led here, outermost first, from the entry; ``entry`` counts the entries of a run,
    ``nest`` the function bodies and loops around it, by number, outermost first.
    ``within`` are the context managers of libraries around it, in all functions that led here, outermost first.
    ``frames`` are the functions that led here, outermost first; not kept for every kind.
    """

    kind: str
    module: Module
    node: cst.CSTNode
    path: Path | None
    context: tuple[Spawn, ...]
    arguments: Mapping[str, Argument] = field(default_factory=dict)
    environ: Mapping[object, Value] = field(default_factory=dict)
    name: str = ""
    order: int = 0
    frames: tuple[Frame, ...] = ()
    # The call is a statement of its own: nobody takes what it returns.
    discarded: bool = False
    calls: tuple[Call, ...] = ()
    entry: int = 0
    nest: tuple[int, ...] = ()
    within: tuple[Value, ...] = ()
