"""Methods of things that are not instances of project classes: parsers, dicts, strings, models."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import libcst as cst

from ddplint.program import arithmetic, following, objects, operators, options, targets
from ddplint.program.events import Arguments
from ddplint.program.values import (
    ANY_KEY,
    NONE,
    Class,
    Const,
    Input,
    Items,
    Made,
    Method,
    Object,
    Unknown,
    Value,
)

if TYPE_CHECKING:
    from ddplint.program.run import Run
from ddplint.program.library import calls, feeds, wrapping
from ddplint.program.library.devices import place, use_device
from ddplint.program.library.environment import environ_method

# Names of calls that may hold a collective, where nothing else is known of them: accelerator.wait_for_everyone().
MAY_MEET = re.compile(r"barrier|reduce|gather|broadcast|scatter|sync|wait")


def call_method(run: Run, method: Method, arguments: Arguments, node: cst.CSTNode) -> Value:
    """A call ``owner.name(...)`` where the owner is not an instance of a project class."""
    owner, name = method.owner, method.name
    origin = run.origin(node)
    calls.record_method(run, method, arguments, node)
    if isinstance(owner, Object):
        found = _object_method(run, owner, name, arguments, node)
        if found is not None:
            return found
    if name == "format" and isinstance(owner, Const) and isinstance(owner.value, str):
        return _format(run, owner.value, arguments, node)
    if name in arithmetic.STRING_METHODS and (owner.type == "str" or arithmetic.may_be_variable(owner)):
        values = tuple(argument.value for argument in arguments.positional)
        return arithmetic.operation(name, (owner, *values), origin)
    if name == "item" and not arguments.positional:
        return owner
    if name == "getsockname":
        # an address and a port: socket(7); the port is an int
        return Items((Unknown("an address", origin, type="str"), Unknown("a free port", origin, type="int")), origin)
    if name in ("cuda", "to") and not isinstance(owner, Const):
        place(run, arguments.get("device", 0), node, name)
    if name in calls.MOVES and isinstance(owner, (Made, Object)):
        calls.record_move(run, method, arguments, node)
    if name == "__init__" and isinstance(owner, Object):
        feeds.derived(run, owner, arguments, node)
    elif run.feeds:
        following.hand_over(run, name, arguments, node)
    if name in ("cuda", "to") and not isinstance(owner, (Object, Const)):
        use_device(run, arguments.get("device", 0), node, name)
        return owner
    if name in wrapping.SAME and wrapping.is_model(run, owner):
        return owner
    if name == "get" and isinstance(owner, Input) and owner.spec is None:
        key = arguments.value(None, 0)
        return (
            objects.attribute(run, owner, str(key.value), origin)
            if isinstance(key, Const)
            else Unknown("a field", origin)
        )
    if isinstance(owner, Class) and name == "parse_args":
        return options.filled_instance(run, owner.facts, origin)
    if isinstance(owner, (Unknown, Input)) and MAY_MEET.search(name):
        run.mark("opaque", node)
    uses = (owner, *(argument.value for argument in (*arguments.positional, *arguments.keyword.values())))
    # what belongs to an object of the project may remember anything; the rest gives the same for the same
    return Unknown(f"what .{name}() returns", origin, uses=uses, shared=not isinstance(owner, Object))


def _object_method(run: Run, owner: Object, name: str, arguments: Arguments, node: cst.CSTNode) -> Value | None:
    if owner.kind == "parser":
        return options.parser_method(run, owner, name, arguments, node)
    if owner.kind == "environ":
        return environ_method(run, owner, name, arguments, node)
    if owner.kind in ("config", "namespace") and name == "get":
        key = arguments.value(None, 0)
        if isinstance(key, Const) and isinstance(key.value, str):
            return objects.attribute(run, owner, key.value, run.origin(node))
    if name in ("items", "keys", "values") and owner.kind in ("dict", "instance"):
        pairs = [(Const(key), value) for key, value in owner.fields.items() if isinstance(key, (str, int))]
        origin = run.origin(node)
        if name == "items":
            return Items(tuple(Items(pair) for pair in pairs), origin)
        return Items(tuple(pair[0 if name == "keys" else 1] for pair in pairs), origin)
    if owner.kind != "dict":
        return None
    key = arguments.value(None, 0)
    if name == "update":
        if key is not None:
            targets.update(run, owner, key, node)
        for word, argument in arguments.keyword.items():
            run.state.write(owner.fields, word, argument.value)
        return NONE
    if name == "copy":
        return Object("dict", run.origin(node), fields=dict(owner.fields))
    if name in ("get", "pop", "setdefault") and isinstance(key, Const):
        found = owner.fields.get(key.value) or owner.fields.get(ANY_KEY)
        default = arguments.value(None, 1) or NONE
        if name == "setdefault" and found is None:
            run.state.write(owner.fields, key.value, default)
        if name == "pop" and found is not None:
            run.state.write(owner.fields, key.value, Unknown("an item that was taken out", run.origin(node)))
        return found or default
    return None


def _format(run: Run, pattern: str, arguments: Arguments, node: cst.CSTNode) -> Value:
    """``"tcp://{}:{}".format(host, port)``, by position or by name."""
    pieces = re.split(r"\{([^{}]*)\}", pattern)
    parts: list[Value] = []
    automatic = 0
    for position, piece in enumerate(pieces):
        if position % 2 == 0:
            if piece:
                parts.append(Const(piece, run.origin(node)))
            continue
        field = piece.partition(":")[0].partition("!")[0]
        if field == "":
            value = arguments.value(None, automatic)
            automatic += 1
        elif field.isdigit():
            value = arguments.value(None, int(field))
        else:
            value = arguments.value(field)
        parts.append(value or Unknown(f"the field {{{field}}}", run.origin(node)))
    return operators.text(run, parts, node)
