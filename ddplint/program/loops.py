"""Loops: one pass stands for all, except over elements that are known one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from ddplint.program import conditions, expressions, targets
from ddplint.program.events import Argument
from ddplint.program.state import Changes, Loop, assume
from ddplint.program.values import (
    NONE,
    Const,
    Items,
    Op,
    Unknown,
    Value,
    choose,
    walk,
)

if TYPE_CHECKING:
    from ddplint.program.run import Run
from ddplint.program import statements
from ddplint.program.library import feeds

# A loop over more known elements than this is executed once, with an unknown element.
_UNROLL = 32


def for_loop(run: Run, node: cst.For) -> bool:
    iterable = run.evaluate(node.iter)
    if run.feeds and any(feeds.through(run, iterable)):
        run.record("iterate", node, {"iterable": Argument(iterable, node.iter)})
    if isinstance(iterable, Items) and len(iterable.values) <= _UNROLL:
        return _unrolled(run, node, iterable)
    index = expressions.loop_index(run, node, iterable)
    targets.bind(run, node.target, index or _element(run, node, iterable))
    if index is not None:
        run.loops.append(index)
    try:
        _body(run, node, iterable)
    finally:
        if index is not None:
            run.loops.pop()
    return statements.suite(run, node.orelse.body) if node.orelse is not None else True


def _unrolled(run: Run, node: cst.For, iterable: Items) -> bool:
    """Every pass by itself: `break` leaves them all, `continue` only its own."""
    whole = run.state.enter()
    alive = True
    for item in iterable.values:
        targets.bind(run, node.target, item)
        one = run.state.enter()
        run.loop_regions.append(Loop(whole, one, repeats=False))
        try:
            alive = statements.suite(run, node.body)
        finally:
            run.loop_regions.pop()
        alive = run.state.join(one, alive, NONE) is not None
        if not alive:
            break
    if alive and node.orelse is not None:
        alive = statements.suite(run, node.orelse.body)
    return run.state.join(whole, alive, NONE) is not None


def _element(run: Run, node: cst.For, iterable: Value) -> Value:
    element = Unknown("an element of a loop", run.origin(node), uses=(iterable,), shared=True)
    if isinstance(iterable, Op) and iterable.name == "enumerate":
        return Items((element, Unknown("an element of a loop", run.origin(node), uses=(iterable,), shared=True)))
    return element


def while_loop(run: Run, node: cst.While) -> bool:
    condition = expressions.condition(run, node.test)
    if conditions.truth(condition) is False:
        return True
    before = run.state.path
    run.state.path = assume(before, condition, True)
    left = _body(run, node, None)
    run.state.path = before
    # only `break` leaves `while True`; `while steps < 1000` is true at first and false later
    literal = isinstance(node.test, cst.Integer) or (isinstance(node.test, cst.Name) and node.test.value == "True")
    return left or not (literal and conditions.truth(condition))


def _body(run: Run, node: cst.For | cst.While, iterable: Value | None) -> bool:
    """One pass through a loop body, which stands for all of them; whether `break` leaves the loop somewhere."""
    body = node.body
    whole, one = run.state.enter(), run.state.enter()
    run.loop_regions.append(Loop(whole, one, repeats=True))
    try:
        with run.nested():
            run.mark("loop", node, iterable)
            alive = statements.suite(run, body)
    finally:
        run.loop_regions.pop()
    alive = run.state.join(one, alive, NONE) is not None
    broken = bool(whole.exits)
    ended = run.state.join(whole, alive, NONE) is None
    changes = run.state.undo(whole.mark)
    run.state.path = whole.path
    if not ended:  # a body that always raises or returns leaves the case that the loop had nothing to do
        _after_passes(run, body, changes)
    return broken


def _after_passes(run: Run, body: cst.BaseSuite, changes: Changes) -> None:
    """What any number of passes leaves: one pass stands for all where it does not build on the one before."""
    ran = Unknown("whether a loop runs", run.origin(body), key=("loop", id(body)), shared=True)
    for table, key, new in changes.values():
        old = table.get(key)
        if old is None or isinstance(new, Unknown):
            value = new
        elif isinstance(new, Const) or any(part.id == old.id for part in walk(new)):
            value = Unknown("a value that a loop builds up", new.origin, uses=(new,), type=new.type, shared=True)
        else:
            value = choose(ran, new, old)
        run.state.write(table, key, value)


def break_loop(run: Run, node: cst.Break) -> bool:
    if run.loop_regions:
        run.mark("break", node)
        run.state.leave(run.loop_regions[-1].whole, NONE)
    return False


def continue_loop(run: Run, node: cst.Continue) -> bool:
    if run.loop_regions:
        run.mark("continue", node)
        run.state.leave(run.loop_regions[-1].one, NONE)
    return False
