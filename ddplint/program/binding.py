"""Arguments and parameters: what a call hands over, and what a function finds under its parameters' names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from ddplint.program import objects, options
from ddplint.program.events import Argument, Arguments
from ddplint.program.module import FunctionFacts
from ddplint.program.state import Table
from ddplint.program.values import (
    NONE,
    Choice,
    Class,
    Const,
    External,
    Function,
    Items,
    Method,
    Object,
    Op,
    Origin,
    Symbol,
    Unknown,
    Value,
    choose,
)

if TYPE_CHECKING:
    from ddplint.program.run import Run


def evaluate_arguments(run: Run, call: cst.Call) -> Arguments:
    """Evaluate the arguments of a call."""
    positional: list[Argument] = []
    keyword: dict[str, Argument] = {}
    unknown = False
    spread: Value | None = None
    for arg in call.args:
        value = run.evaluate(arg.value)
        if arg.keyword is not None:
            keyword[arg.keyword.value] = Argument(value, arg.value)
        elif arg.star == "*":
            if isinstance(value, Items):
                positional += [Argument(item, arg.value) for item in value.values]
            else:
                unknown = True
        elif arg.star == "**":
            if isinstance(value, Object) and value.kind == "dict":
                for key, item in value.fields.items():
                    if isinstance(key, str):
                        keyword[key] = Argument(item, arg.value)
            elif isinstance(value, Object) and value.kind in ("namespace", "config"):
                spread = value
            else:
                unknown = True
        else:
            positional.append(Argument(value, arg.value))
    return Arguments(tuple(positional), keyword, unknown, spread)


def parameters(run: Run, function: Function, arguments: Arguments) -> Table:
    facts, params = function.facts, function.facts.node.params
    names: Table = {}
    positional = [*params.posonly_params, *params.params]
    given = [argument.value for argument in arguments.positional]
    if function.bound is not None and not objects.is_decorated(facts, "staticmethod"):
        given.insert(0, _first_argument(run, facts, function.bound))
    for param, value in zip(positional, given, strict=False):
        names[param.name.value] = value
    if isinstance(params.star_arg, cst.Param):
        names[params.star_arg.name.value] = Items(tuple(given[len(positional) :]))
    known = {param.name.value for param in (*positional, *params.kwonly_params)}
    extra: Table = {}
    for key, argument in arguments.keyword.items():
        (names if key in known else extra)[key] = argument.value
    if params.star_kwarg is not None:
        names[params.star_kwarg.name.value] = Object("dict", None, fields=extra)
    missing = [param for param in (*positional, *params.kwonly_params) if param.name.value not in names]
    if missing and facts.node.decorators:
        for name, value in options.decorator_inputs(run, facts).items():
            names.setdefault(name, value)
    for param in missing:
        name = param.name.value
        if name in names:
            continue
        if arguments.spread is not None:
            names[name] = objects.attribute(run, arguments.spread, name, Origin(facts.module, param))
            continue
        if param.default is not None and not arguments.open:
            names[name] = run.evaluate(param.default)
        else:
            names[name] = Unknown(
                f"the argument {name} of {facts.qualified}()",
                Origin(facts.module, param),
                type=_declared_type(param),
            )
    return names


def _first_argument(run: Run, facts: FunctionFacts, bound: Value) -> Value:
    """``run``, or ``cls`` for a class method."""
    if facts.cls is None or not objects.is_decorated(facts, "classmethod") or not isinstance(bound, Object):
        return bound
    cls = bound.cls or facts.cls
    return Class(cls, run.load(cls.module), bound.origin)


# Decorators of libraries whose function does nothing but on rank 0, whatever package re-exports them: lightning
# (lightning_utilities/core/rank_zero.py), mmcv (runner/dist_utils.py), mmengine (dist/utils.py).
_ONLY_FIRST = frozenset(("rank_zero_only", "master_only"))


def decorated(run: Run, function: Function) -> Value:
    """A function as its decorators leave it; those of libraries are taken to keep what it does.

    What only rank 0 does is a choice: the function there, None (which nobody can follow) elsewhere.
    """
    value: Value = function
    for decorator in reversed(function.facts.node.decorators):
        written = decorator.decorator
        if isinstance(written, cst.Call):
            made_by = run.evaluate(written.func)
            if isinstance(made_by, Method) and made_by.name == "command":
                # @app.command() of typer, @cli.command() of a click group: run when `app()` is called
                run.commands.setdefault(made_by.owner.id, []).append(function)
        changed = run.evaluate(written)
        if isinstance(changed, External) and changed.name.rpartition(".")[2] in _ONLY_FIRST:
            rank = Symbol("group_rank", changed.origin)
            value = choose(Op("eq", (rank, Const(0)), "bool", changed.origin), value, NONE)
        if isinstance(changed, Function):
            result = run.call(changed, Arguments((Argument(value, decorator),)), decorator)
            value = result if isinstance(result, (Function, Unknown)) else value
    return value


# Decorators that leave a method what it is, or change who it is bound to, which is asked elsewhere.
_PLAIN = frozenset(("staticmethod", "classmethod", "property", "cached_property", "abstractmethod", "override"))


def decorated_method(run: Run, method: Function) -> Value:
    """A method as the decorators of its class's author leave it, bound to what it was bound to."""
    facts = method.facts
    if all(_decorator_name(one) in _PLAIN for one in facts.node.decorators):
        return method
    wrapped = run.methods.get(id(facts.node))
    if wrapped is None:
        with run.within(method.scope or run.load(facts.module)):
            wrapped = decorated(run, Function(facts, method.scope, None, method.origin))
        run.methods[id(facts.node)] = wrapped
    return _bound(wrapped, method)


def _bound(wrapped: Value, method: Function) -> Value:
    if isinstance(wrapped, Function):
        return Function(wrapped.facts, wrapped.scope, method.bound, method.origin)
    if isinstance(wrapped, Choice):
        return choose(wrapped.condition, _bound(wrapped.then, method), _bound(wrapped.other, method))
    return method if isinstance(wrapped, Unknown) else wrapped


def _decorator_name(node: cst.Decorator) -> str:
    written = node.decorator
    if isinstance(written, cst.Attribute):
        return written.attr.value
    return written.value if isinstance(written, cst.Name) else ""


def _declared_type(param: cst.Param) -> str | None:
    annotation = param.annotation.annotation if param.annotation is not None else None
    known = isinstance(annotation, cst.Name) and annotation.value in ("int", "str", "float", "bool")
    return annotation.value if isinstance(annotation, cst.Name) and known else None
