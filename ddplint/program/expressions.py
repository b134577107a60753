"""Evaluating expressions to symbolic values, and binding them to targets."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import libcst as cst

from ddplint.program import arithmetic, binding, objects
from ddplint.program.events import Arguments
from ddplint.program.state import assume
from ddplint.program.values import (
    FALSE,
    NONE,
    TRUE,
    Const,
    External,
    Imported,
    Index,
    Items,
    Method,
    Object,
    Op,
    Origin,
    Repeated,
    Scope,
    Unknown,
    Value,
    choose,
    negate,
)

if TYPE_CHECKING:
    from ddplint.program.run import Run
from ddplint.program import conditions, operators, targets

_BUILTINS = frozenset(dir(builtins))


# Old homes and re-exports of the same function, longest first: torch 2.13, torch/distributed/__init__.py,
# torch/nn/parallel/__init__.py, torch/multiprocessing/__init__.py.
_SAME = (
    ("torch.distributed.distributed_c10d.", "torch.distributed."),
    ("torch.nn.parallel.distributed.", "torch.nn.parallel."),
    ("torch.distributed.fsdp.fully_sharded_data_parallel.", "torch.distributed.fsdp."),
    ("torch.distributed.checkpoint.state_dict_saver.", "torch.distributed.checkpoint."),
    ("torch.distributed.checkpoint.state_dict_loader.", "torch.distributed.checkpoint."),
    ("torch.multiprocessing.spawn.", "torch.multiprocessing."),
    ("torch.distributed.fsdp.fully_sharded_data_parallel.", "torch.distributed.fsdp."),
    ("torch.distributed._composable.fsdp.fully_shard.", "torch.distributed.fsdp."),
    ("torch.distributed._composable.fsdp.", "torch.distributed.fsdp."),
    ("torch.nn.DataParallel", "torch.nn.parallel.DataParallel"),
    ("torch.nn.parallel.data_parallel.", "torch.nn.parallel."),
    ("torch.utils.data.dataloader.", "torch.utils.data."),
    ("torch.utils.tensorboard.writer.", "torch.utils.tensorboard."),
    ("torch.random.manual_seed", "torch.manual_seed"),
    ("torch.utils.data.dataset.", "torch.utils.data."),
    ("torch.utils.data.sampler.", "torch.utils.data."),
    ("torch.utils.data.DistributedSampler", "torch.utils.data.distributed.DistributedSampler"),
)


def canonical(name: str) -> str:
    """The name under which the model knows a library function."""
    for old, new in _SAME:
        if name.startswith(old):
            return new + name[len(old) :]
    return name


def external(run: Run, name: str, origin: Origin) -> Value:
    """A library member by its dotted name."""
    if name == "os.environ":
        return run.environ
    if name.endswith(".FLAGS") and "flags" in name:
        return run.flags
    if name == "sys.platform":
        return Const("linux", origin)  # where NCCL and every launcher known here run
    return External(canonical(name), origin)


def condition(run: Run, node: cst.BaseExpression) -> Value:
    """A test, written down as something that was checked."""
    value = conditions.as_condition(evaluate(run, node))
    run.checks.append(value)
    return value


def _name(run: Run, node: cst.Name) -> Value:
    found = run.lookup(node.value)
    if isinstance(found, Imported):
        found = run.resolve(node.value, found)
    if found is not None:
        return found
    name = node.value
    if name == "__name__":
        return Const("__main__" if run.module is run.entry else run.module.path, run.origin(node))
    if name == "__file__":
        return Unknown("the path of this file", run.origin(node))
    if name in _BUILTINS:
        constant = {"True": TRUE, "False": FALSE, "None": NONE}.get(name)
        if constant is not None:
            return Const(constant.value, run.origin(node))
        return External(name, run.origin(node))
    return run.starred(name, run.origin(node)) or Unknown(f"the name {name}", run.origin(node))


def _integer(run: Run, node: cst.Integer) -> Value:
    text = node.value
    return Const(int(text) if text.isdigit() else node.evaluated_value, run.origin(node))


def _float(run: Run, node: cst.Float) -> Value:
    return Const(node.evaluated_value, run.origin(node))


def _string(run: Run, node: cst.SimpleString) -> Value:
    raw = node.value
    if raw[0] in "'\"" and "\\" not in raw:
        # literal_eval costs more than all the rest of a string's evaluation
        cut = 3 if raw[:3] in ("'''", '"""') else 1
        return Const(raw[cut:-cut], run.origin(node))
    return Const(node.evaluated_value, run.origin(node))


