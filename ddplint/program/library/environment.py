"""``os.environ`` in every spelling, and copies of it that are handed to children."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from ddplint.program import targets
from ddplint.program.events import Argument, Arguments
from ddplint.program.state import assume
from ddplint.program.values import (
    NONE,
    Const,
    Object,
    Unknown,
    Value,
    choose,
)

if TYPE_CHECKING:
    from ddplint.program.run import Run
from ddplint.program.library.models import models


@models("os.getenv")
def _getenv(run: Run, arguments: Arguments, node: cst.CSTNode) -> Value:
    return get_variable(run, run.environ, arguments, node)


def get_variable(run: Run, environ: Object, arguments: Arguments, node: cst.CSTNode) -> Value:
    key = arguments.value("key", 0)
    default = arguments.value("default", 1) or NONE
    origin = run.origin(node)
    if not (isinstance(key, Const) and isinstance(key.value, str)):
        return Unknown("a variable of unknown name", origin)
    has = run.has_variable(environ, key.value, origin)
    value = run.read_variable(environ, key.value, origin, required=False)
    return choose(has, value, default, origin)


@models("os.putenv")
def _putenv(run: Run, arguments: Arguments, node: cst.CSTNode) -> Value:
    key, value = arguments.value(None, 0), arguments.get(None, 1)
    if key is not None and value is not None:
        run.store_variable(run.environ, key, value, node)
    return NONE


def copy_environ(run: Run, environ: Object, node: cst.CSTNode) -> Object:
    return Object("environ", run.origin(node), fields=dict(environ.fields))


def environ_method(run: Run, environ: Object, name: str, arguments: Arguments, node: cst.CSTNode) -> Value | None:
    key = arguments.get("key", 0)
    if name == "get":
        return get_variable(run, environ, arguments, node)
    if name == "copy":
        return copy_environ(run, environ, node)
    if name == "update":
        if key is not None:
            targets.update(run, environ, key.value, key.node)
        for word, argument in arguments.keyword.items():
            run.store_variable(environ, Const(word), argument, argument.node)
        return NONE
    if key is None or not (isinstance(key.value, Const) and isinstance(key.value.value, str)):
        return None
    variable, origin = key.value.value, run.origin(node)
    if name == "setdefault":
        default = arguments.get("value", 1) or Argument(NONE, node)
        has = run.has_variable(environ, variable, origin)
        old = run.read_variable(environ, variable, origin, required=False)
        path = run.state.path
        run.state.path = assume(path, has, False)
        run.record("store", node, {"value": default}, name=variable)
        run.state.path = path
        value = choose(has, old, default.value, origin)
        run.state.write(environ.fields, variable, value)
        return value
    if name == "pop":
        value = run.read_variable(environ, variable, origin, required=False)
        run.state.write(environ.fields, variable, Const(None, origin))
        return value
    return None
