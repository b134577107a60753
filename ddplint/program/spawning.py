"""How a script starts its workers: whether a worker that imports it starts workers again, and what it is given."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import libcst as cst

from ddplint.program.events import Argument, Event
from ddplint.program.imports import dotted_name
from ddplint.program.program import Program
from ddplint.program.state import steps
from ddplint.program.values import (
    Const,
    Function,
    Index,
    Input,
    Items,
    Object,
    Op,
    Origin,
    Symbol,
    Unknown,
    Value,
    walk,
)

_SPAWNS = ("torch.multiprocessing.spawn", "torch.multiprocessing.start_processes")
_PROCESSES = ("multiprocessing.Process", "torch.multiprocessing.Process")
_CHOOSE = ("get_context", "set_start_method")
# Start methods whose workers import the script anew: Python 3.11, multiprocessing/spawn.py, forkserver.py.
_IMPORTS = ("spawn", "forkserver")


def unguarded(program: Program) -> Iterator[tuple[Event, Origin]]:
    """Starts of workers that a worker gets to as well, when it imports the script; and the statement on its top level.

    Python raises a RuntimeError in every worker then.
    """
    if program.path.endswith(".ipynb"):
        return  # a worker cannot import it at all
    module = program.module
    events = [event for event in program.entry_run.events if starts(event) and not event.context]
    places = [(event, _outermost(event)) for event in events if start_method(program, event) in _IMPORTS]
    places = [(event, place) for event, place in places if place.module is module]
    if not places:
        return
    run = program.project.new_run(module, started=False)
    run.load(module)
    again = {id(event.node): event for event in run.events if starts(event)}
    seen: set[int] = set()
    for event, place in places:
        other = again.get(id(event.node))
        if other is None or id(place.node) in seen or any(_is_unknown(one) for one, _ in steps(other.path)):
            continue
        seen.add(id(place.node))
        yield event, place


def starts(event: Event) -> bool:
    """Whether a call starts workers, or makes a process that is started later."""
    return event.kind == "call" and (event.name in _SPAWNS or event.name in _PROCESSES)


def _outermost(event: Event) -> Origin:
    return event.calls[0].origin if event.calls else Origin(event.module, event.node)


def _is_unknown(condition: Value) -> bool:
    return any(isinstance(part, Unknown) for part in walk(condition))


def start_method(program: Program, event: Event) -> str | None:
    """How a call starts its workers: ``spawn``, ``fork`` or ``forkserver``; None where it is not known."""
    if event.name in _SPAWNS:
        given = event.arguments.get("start_method")
        return "spawn" if given is None and "open" not in event.arguments else _text(given)
    chosen = [
        _text(one.arguments.get("method"))
        for one in program.entry_run.events
        if one.kind == "call" and one.name.rpartition(".")[2] in _CHOOSE and one.order < event.order
    ]
    if not chosen:
        return None  # fork on Linux before Python 3.14, forkserver from then on
    return chosen[0] if len(set(chosen)) == 1 else None


def chooses(program: Program) -> bool:
    """Whether the script chooses a start method anywhere, in a way that may not be known."""
    words = ("set_start_method", "get_context", "forkserver")
    return any(module.words & set(words) for module in program.modules)


def _text(argument: Argument | None) -> str | None:
    value = argument.value if argument is not None else None
    return value.value if isinstance(value, Const) and isinstance(value.value, str) else None


# -- what a worker is given ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Misfit:
    """A worker that dies as soon as it starts. ``kind`` is ``called``, ``single``, ``count`` or ``local``.

    ``count``: the worker is handed ``given`` arguments and takes ``least`` to ``most`` (None: any number of them).
    """

    event: Event
    kind: str
    place: Argument
    function: Function | None = None
    given: int = 0
    least: int = 0
    most: int | None = None


def misfits(program: Program) -> Iterator[Misfit]:
    """Calls that start workers with a function and arguments that do not fit, each once."""
    seen: set[int] = set()
    for event in program.events("call"):
        if starts(event) and "open" not in event.arguments and id(event.node) not in seen:
            found = _misfit(program, event)
            if found is not None:
                seen.add(id(event.node))
                yield found


def _misfit(program: Program, event: Event) -> Misfit | None:
    target = event.arguments.get("fn" if event.name in _SPAWNS else "target")
    args = event.arguments.get("args")
    if target is None:
        return None
    if isinstance(target.node, cst.Call) and isinstance(target.value, Const) and target.value.value is None:
        return Misfit(event, "called", target)
    function = target.value if isinstance(target.value, Function) else None
    nested = function is not None and function.facts.outer is not None and function.bound is None
    if (nested or isinstance(target.node, cst.Lambda)) and start_method(program, event) in _IMPORTS:
        return Misfit(event, "local", target, function)
    signature = _signature(function) if function is not None else None
    if args is not None and _is_single(args):
        return Misfit(event, "single", args, function, *(_counted(event, 1, signature) if signature else (0, 0, None)))
    if signature is None or (args is not None and not isinstance(args.value, Items)) or "kwargs" in event.arguments:
        return None
    count = len(args.value.values) if args is not None and isinstance(args.value, Items) else 0
    given, least, most = _counted(event, count, signature)
    if least <= given and (most is None or given <= most):
        return None
    return Misfit(event, "count", args or target, function, given, least, most)


def _counted(event: Event, count: int, signature: tuple[int, int | None]) -> tuple[int, int, int | None]:
    # torch 2.13, torch/multiprocessing/spawn.py: fn(i, *args)
    return count + (event.name in _SPAWNS), *signature


def _signature(function: Function) -> tuple[int, int | None] | None:
    """How many positional arguments a function takes, at least and at most; None where something may change that."""
    params = function.facts.node.params
    if function.facts.node.decorators or any(param.default is None for param in params.kwonly_params):
        return None
    positional = [*params.posonly_params, *params.params]
    bound = function.bound is not None
    least = sum(param.default is None for param in positional) - bound
    return least, None if isinstance(params.star_arg, cst.Param) else len(positional) - bound


def _is_single(args: Argument) -> bool:
    """Whether ``args`` is certainly no sequence: ``args=(world_size)``."""
    value = args.value
    if isinstance(value, Const):
        return isinstance(value.value, (int, float))
    if isinstance(value, (Symbol, Index, Op)):
        return value.type in ("int", "float", "bool")
    if isinstance(value, Input):
        return value.type in ("int", "float", "bool")
    return isinstance(value, Object) and value.kind == "namespace" and value.cls is None


def first_parameter(function: Function) -> str:
    """The name of the parameter that a worker's index goes to."""
    params = function.facts.node.params
    positional = [*params.posonly_params, *params.params][function.bound is not None :]
    return positional[0].name.value if positional else ""


def called(event: Event) -> str:
    """How the script says the function that starts the workers."""
    return dotted_name(event.node.func) if isinstance(event.node, cst.Call) else event.name