def _joined_strings(run: Run, node: cst.ConcatenatedString) -> Value:
    return operators.text(run, [evaluate(run, node.left), evaluate(run, node.right)], node)


def _f_string(run: Run, node: cst.FormattedString) -> Value:
    parts: list[Value] = []
    for part in node.parts:
        if isinstance(part, cst.FormattedStringText):
            parts.append(Const(part.value, run.origin(part)))
        elif isinstance(part, cst.FormattedStringExpression):
            value = evaluate(run, part.expression)
            if part.format_spec or part.equal or part.conversion not in (None, "s"):
                value = Unknown("a formatted value", run.origin(part), uses=(value,), type="str")
            parts.append(value)
    return operators.text(run, parts, node)


def _tuple(run: Run, node: cst.Tuple | cst.List | cst.Set) -> Value:
    values: list[Value] = []
    for element in node.elements:
        value = evaluate(run, element.value)
        if isinstance(element, cst.StarredElement):
            if not isinstance(value, Items):
                return Unknown("a sequence with unknown elements", run.origin(node))
            values += value.values
        else:
            values.append(value)
    if not values and not isinstance(node, cst.Tuple):
        return Unknown("a list that is filled later", run.origin(node))
    return Items(tuple(values), run.origin(node))


def _dict(run: Run, node: cst.Dict) -> Value:
    made = Object("dict", run.origin(node))
    for element in node.elements:
        if isinstance(element, cst.DictElement):
            key = evaluate(run, element.key)
            value = evaluate(run, element.value)
            if isinstance(key, Const) and targets._is_key(key.value):
                run.state.write(made.fields, key.value, value)
        else:
            targets.update(run, made, evaluate(run, element.value), element.value)
    return made


_BINARY = {
    cst.Add: "add",
    cst.Subtract: "sub",
    cst.Multiply: "mul",
    cst.FloorDivide: "floordiv",
    cst.Divide: "truediv",
    cst.Modulo: "mod",
    cst.Power: "pow",
    cst.BitOr: "bitor",
    cst.BitAnd: "bitand",
}


def _binary(run: Run, node: cst.BinaryOperation) -> Value:
    left, right = evaluate(run, node.left), evaluate(run, node.right)
    name = _BINARY.get(type(node.operator))
    if name is None:
        return Unknown("the result of an operator", run.origin(node), uses=(left, right))
    return operators.operate(run, name, left, right, node)


def _unary(run: Run, node: cst.UnaryOperation) -> Value:
    operand = evaluate(run, node.expression)
    if isinstance(node.operator, cst.Not):
        return negate(conditions.as_condition(operand))
    if isinstance(node.operator, cst.Minus):
        return arithmetic.operation("neg", (operand,), run.origin(node))
    return operand if isinstance(node.operator, cst.Plus) else Unknown("a bit operation", run.origin(node))


def _boolean(run: Run, node: cst.BooleanOperation) -> Value:
    left = evaluate(run, node.left)
    name = "and" if isinstance(node.operator, cst.And) else "or"
    test = conditions.as_condition(left)
    path = run.state.path
    run.state.path = assume(path, test, name == "and")
    right = evaluate(run, node.right)
    run.state.path = path
    if left.type == "bool" and right.type == "bool":
        return conditions.both(name, test, conditions.as_condition(right))
    if name == "or":
        return (
            choose(test, left, right, run.origin(node))
            if conditions.truth(test) is None
            else (left if conditions.truth(test) else right)
        )
    return (
        choose(test, right, left, run.origin(node))
        if conditions.truth(test) is None
        else (right if conditions.truth(test) else left)
    )


