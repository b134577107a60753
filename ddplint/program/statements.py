"""Executing statements: structured control flow, a recursive fold.

:func:`block` answers whether the path comes out alive at the end. A branch is executed on the state as it was before
the condition, taken back, and merged with the other: see :mod:`ddplint.program.state`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import libcst as cst

from ddplint.program import expressions
from ddplint.program.state import Changes, Loop, Path, assume, conditions, conjunction
from ddplint.program.values import (
    FALSE,
    NONE,
    Class,
    Const,
    EnvHas,
    External,
    Function,
    Imported,
    Items,
    ModuleValue,
    Object,
    Op,
    Unknown,
    Value,
    choose,
    negate,
    walk,
)

if TYPE_CHECKING:
    from ddplint.program.project import ModuleFile
    from ddplint.program.run import Run

# A loop over more known elements than this is executed once, with an unknown element.
_UNROLL = 32


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


def _suite(run: Run, node: cst.BaseSuite) -> bool:
    return block(run, node.body)


def _line(run: Run, node: cst.SimpleStatementLine) -> bool:
    return block(run, node.body)


# -- conditions -----------------------------------------------------------------------------------------------------


def fork(run: Run, condition: Value, then: Callable[[], bool], other: Callable[[], bool]) -> bool:
    """Execute both sides of a condition and merge what they leave; only the known side where it is known."""
    truth = expressions.truth(condition)
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
        own = conditions(assume(before, condition, truth), before)
        told = [item for item in conditions(branch, before)[len(own) :] if not isinstance(item[0], EnvHas)]
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
        return _suite(run, orelse.body)

    return fork(run, condition, lambda: _suite(run, node.body), other)


def _assert(run: Run, node: cst.Assert) -> bool:
    condition = expressions.condition(run, node.test)
    run.state.path = assume(run.state.path, condition, True)
    return expressions.truth(condition) is not False


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
                one = expressions.compare(run, "eq", subject, run.evaluate(value), current)
                condition = expressions.both("or", condition, one)
        elif isinstance(pattern, cst.MatchAs) and pattern.pattern is None and current.guard is None:
            return _suite(run, current.body)
        else:
            condition = Unknown("whether a case matches", run.origin(current), key=("case", id(current)))
        return fork(run, condition, lambda: _suite(run, current.body), lambda: case(position + 1))

    return case(0)


# -- loops ----------------------------------------------------------------------------------------------------------


def _for(run: Run, node: cst.For) -> bool:
    iterable = run.evaluate(node.iter)
    if isinstance(iterable, Items) and len(iterable.values) <= _UNROLL:
        return _unrolled(run, node, iterable)
    index = expressions.loop_index(run, node, iterable)
    expressions.bind(run, node.target, index or _element(run, node, iterable))
    if index is not None:
        run.loops.append(index)
    try:
        _body(run, node.body)
    finally:
        if index is not None:
            run.loops.pop()
    return _suite(run, node.orelse.body) if node.orelse is not None else True


def _unrolled(run: Run, node: cst.For, iterable: Items) -> bool:
    """Every pass by itself: `break` leaves them all, `continue` only its own."""
    whole = run.state.enter()
    alive = True
    for item in iterable.values:
        expressions.bind(run, node.target, item)
        one = run.state.enter()
        run.loop_regions.append(Loop(whole, one, repeats=False))
        try:
            alive = _suite(run, node.body)
        finally:
            run.loop_regions.pop()
        alive = run.state.join(one, alive, NONE) is not None
        if not alive:
            break
    if alive and node.orelse is not None:
        alive = _suite(run, node.orelse.body)
    return run.state.join(whole, alive, NONE) is not None


def _element(run: Run, node: cst.For, iterable: Value) -> Value:
    element = Unknown("an element of a loop", run.origin(node))
    if isinstance(iterable, Op) and iterable.name == "enumerate":
        return Items((element, Unknown("an element of a loop", run.origin(node))))
    return element


def _while(run: Run, node: cst.While) -> bool:
    condition = expressions.condition(run, node.test)
    if expressions.truth(condition) is False:
        return True
    before = run.state.path
    run.state.path = assume(before, condition, True)
    left = _body(run, node.body)
    run.state.path = before
    return left or expressions.truth(condition) is None  # only `break` leaves `while True`


def _body(run: Run, body: cst.BaseSuite) -> bool:
    """One pass through a loop body, which stands for all of them; whether `break` leaves the loop somewhere."""
    whole, one = run.state.enter(), run.state.enter()
    run.loop_regions.append(Loop(whole, one, repeats=True))
    try:
        alive = _suite(run, body)
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
    ran = Unknown("whether a loop runs", run.origin(body), key=("loop", id(body)))
    for table, key, new in changes.values():
        old = table.get(key)
        if old is None or isinstance(new, Unknown):
            value = new
        elif isinstance(new, Const) or any(part.id == old.id for part in walk(new)):
            value = Unknown("a value that a loop builds up", new.origin, type=new.type)
        else:
            value = choose(ran, new, old)
        run.state.write(table, key, value)


def _break(run: Run, node: cst.Break) -> bool:
    if run.loop_regions:
        run.state.leave(run.loop_regions[-1].whole, NONE)
    return False


def _continue(run: Run, node: cst.Continue) -> bool:
    if run.loop_regions:
        run.state.leave(run.loop_regions[-1].one, NONE)
    return False


# -- ways out -------------------------------------------------------------------------------------------------------


def _return(run: Run, node: cst.Return) -> bool:
    value = run.evaluate(node.value) if node.value is not None else NONE
    if any(loop.repeats for loop in run.loop_regions) and not isinstance(value, Const):
        value = Unknown("what a loop finds", value.origin, type=value.type)  # of the first pass, or of any later one
    if run.regions:
        run.state.leave(run.regions[-1], value)
    return False


def _raise(run: Run, node: cst.Raise) -> bool:
    if node.exc is not None:
        run.evaluate(node.exc)
    return False


def _try(run: Run, node: cst.Try | cst.TryStar) -> bool:
    state = run.state
    mark, before, needed = state.mark(), state.path, len(run.required)
    alive = _suite(run, node.body)
    if alive and node.orelse is not None:
        alive = _suite(run, node.orelse.body)
    path = state.path
    raised = _raised(run, node, run.required[needed:])
    for handler in node.handlers:
        changes = state.undo(mark)
        state.path = assume(before, raised, True)
        handled = _suite(run, handler.body)
        others = state.undo(mark)
        if alive and handled:
            state.merge(raised, others, changes)
            path = before
        elif handled:
            state.apply(others)
            alive, path = True, before
        else:
            state.apply(changes)
    state.path = path
    if node.finalbody is not None and not _suite(run, node.finalbody.body):
        return False
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


def _with(run: Run, node: cst.With) -> bool:
    for item in node.items:
        value = run.evaluate(item.item)
        if item.asname is not None and isinstance(item.asname.name, cst.BaseExpression):
            expressions.bind(run, item.asname.name, value)
    return _suite(run, node.body)


# -- bindings -------------------------------------------------------------------------------------------------------


def _expression(run: Run, node: cst.Expr) -> bool:
    run.evaluate(node.value)
    return True


def _assign(run: Run, node: cst.Assign) -> bool:
    value = run.evaluate(node.value)
    for target in node.targets:
        expressions.bind(run, target.target, value, node.value)
    return True


def _annotated(run: Run, node: cst.AnnAssign) -> bool:
    if node.value is not None:
        expressions.bind(run, node.target, run.evaluate(node.value), node.value)
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
            expressions.update(run, left, right, node.value)
            return True
    name = _AUGMENTED.get(type(node.operator))
    if name is None or run.loop_regions:
        # inside a loop the second pass would add again: one pass cannot stand for all
        value: Value = Unknown("a running total", run.origin(node))
    else:
        value = expressions.operate(run, name, run.evaluate(node.target), right, node)
    expressions.bind(run, node.target, value, node.value)
    return True


def _function(run: Run, node: cst.FunctionDef) -> bool:
    facts = run.module.functions[id(node)]
    function = Function(facts, run.scope, None, run.origin(node))
    run.assign(facts.name, run.decorated(function))
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
        key = expressions.subscript_key(run, target)
        if isinstance(owner, Object) and isinstance(key, Const):
            gone = NONE if owner.kind == "environ" else Unknown("an item that was deleted", run.origin(node))
            run.state.write(owner.fields, key.value, gone)
        elif isinstance(owner, Items):
            expressions.bind(run, target.value, Unknown("a list that lost an element", run.origin(node)))
    return True


# -- imports --------------------------------------------------------------------------------------------------------


def _dotted(node: cst.BaseExpression | None) -> str:
    if isinstance(node, cst.Attribute):
        return f"{_dotted(node.value)}.{node.attr.value}"
    return node.value if isinstance(node, cst.Name) else ""


def _import(run: Run, node: cst.Import) -> bool:
    origin = run.origin(node)
    for alias in node.names:
        dotted = _dotted(alias.name)
        file = run.project.find(run.module, dotted)
        if alias.asname is not None and isinstance(alias.asname.name, cst.Name):
            run.assign(alias.asname.name.value, ModuleValue(file, origin) if file else External(dotted, origin))
        else:
            top = dotted.partition(".")[0]
            package = run.project.find(run.module, top)
            if package is None and file is not None:
                package = run.project.package_of(file, dotted.count("."))
            run.assign(top, ModuleValue(package, origin) if package else External(top, origin))
        _execute(run, file)
    return True


def _execute(run: Run, file: ModuleFile | None) -> None:
    """Run a module at its import if that does more than define names; else when a name of it is used."""
    if file is not None and file.has_effects and file.module is not None:
        run.load(file.module)


def _import_from(run: Run, node: cst.ImportFrom) -> bool:
    origin = run.origin(node)
    dotted = _dotted(node.module)
    level = len(node.relative)
    file = run.project.find(run.module, dotted, level)
    _execute(run, file)
    if isinstance(node.names, cst.ImportStar):
        if file is not None and file.module is not None:
            for name, value in list(run.load(file.module).names.items()):
                if isinstance(name, str) and not name.startswith("_"):
                    run.assign(name, value)
        elif not level:
            run.scope.stars.append(dotted)
        return True
    for alias in node.names:
        name = _dotted(alias.name)
        bound = alias.asname.name.value if alias.asname and isinstance(alias.asname.name, cst.Name) else name
        if file is not None:
            run.assign(bound, Imported(file, name, origin))
            continue
        below = run.project.find(run.module, f"{dotted}.{name}" if dotted else name, level)
        if below is not None:
            run.assign(bound, ModuleValue(below, origin))
            _execute(run, below)
        elif level:
            run.assign(bound, Unknown(f"{name} of a module that was not found", origin))
        else:
            run.assign(bound, expressions.external(run, f"{dotted}.{name}", origin))
    return True


# Each handler takes the node type that it is registered for.
_STATEMENTS: dict[type[cst.CSTNode], Callable[[Run, Any], bool]] = {
    cst.SimpleStatementLine: _line,
    cst.If: _if,
    cst.For: _for,
    cst.While: _while,
    cst.Try: _try,
    cst.TryStar: _try,
    cst.With: _with,
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
    cst.Break: _break,
    cst.Continue: _continue,
    cst.Global: _outside,
    cst.Nonlocal: _outside,
    cst.Del: _delete,
    cst.Import: _import,
    cst.ImportFrom: _import_from,
}
