"""``with``: a context manager of the project is split at its ``yield``, or into ``__enter__`` and ``__exit__``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from ddplint.program import objects, targets
from ddplint.program.events import Arguments
from ddplint.program.module import FunctionFacts
from ddplint.program.values import Function, Object, Value

if TYPE_CHECKING:
    from ddplint.program.run import Run
from ddplint.program import statements

# A generator may yield in several branches; the body is executed in each, but not in ever more of them.
_MOST_YIELDS = 3


def with_block(run: Run, node: cst.With) -> bool:
    """Execute a ``with``; whether a path comes out of it."""
    return _from(run, node, 0)


def _from(run: Run, node: cst.With, position: int) -> bool:
    if position == len(node.items):
        return statements.suite(run, node.body)
    item = node.items[position]
    generator = _generator(run, item.item)
    if generator is not None:
        return _split(run, node, position, generator)
    value = run.evaluate(item.item)
    if isinstance(value, Object) and value.cls is not None:
        enter = objects.member(run, value, value.cls, "__enter__")
        entered = run.invoke(enter, Arguments(), item.item) if isinstance(enter, Function) else value
        _bind(run, item, entered if isinstance(entered, Object) else value)
        alive = _from(run, node, position + 1)
        leave = objects.member(run, value, value.cls, "__exit__")
        if isinstance(leave, Function):
            run.invoke(leave, Arguments(open=True), item.item)
        return alive
    _bind(run, item, value)
    run.managers.append(value)
    try:
        return _from(run, node, position + 1)
    finally:
        run.managers.pop()


def _bind(run: Run, item: cst.WithItem, value: Value) -> None:
    if item.asname is not None and isinstance(item.asname.name, cst.BaseExpression):
        targets.bind(run, item.asname.name, value)


def _generator(run: Run, written: cst.BaseExpression) -> FunctionFacts | None:
    """The function of the project whose ``yield`` the body of a ``with`` is executed at."""
    if not isinstance(written, cst.Call):
        return None
    callee = run.evaluate(written.func)
    if not isinstance(callee, Function) or not callee.facts.yields:
        return None
    for decorator in callee.facts.node.decorators:
        name = decorator.decorator
        last = name.attr if isinstance(name, cst.Attribute) else name
        if isinstance(last, cst.Name) and last.value in ("contextmanager", "asynccontextmanager"):
            return callee.facts
    return None


def _split(run: Run, node: cst.With, position: int, generator: FunctionFacts) -> bool:
    depth, scope, loops, nest = run.depth, run.scope, run.loop_regions, run.nest
    item = node.items[position]
    lives: list[bool] = []

    def body(value: Value) -> None:
        if len(lives) == _MOST_YIELDS:
            return
        path = run.state.path
        with run.outside(depth, scope, loops, nest):
            _bind(run, item, value)
            lives.append(_from(run, node, position + 1))
        if not lives[-1]:
            # The generator goes on all the same when the body has returned.
            run.state.path = path

    run.awaited = (generator, body)
    value = run.evaluate(item.item)
    run.awaited = None
    if not lives:
        _bind(run, item, value)
        return _from(run, node, position + 1)
    return any(lives)