def _conditional(run: Run, node: cst.IfExp) -> Value:
    test = condition(run, node.test)
    known = conditions.truth(test)
    if known is not None:
        return evaluate(run, node.body if known else node.orelse)
    path = run.state.path
    run.state.path = assume(path, test, True)
    then = evaluate(run, node.body)
    run.state.path = assume(path, test, False)
    other = evaluate(run, node.orelse)
    run.state.path = path
    return choose(test, then, other, run.origin(node))


_COMPARISONS = {
    cst.Equal: "eq",
    cst.NotEqual: "ne",
    cst.LessThan: "lt",
    cst.LessThanEqual: "le",
    cst.GreaterThan: "gt",
    cst.GreaterThanEqual: "ge",
    cst.In: "in",
    cst.NotIn: "not in",
    cst.Is: "is",
    cst.IsNot: "is not",
}


def _comparison(run: Run, node: cst.Comparison) -> Value:
    left = evaluate(run, node.left)
    result: Value | None = None
    for target in node.comparisons:
        right = evaluate(run, target.comparator)
        name = _COMPARISONS[type(target.operator)]
        one = operators.compare(run, name, left, right, node)
        result = one if result is None else conditions.both("and", result, one)
        left = right
    return result or TRUE


def _attribute(run: Run, node: cst.Attribute) -> Value:
    return objects.attribute(run, evaluate(run, node.value), node.attr.value, run.origin(node))


def _subscript(run: Run, node: cst.Subscript) -> Value:
    owner = evaluate(run, node.value)
    return targets.item(run, owner, targets.subscript_key(run, node), node)


def _call(run: Run, node: cst.Call) -> Value:
    callee = evaluate(run, node.func)
    if isinstance(callee, External) and callee.name == "super":
        return objects.parent(run) or Unknown("super()", run.origin(node))
    arguments = binding.evaluate_arguments(run, node)
    result = run.call(callee, arguments, node)
    if isinstance(callee, Method) and callee.name in _CHANGE_LISTS and isinstance(node.func, cst.Attribute):
        _change_list(run, callee, arguments, node.func.value)
    return result


_CHANGE_LISTS = frozenset(("append", "extend", "insert", "pop", "remove", "clear", "sort", "reverse"))


def _change_list(run: Run, method: Method, arguments: Arguments, target: cst.BaseExpression) -> None:
    """``numbers.append(n)``: the variable holds another list now."""
    if not isinstance(method.owner, (Items, Repeated)) or not isinstance(target, (cst.Name, cst.Attribute)):
        return
    added = arguments.value(None, 0)
    changed: Value = Unknown("a list that was changed", run.origin(target), uses=(method.owner,))
    if method.name == "append" and added is not None and isinstance(method.owner, Items) and not run.loop_regions:
        changed = Items((*method.owner.values, added), method.owner.origin)
    targets.bind(run, target, changed)


def _walrus(run: Run, node: cst.NamedExpr) -> Value:
    value = evaluate(run, node.value)
    targets.bind(run, node.target, value, node.value)
    return value


def _yield(run: Run, node: cst.Yield) -> Value:
    value = evaluate(run, node.value) if isinstance(node.value, cst.BaseExpression) else NONE
    run.yields(value)
    return Unknown("what is sent to a generator", run.origin(node))


def _await(run: Run, node: cst.Await) -> Value:
    return evaluate(run, node.expression)


def _comprehension(run: Run, node: cst.ListComp | cst.SetComp | cst.GeneratorExp) -> Value:
    with run.within(Scope(run.module, {}, run.scope)):  # its variables are its own
        return _elements(run, node)


