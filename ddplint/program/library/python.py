"""Python's built-ins and standard library: what they do to numbers, strings and the fields of objects."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from ddplint.program import arithmetic, conditions, objects, targets
from ddplint.program.events import Arguments
from ddplint.program.state import assume
from ddplint.program.values import (
    NONE,
    Class,
    Const,
    Items,
    Made,
    Method,
    Object,
    Op,
    Partial,
    Symbol,
    Unknown,
    Value,
    choose,
)

if TYPE_CHECKING:
    from ddplint.program.run import Run
from ddplint.program.library import wrapping
from ddplint.program.library.environment import copy_environ
from ddplint.program.library.models import MODELS, Model, models


def _pure(name: str) -> Model:
    def model(run: Run, arguments: Arguments, node: cst.CSTNode) -> Value:
        values = tuple(argument.value for argument in arguments.positional)
        if arguments.open or arguments.keyword or not values:
            return Unknown(f"the result of {name}()", run.origin(node), uses=values)
        if name == "len" and isinstance(values[0], Items):
            return Const(len(values[0].values), run.origin(node))
        if len(values) == 1 and name in ("min", "max"):
            if not isinstance(values[0], Items):
                return Unknown(f"the {name} of a sequence", run.origin(node), uses=values)
            values = values[0].values
        result = arithmetic.operation(name, values, run.origin(node))
        if name in ("min", "max"):
            run.checks.append(result)
        return result

    return model


for _name in ("float", "len", "min", "max", "abs", "divmod"):
    MODELS[_name] = _pure(_name)


@models("int")
def _int(run: Run, arguments: Arguments, node: cst.CSTNode) -> Value:
    value = arguments.value(None, 0)
    if value is None or len(arguments.positional) != 1:
        return Unknown("an integer", run.origin(node))
    # int(x) of an int is x; keep where x came from
    return arithmetic.integer(value, run.origin(node))


@models("str")
def _str(run: Run, arguments: Arguments, node: cst.CSTNode) -> Value:
    value = arguments.value(None, 0)
    if value is None:
        return Const("", run.origin(node))
    return value if value.type == "str" else arithmetic.operation("str", (value,), run.origin(node))


@models("bool")
def _bool(run: Run, arguments: Arguments, node: cst.CSTNode) -> Value:
    value = arguments.value(None, 0)
    if value is None:
        return Unknown("a truth", run.origin(node))
    test = conditions.as_condition(value)
    return test if test.type == "bool" else arithmetic.operation("bool", (test,), run.origin(node))


@models("range")
def _range(run: Run, arguments: Arguments, node: cst.CSTNode) -> Value:
    values = [argument.value for argument in arguments.positional]
    if not values:
        return Unknown("a range", run.origin(node))
    start = values[0] if len(values) > 1 else Const(0)
    stop = values[1] if len(values) > 1 else values[0]
    step = values[2] if len(values) > 2 else Const(1)
    return Op("range", (start, stop, step), "sequence", run.origin(node))


@models("list", "tuple", "iter")
def _same_sequence(run: Run, arguments: Arguments, node: cst.CSTNode) -> Value:
    value = arguments.value(None, 0)
    if isinstance(value, (Items, Op)):
        return value
    return Made(_callee(node) or "iter", arguments, run.origin(node))


@models("enumerate")
def _enumerate(run: Run, arguments: Arguments, node: cst.CSTNode) -> Value:
    value = arguments.value(None, 0)
    if isinstance(value, Items):
        return Items(tuple(Items((Const(i), item)) for i, item in enumerate(value.values)), run.origin(node))
    return Op("enumerate", (value,) if value else (), "sequence", run.origin(node))


@models("zip")
def _zip(run: Run, arguments: Arguments, node: cst.CSTNode) -> Value:
    rows = [argument.value.values for argument in arguments.positional if isinstance(argument.value, Items)]
    if len(rows) == len(arguments.positional) and rows:
        return Items(tuple(Items(row) for row in zip(*rows, strict=False)), run.origin(node))
    return Made("zip", arguments, run.origin(node))


@models("dict", "types.SimpleNamespace", "argparse.Namespace", "easydict.EasyDict", "omegaconf.OmegaConf.create")
def _dict(run: Run, arguments: Arguments, node: cst.CSTNode) -> Value:
    made = Object("dict" if _callee(node) == "dict" else "instance", run.origin(node))
    first = arguments.value(None, 0)
    if isinstance(first, Object) and first.kind in ("namespace", "environ", "config"):
        return first if first.kind != "environ" else copy_environ(run, first, node)
    if isinstance(first, Object):
        targets.update(run, made, first, node)
    elif first is not None or arguments.open:
        return Unknown("a mapping", run.origin(node))
    for key, argument in arguments.keyword.items():
        run.state.write(made.fields, key, argument.value)
    return made


def _callee(node: cst.CSTNode) -> str:
    return node.func.value if isinstance(node, cst.Call) and isinstance(node.func, cst.Name) else ""


@models("copy.copy", "copy.deepcopy", "dataclasses.asdict", "attr.asdict")
def _copy(run: Run, arguments: Arguments, node: cst.CSTNode) -> Value:
    value = arguments.value(None, 0)
    if isinstance(value, Object) and value.kind != "environ":
        return Object(value.kind, run.origin(node), value.cls, value.parser, dict(value.fields))
    return _view(run, arguments, node)


@models("omegaconf.OmegaConf.load", "omegaconf.OmegaConf.merge", "omegaconf.OmegaConf.from_cli")
def _configuration(run: Run, arguments: Arguments, node: cst.CSTNode) -> Value:
    return Object("config", run.origin(node))


@models("vars", "omegaconf.OmegaConf.to_container")
def _view(run: Run, arguments: Arguments, node: cst.CSTNode) -> Value:
    value = arguments.value(None, 0)
    if isinstance(value, Object) and value.kind == "environ":
        return copy_environ(run, value, node)
    if isinstance(value, Object):
        return value
    return Unknown("a view of an object", run.origin(node))


@models("getattr")
def _getattr(run: Run, arguments: Arguments, node: cst.CSTNode) -> Value:
    owner, name = arguments.value(None, 0), arguments.value(None, 1)
    if owner is None or not (isinstance(name, Const) and isinstance(name.value, str)):
        return Unknown("an attribute of unknown name", run.origin(node))
    default = arguments.value(None, 2)
    if default is not None and run.wrapped:
        there = wrapping.has(run, owner, name.value, run.origin(node))
        if there.type == "bool" and not isinstance(there, Unknown):
            return _either(run, there, owner, name.value, default, node)
    found = objects.attribute(run, owner, name.value, run.origin(node))
    if isinstance(found, Method) and default is not None:
        return Unknown(f"the attribute {name.value}", run.origin(node))
    return found


def _either(run: Run, there: Value, owner: Value, name: str, default: Value, node: cst.CSTNode) -> Value:
    """``getattr(model, "module", model)``: the attribute where it exists."""
    known = conditions.truth(there)
    if known is False:
        return default
    path = run.state.path
    run.state.path = assume(path, there, True)
    found = objects.attribute(run, owner, name, run.origin(node))
    run.state.path = path
    return found if known else choose(there, found, default, run.origin(node))


@models("isinstance")
def _isinstance(run: Run, arguments: Arguments, node: cst.CSTNode) -> Value:
    value, cls = arguments.value(None, 0), arguments.value(None, 1)
    if value is not None and cls is not None:
        found = wrapping.is_instance(run, value, cls, run.origin(node))
        if found is not None:
            return found
    return Made("isinstance", arguments, run.origin(node))


@models("setattr")
def _setattr(run: Run, arguments: Arguments, node: cst.CSTNode) -> Value:
    owner, name, value = arguments.value(None, 0), arguments.value(None, 1), arguments.value(None, 2)
    if owner is not None and value is not None and isinstance(name, Const) and isinstance(name.value, str):
        objects.set_attribute(run, owner, name.value, value)
    return NONE


@models("hasattr")
def _hasattr(run: Run, arguments: Arguments, node: cst.CSTNode) -> Value:
    owner, name = arguments.value(None, 0), arguments.value(None, 1)
    if isinstance(owner, Object) and isinstance(name, Const) and isinstance(name.value, str):
        found = objects.attribute(run, owner, name.value, run.origin(node))
        if not isinstance(found, Method):
            return Const(True, run.origin(node))
    if owner is not None and isinstance(name, Const) and isinstance(name.value, str):
        return wrapping.has(run, owner, name.value, run.origin(node))
    return Unknown("whether an attribute exists", run.origin(node))


@models("deepspeed.add_config_arguments", "deepspeed.add_tuning_arguments")
def _same_parser(run: Run, arguments: Arguments, node: cst.CSTNode) -> Value:
    return arguments.value("parser", 0) or Unknown("a parser", run.origin(node))


@models("functools.partial")
def _partial(run: Run, arguments: Arguments, node: cst.CSTNode) -> Value:
    if not arguments.positional or arguments.open:
        return Unknown("a partial call", run.origin(node))
    rest = tuple(argument.value for argument in arguments.positional[1:])
    keyword = {key: argument.value for key, argument in arguments.keyword.items()}
    return Partial(arguments.positional[0].value, rest, keyword, run.origin(node))


@models("dataclasses.fields", "attr.fields")
def _fields(run: Run, arguments: Arguments, node: cst.CSTNode) -> Value:
    owner = arguments.value(None, 0)
    facts = owner.facts if isinstance(owner, Class) else owner.cls if isinstance(owner, Object) else None
    if facts is None:
        return Unknown("the fields of a class", run.origin(node))
    made = []
    for name, declaration, default in objects.declared_fields(run, facts):
        described: dict[object, Value] = {"name": Const(name, run.origin(declaration)), "default": default or NONE}
        made.append(Object("instance", run.origin(declaration), fields=described))
    return Items(tuple(made), run.origin(node))


@models("sys.exit", "os._exit", "exit", "quit", "os.abort")
def _exit(run: Run, arguments: Arguments, node: cst.CSTNode) -> Value:
    from ddplint.program.run import PathEnds

    status = arguments.value("status", 0)
    # A launcher that sees one process fail ends the others: torchrun, mp.spawn, srun --kill-on-bad-exit.
    good = status is None or (isinstance(status, Const) and status.value in (0, None))
    run.mark("exit" if good else "raise", node)
    raise PathEnds


@models("socket.gethostname", "platform.node", "socket.getfqdn")
def _hostname(run: Run, arguments: Arguments, node: cst.CSTNode) -> Value:
    return Symbol("hostname", run.origin(node)) if not arguments.positional else Unknown("a name", run.origin(node))
