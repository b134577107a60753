"""Executing statements: structured control flow, a recursive fold.

:func:`block` answers whether the path comes out alive at the end. A branch is executed on the state as it was before
the condition, taken back, and merged with the other: see :mod:`ddplint.program.state`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import libcst as cst

from ddplint.program import binding, conditions, expressions, operators, targets
from ddplint.program.state import Path, assume, conjunction, steps
from ddplint.program.values import (
    FALSE,
    NONE,
    Class,
    Const,
    EnvHas,
    Function,
    Items,
    Object,
    Op,
    Unknown,
    Value,
    negate,
)

if TYPE_CHECKING:
    from ddplint.program.run import Run
from ddplint.program import imports, loops, withs


def block(run: Run, body: Sequence[cst.CSTNode]) -> bool:
    """Execute statements in order; False if no path comes out at the end."""
    from ddplint.program.run import PathEnds

    for node in body:
        execute = _STATEMENTS.get(type(node))
        if execute is None:
            continue
        if not run.spend():
            return True
        try:
            if not execute(run, node):
                return False
        except PathEnds:
            return False
    return True


def suite(run: Run, node: cst.BaseSuite) -> bool:
    return block(run, node.body)


def _line(run: Run, node: cst.SimpleStatementLine) -> bool:
    return block(run, node.body)


def fork(run: Run, condition: Value, then: Callable[[], bool], other: Callable[[], bool]) -> bool:
    """Execute both sides of a condition and merge what they leave; only the known side where it is known."""
    truth = conditions.truth(condition)
    if truth is not None:
        return then() if truth else other()
    state = run.state
    mark, before = state.mark(), state.path
    state.path = assume(before, condition, True)
    then_lives = then()
    then_changes, then_path = state.undo(mark), state.path
    state.path = assume(before, condition, False)
    other_lives = other()
    if then_lives and other_lives:
        other_path = state.path
        other_changes = state.undo(mark)
        state.merge(condition, then_changes, other_changes)
        state.path = _implications(before, condition, then_path, other_path)
        return True
    if then_lives:
        state.undo(mark)
        state.apply(then_changes)
        state.path = then_path
        return True
    return other_lives


def _implications(before: Path | None, condition: Value, then: Path | None, other: Path | None) -> Path | None:
    """The path after both branches, with what the tests inside each let through: ``not condition or machines == 1``."""
    path = before
    for branch, truth in ((then, True), (other, False)):
        own = steps(assume(before, condition, truth), before)
        told = [item for item in steps(branch, before)[len(own) :] if not isinstance(item[0], EnvHas)]
        if told:
            excluded = negate(condition) if truth else condition
            path = assume(path, Op("or", (excluded, conjunction(told)), "bool", condition.origin), True)
    return path


def _if(run: Run, node: cst.If) -> bool:
    condition = expressions.condition(run, node.test)
    orelse = node.orelse

    def other() -> bool:
        if orelse is None:
            return True
        if isinstance(orelse, cst.If):
            return _if(run, orelse)
        return suite(run, orelse.body)

    return fork(run, condition, lambda: suite(run, node.body), other)


def _assert(run: Run, node: cst.Assert) -> bool:
    condition = expressions.condition(run, node.test)
    path = run.state.path
    run.state.path = assume(path, condition, False)
    run.mark("raise", node)
    run.state.path = assume(path, condition, True)
    return conditions.truth(condition) is not False


def _pattern_values(pattern: cst.MatchPattern) -> list[cst.BaseExpression]:
    """The values of ``case 1:`` or ``case 1 | 2:``; empty for any other pattern."""
    if isinstance(pattern, cst.MatchValue):
        return [pattern.value]
    if isinstance(pattern, cst.MatchOr):
        parts = [_pattern_values(part.pattern) for part in pattern.patterns]
        return [value for part in parts for value in part] if all(parts) else []
    return []


def _match(run: Run, node: cst.Match) -> bool:
    subject = run.evaluate(node.subject)

    def case(position: int) -> bool:
        if position == len(node.cases):
            return True
        current = node.cases[position]
        pattern = current.pattern
        values = _pattern_values(pattern)
        if values and current.guard is None:
            condition: Value = FALSE
            for value in values:
                one = operators.compare(run, "eq", subject, run.evaluate(value), current)
                condition = conditions.both("or", condition, one)
        elif isinstance(pattern, cst.MatchAs) and pattern.pattern is None and current.guard is None:
            return suite(run, current.body)
        else:
            condition = Unknown("whether a case matches", run.origin(current), key=("case", id(current)))
        return fork(run, condition, lambda: suite(run, current.body), lambda: case(position + 1))

    return case(0)


def _return(run: Run, node: cst.Return) -> bool:
    value = run.evaluate(node.value) if node.value is not None else NONE
    if any(loop.repeats for loop in run.loop_regions) and not isinstance(value, Const):
        value = Unknown("what a loop finds", value.origin, type=value.type)  # of the first pass, or of any later one
    run.mark("return", node)
    if run.regions:
        run.state.leave(run.regions[-1], value)
    return False


def _raise(run: Run, node: cst.Raise) -> bool:
    if node.exc is not None:
        run.evaluate(node.exc)
    run.mark("raise", node)
    return False


def _try(run: Run, node: cst.Try | cst.TryStar) -> bool:
    state = run.state
    mark, before, needed = state.mark(), state.path, len(run.required)
    run.handled += bool(node.handlers)
    alive = suite(run, node.body)
    run.handled -= bool(node.handlers)
    if alive and node.orelse is not None:
        alive = suite(run, node.orelse.body)
    path = state.path
    raised = _raised(run, node, run.required[needed:])
    for handler in node.handlers:
        changes = state.undo(mark)
        state.path = assume(before, raised, True)
        handled = suite(run, handler.body)
        others = state.undo(mark)
        if alive and handled:
            state.merge(raised, others, changes)
            path = before
        elif handled:
            state.apply(others)
            alive, path = True, before
        else:
            state.apply(changes)
    if node.finalbody is not None:
        state.path = before  # whoever left the body gets here too
        if not suite(run, node.finalbody.body):
            return False
    state.path = path
    return alive


def _raised(run: Run, node: cst.Try | cst.TryStar, required: list[str]) -> Value:
    """When the handlers run: exactly if a required variable is missing, where that is all that can go wrong."""
    if required and any(_catches_missing(handler) for handler in node.handlers):
        missing: list[Value] = [negate(EnvHas(name, run.origin(node))) for name in dict.fromkeys(required)]
        return missing[0] if len(missing) == 1 else Op("or", tuple(missing), "bool", run.origin(node))
    return Unknown("whether this raises", run.origin(node), key=("raised", id(node)))


def _catches_missing(handler: cst.ExceptHandler | cst.ExceptStarHandler) -> bool:
    kind = handler.type
    names = [element.value for element in kind.elements] if isinstance(kind, cst.Tuple) else [kind]
    return any(
        name is None or (isinstance(name, cst.Name) and name.value in ("KeyError", "Exception", "LookupError"))
        for name in names
    )


def _expression(run: Run, node: cst.Expr) -> bool:
    outer, run.statement = run.statement, node.value
    run.evaluate(node.value)
    run.statement = outer
    return True


def _assign(run: Run, node: cst.Assign) -> bool:
    value = run.evaluate(node.value)
    for target in node.targets:
        targets.bind(run, target.target, value, node.value)
    return True


def _annotated(run: Run, node: cst.AnnAssign) -> bool:
    if node.value is not None:
        targets.bind(run, node.target, run.evaluate(node.value), node.value)
    return True


_AUGMENTED = {
    cst.AddAssign: "add",
    cst.SubtractAssign: "sub",
    cst.MultiplyAssign: "mul",
    cst.FloorDivideAssign: "floordiv",
    cst.ModuloAssign: "mod",
    cst.DivideAssign: "truediv",
}


def _augmented(run: Run, node: cst.AugAssign) -> bool:
    right = run.evaluate(node.value)
    if isinstance(node.operator, cst.BitOrAssign):
        left = run.evaluate(node.target)
        if isinstance(left, Object):
            targets.update(run, left, right, node.value)
            return True
    name = _AUGMENTED.get(type(node.operator))
    if name is None or run.loop_regions:
        # inside a loop the second pass would add again: one pass cannot stand for all
        value: Value = Unknown("a running total", run.origin(node), uses=(right,), shared=True)
    else:
        value = operators.operate(run, name, run.evaluate(node.target), right, node)
    targets.bind(run, node.target, value, node.value)
    return True


def _function(run: Run, node: cst.FunctionDef) -> bool:
    facts = run.module.functions[id(node)]
    function = Function(facts, run.scope, None, run.origin(node))
    run.assign(facts.name, binding.decorated(run, function))
    return True


def _class(run: Run, node: cst.ClassDef) -> bool:
    facts = run.module.classes[id(node)]
    run.assign(facts.name, Class(facts, run.scope, run.origin(node)))
    return True


def _outside(run: Run, node: cst.Global | cst.Nonlocal) -> bool:
    for item in node.names:
        name = item.name.value
        if isinstance(node, cst.Global):
            run.scope.outside[name] = run.load(run.module)
            continue
        scope = run.scope.outer
        while scope is not None and name not in scope.names:
            scope = scope.outer
        if scope is not None:
            run.scope.outside[name] = scope
    return True


def _delete(run: Run, node: cst.Del) -> bool:
    target = node.target
    if isinstance(target, cst.Subscript):
        owner = run.evaluate(target.value)
        key = targets.subscript_key(run, target)
        if isinstance(owner, Object) and isinstance(key, Const):
            gone = NONE if owner.kind == "environ" else Unknown("an item that was deleted", run.origin(node))
            run.state.write(owner.fields, key.value, gone)
        elif isinstance(owner, Items):
            targets.bind(run, target.value, Unknown("a list that lost an element", run.origin(node)))
    return True


# Each handler takes the node type that it is registered for.
_STATEMENTS: dict[type[cst.CSTNode], Callable[[Run, Any], bool]] = {
    cst.SimpleStatementLine: _line,
    cst.If: _if,
    cst.For: loops.for_loop,
    cst.While: loops.while_loop,
    cst.Try: _try,
    cst.TryStar: _try,
    cst.With: withs.with_block,
    cst.Match: _match,
    cst.FunctionDef: _function,
    cst.ClassDef: _class,
    cst.Expr: _expression,
    cst.Assign: _assign,
    cst.AnnAssign: _annotated,
    cst.AugAssign: _augmented,
    cst.Return: _return,
    cst.Raise: _raise,
    cst.Assert: _assert,
    cst.Break: loops.break_loop,
    cst.Continue: loops.continue_loop,
    cst.Global: _outside,
    cst.Nonlocal: _outside,
    cst.Del: _delete,
    cst.Import: imports.import_module,
    cst.ImportFrom: imports.import_from,
}