def _elements(run: Run, node: cst.ListComp | cst.SetComp | cst.GeneratorExp) -> Value:
    loop = node.for_in
    iterable = evaluate(run, loop.iter)
    origin = run.origin(node)
    if isinstance(iterable, Items) and len(iterable.values) <= 32 and not loop.ifs and loop.inner_for_in is None:
        made: list[Value] = []
        for value in iterable.values:
            targets.bind(run, loop.target, value)
            made.append(evaluate(run, node.elt))
        return Items(tuple(made), origin)
    index = loop_index(run, loop, iterable)
    targets.bind(run, loop.target, index or _one(iterable, origin))
    if index is not None:
        run.loops.append(index)
    try:
        element = evaluate(run, node.elt)
    finally:
        if index is not None:
            run.loops.pop()
    if index is not None and element.id == index.id and not loop.ifs:
        return iterable
    return Unknown("a comprehension", origin, uses=(iterable, element), shared=True)


def _one(iterable: Value, origin: Origin) -> Value:
    return Unknown("an element of a comprehension", origin, uses=(iterable,), shared=True)


def _dict_comprehension(run: Run, node: cst.DictComp) -> Value:
    with run.within(Scope(run.module, {}, run.scope)):
        return _pairs(run, node)


def _pairs(run: Run, node: cst.DictComp) -> Value:
    loop = node.for_in
    iterable = evaluate(run, loop.iter)
    single = not loop.ifs and loop.inner_for_in is None
    if not (isinstance(iterable, Items) and len(iterable.values) <= 32 and single):
        return Unknown("a dict comprehension", run.origin(node), uses=(iterable,))
    made = Object("dict", run.origin(node))
    for value in iterable.values:
        targets.bind(run, loop.target, value)
        key = evaluate(run, node.key)
        if isinstance(key, Const) and targets._is_key(key.value):
            run.state.write(made.fields, key.value, evaluate(run, node.value))
    return made


def loop_index(run: Run, site: cst.CSTNode, iterable: Value) -> Index | None:
    """The counter of ``for i in range(n)``, where it is one."""
    if isinstance(iterable, Op) and iterable.name == "range":
        start, stop, step = iterable.args
        if isinstance(step, Const) and step.value == 1:
            if isinstance(start, Const) and start.value == 0:
                return Index(site, stop, run.origin(site))
            count = arithmetic.operation("sub", (stop, start), run.origin(site))
            return Index(site, count, run.origin(site), start)
    return None


def _lambda(run: Run, node: cst.Lambda) -> Value:
    return Unknown("a lambda", run.origin(node))


def evaluate(run: Run, node: cst.BaseExpression) -> Value:
    """The value of an expression."""
    handler = _EXPRESSIONS.get(type(node))
    if handler is None:
        return Unknown("an expression that is not followed", run.origin(node))
    return handler(run, node)


# Each handler takes the node type that it is registered for.
_EXPRESSIONS: dict[type[cst.CSTNode], Callable[[Run, Any], Value]] = {
    cst.Name: _name,
    cst.Attribute: _attribute,
    cst.Call: _call,
    cst.SimpleString: _string,
    cst.ConcatenatedString: _joined_strings,
    cst.FormattedString: _f_string,
    cst.Integer: _integer,
    cst.Float: _float,
    cst.BinaryOperation: _binary,
    cst.UnaryOperation: _unary,
    cst.BooleanOperation: _boolean,
    cst.Comparison: _comparison,
    cst.IfExp: _conditional,
    cst.Tuple: _tuple,
    cst.List: _tuple,
    cst.Set: _tuple,
    cst.Dict: _dict,
    cst.Subscript: _subscript,
    cst.NamedExpr: _walrus,
    cst.Await: _await,
    cst.Yield: _yield,
    cst.ListComp: _comprehension,
    cst.SetComp: _comprehension,
    cst.GeneratorExp: _comprehension,
    cst.DictComp: _dict_comprehension,
    cst.Lambda: _lambda,
}
