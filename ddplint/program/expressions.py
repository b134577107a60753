"""Evaluating expressions to symbolic values, and binding them to targets."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import libcst as cst

from ddplint.program import arithmetic
from ddplint.program.events import Argument, Arguments
from ddplint.program.state import assume
from ddplint.program.values import (
    ANY_KEY,
    FALSE,
    HEAVIEST,
    NONE,
    TRUE,
    Choice,
    Class,
    Const,
    Device,
    External,
    Function,
    Imported,
    Index,
    Input,
    Items,
    Method,
    ModuleValue,
    Object,
    Op,
    Origin,
    Partial,
    Scope,
    Unknown,
    Value,
    choose,
    negate,
)

if TYPE_CHECKING:
    from ddplint.program.run import Run

_BUILTINS = frozenset(dir(builtins))

# Old homes and re-exports of the same function, longest first: torch 2.13, torch/distributed/__init__.py,
# torch/nn/parallel/__init__.py, torch/multiprocessing/__init__.py.
_SAME = (
    ("torch.distributed.distributed_c10d.", "torch.distributed."),
    ("torch.nn.parallel.distributed.", "torch.nn.parallel."),
    ("torch.multiprocessing.spawn.", "torch.multiprocessing."),
    ("torch.nn.DataParallel", "torch.nn.parallel.DataParallel"),
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


# -- conditions -----------------------------------------------------------------------------------------------------


def truth(value: Value) -> bool | None:
    """Whether a condition is true, where that is known without running anything."""
    if isinstance(value, Const):
        return bool(value.value)
    if isinstance(value, Items):
        return bool(value.values)
    if isinstance(value, (Object, Function, Class, ModuleValue, External, Device, Partial)):
        return True
    return None


def as_condition(value: Value) -> Value:
    """A value as a truth: choices between True and False become the conditions that they stand for."""
    if not isinstance(value, Choice):
        return value
    then, other = as_condition(value.then), as_condition(value.other)
    known = truth(then), truth(other)
    if known == (True, False):
        return value.condition
    if known == (False, True):
        return negate(value.condition)
    if known[0] is True:
        return both("or", value.condition, other)
    if known[0] is False:
        return both("and", negate(value.condition), other)
    if known[1] is True:
        return both("or", negate(value.condition), then)
    if known[1] is False:
        return both("and", value.condition, then)
    return value


def both(name: str, left: Value, right: Value) -> Value:
    """``left and right`` or ``left or right`` of two conditions."""
    for one, two in ((left, right), (right, left)):
        known = truth(one)
        if known is not None:
            return two if known is (name == "and") else (TRUE if known else FALSE)
    if left.weight + right.weight > HEAVIEST:
        return Unknown("a condition that depends on too much", left.origin, type="bool")
    return left if left.id == right.id else Op(name, (left, right), "bool", left.origin)


def condition(run: Run, node: cst.BaseExpression) -> Value:
    """A test, written down as something that was checked."""
    value = as_condition(evaluate(run, node))
    run.checks.append(value)
    return value


# -- names and literals ---------------------------------------------------------------------------------------------


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
    return text(run, [evaluate(run, node.left), evaluate(run, node.right)], node)


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
    return text(run, parts, node)


def text(run: Run, parts: list[Value], node: cst.CSTNode) -> Value:
    """A string put together from parts, with neighbouring literals joined."""
    flat: list[Value] = []
    for part in parts:
        pieces = part.args if isinstance(part, Op) and part.name == "format" else (part,)
        for piece in pieces:
            last = flat[-1] if flat else None
            if isinstance(piece, Const) and isinstance(last, Const):
                flat[-1] = Const(f"{last.value}{piece.value}", last.origin)
            else:
                flat.append(piece)
    if not flat:
        return Const("", run.origin(node))
    if len(flat) == 1 and isinstance(flat[0], Const):
        return Const(str(flat[0].value), run.origin(node))
    return Op("format", tuple(flat), "str", run.origin(node))


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
            if isinstance(key, Const) and _is_key(key.value):
                run.state.write(made.fields, key.value, value)
        else:
            update(run, made, evaluate(run, element.value), element.value)
    return made


def _is_key(value: object) -> bool:
    return isinstance(value, (str, int, bool)) or value is None


# -- operators ------------------------------------------------------------------------------------------------------

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
    return operate(run, name, left, right, node)


def operate(run: Run, name: str, left: Value, right: Value, node: cst.CSTNode) -> Value:
    """An arithmetic operator on two values; strings are joined, constants folded."""
    for one, two in ((left, right), (right, left)):
        if arithmetic.may_be_variable(one) and two.type in ("int", "float"):
            run.record("mixed", node, {"value": Argument(one, node)}, name=name)
            return Unknown("arithmetic with a string", run.origin(node), uses=(left, right))
    if name == "add" and "str" in (left.type, right.type):
        return text(run, [left, right], node)
    if name == "mod" and left.type == "str":
        return _percent(run, left, right, node)
    if name == "add" and isinstance(left, Items) and isinstance(right, Items):
        return Items(left.values + right.values, run.origin(node))
    return arithmetic.operation(name, (left, right), run.origin(node))


def _percent(run: Run, pattern: Value, argument: Value, node: cst.CSTNode) -> Value:
    if not (isinstance(pattern, Const) and isinstance(pattern.value, str)):
        return Unknown("a formatted string", run.origin(node), uses=(argument,))
    values = argument.values if isinstance(argument, Items) else (argument,)
    if any(value.type == "bool" for value in values) and "%s" not in pattern.value:
        values = tuple(arithmetic.integer(value, value.origin) for value in values)  # "%d" % True is "1"
    pieces = pattern.value.replace("%d", "%s").replace("%i", "%s").split("%s")
    if len(pieces) != len(values) + 1 or any("%" in piece for piece in pieces):
        return Unknown("a formatted string", run.origin(node), uses=values)
    parts: list[Value] = [Const(pieces[0])]
    for value, piece in zip(values, pieces[1:], strict=True):
        parts += [value, Const(piece)]
    return text(run, [part for part in parts if not (isinstance(part, Const) and part.value == "")], node)


def _unary(run: Run, node: cst.UnaryOperation) -> Value:
    operand = evaluate(run, node.expression)
    if isinstance(node.operator, cst.Not):
        return negate(as_condition(operand))
    if isinstance(node.operator, cst.Minus):
        return arithmetic.operation("neg", (operand,), run.origin(node))
    return operand if isinstance(node.operator, cst.Plus) else Unknown("a bit operation", run.origin(node))


def _boolean(run: Run, node: cst.BooleanOperation) -> Value:
    left = evaluate(run, node.left)
    name = "and" if isinstance(node.operator, cst.And) else "or"
    test = as_condition(left)
    path = run.state.path
    run.state.path = assume(path, test, name == "and")
    right = evaluate(run, node.right)
    run.state.path = path
    if left.type == "bool" and right.type == "bool":
        return both(name, test, as_condition(right))
    if name == "or":
        return choose(test, left, right, run.origin(node)) if truth(test) is None else (left if truth(test) else right)
    return choose(test, right, left, run.origin(node)) if truth(test) is None else (right if truth(test) else left)


def _conditional(run: Run, node: cst.IfExp) -> Value:
    test = condition(run, node.test)
    known = truth(test)
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
        one = compare(run, name, left, right, node)
        result = one if result is None else both("and", result, one)
        left = right
    return result or TRUE


def compare(run: Run, name: str, left: Value, right: Value, node: cst.CSTNode) -> Value:
    """One comparison of two values."""
    if name in ("not in", "is not"):
        return negate(compare(run, name[4:] if name == "not in" else "is", left, right, node))
    if name == "in":
        return _membership(run, left, right, node)
    if name == "is":
        name = "eq"
    for one, two in ((left, right), (right, left)):
        if two.type == "int" and (arithmetic.may_be_variable(one) or arithmetic.is_untyped_local_rank(one)):
            run.record("mixed", node, {"value": Argument(one, node), "other": Argument(two, node)}, name=name)
    return as_condition(arithmetic.comparison(name, left, right, run.origin(node)))


def _membership(run: Run, item: Value, container: Value, node: cst.CSTNode) -> Value:
    if isinstance(container, Object) and isinstance(item, Const):
        if container.kind == "environ" and isinstance(item.value, str):
            return run.has_variable(container, item.value, run.origin(node))
        if container.kind == "dict":
            return Const(item.value in container.fields, run.origin(node))
    if isinstance(container, Items):
        result: Value = FALSE
        both_types = any(value.type == "str" for value in container.values)
        for value in container.values:
            if both_types and value.type != "str":
                continue  # `in (0, "0")`: written for both, and a string equals only the second
            result = both("or", result, compare(run, "eq", item, value, node))
        return result
    return arithmetic.operation("in", (item, container), run.origin(node))


# -- access ---------------------------------------------------------------------------------------------------------


def _attribute(run: Run, node: cst.Attribute) -> Value:
    return run.attribute(evaluate(run, node.value), node.attr.value, run.origin(node))


def subscript_key(run: Run, node: cst.Subscript) -> Value:
    """The key of ``owner[key]``; unknown for a slice."""
    if len(node.slice) == 1 and isinstance(node.slice[0].slice, cst.Index):
        return evaluate(run, node.slice[0].slice.value)
    return Unknown("a slice", run.origin(node))


def _subscript(run: Run, node: cst.Subscript) -> Value:
    owner = evaluate(run, node.value)
    return item(run, owner, subscript_key(run, node), node)


def item(run: Run, owner: Value, key: Value, node: cst.CSTNode) -> Value:
    """``owner[key]``."""
    origin = run.origin(node)
    if isinstance(owner, Object) and isinstance(key, Const):
        if owner.kind == "environ" and isinstance(key.value, str):
            return run.read_variable(owner, key.value, origin, required=True)
        if owner.kind == "config" and isinstance(key.value, str):
            return run.attribute(owner, key.value, origin)
        found = owner.fields.get(key.value) or owner.fields.get(ANY_KEY)
        if found is not None:
            return found
        if owner.kind == "namespace" and isinstance(key.value, str):
            return run.attribute(owner, key.value, origin)
    if isinstance(owner, Items) and isinstance(key, Const) and isinstance(key.value, int):
        known = -len(owner.values) <= key.value < len(owner.values)
        return owner.values[key.value] if known else Unknown("an element that is not there", origin)
    if isinstance(owner, Input) and owner.spec is None and isinstance(key, Const):
        return run.attribute(owner, str(key.value), origin)
    if isinstance(owner, Choice):
        return choose(owner.condition, item(run, owner.then, key, node), item(run, owner.other, key, node))
    if isinstance(owner, Op) and isinstance(key, Const):
        return arithmetic.operation("item", (owner, key), origin)
    return Unknown("an element", origin, uses=(owner, key))


def _call(run: Run, node: cst.Call) -> Value:
    callee = evaluate(run, node.func)
    if isinstance(callee, External) and callee.name == "super":
        return run.parent() or Unknown("super()", run.origin(node))
    arguments = run.arguments(node)
    result = run.call(callee, arguments, node)
    if isinstance(callee, Method) and callee.name in _CHANGE_LISTS and isinstance(node.func, cst.Attribute):
        _change_list(run, callee, arguments, node.func.value)
    return result


_CHANGE_LISTS = frozenset(("append", "extend", "insert", "pop", "remove", "clear", "sort", "reverse"))


def _change_list(run: Run, method: Method, arguments: Arguments, target: cst.BaseExpression) -> None:
    """``numbers.append(n)``: the variable holds another list now."""
    if not isinstance(method.owner, Items) or not isinstance(target, (cst.Name, cst.Attribute)):
        return
    added = arguments.value(None, 0)
    changed: Value = Unknown("a list that was changed", run.origin(target), uses=(method.owner,))
    if method.name == "append" and added is not None and not run.loop_regions:
        changed = Items((*method.owner.values, added), method.owner.origin)
    bind(run, target, changed)


def _walrus(run: Run, node: cst.NamedExpr) -> Value:
    value = evaluate(run, node.value)
    bind(run, node.target, value, node.value)
    return value


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
            bind(run, loop.target, value)
            made.append(evaluate(run, node.elt))
        return Items(tuple(made), origin)
    index = loop_index(run, loop, iterable)
    bind(run, loop.target, index or Unknown("an element of a comprehension", origin))
    if index is not None:
        run.loops.append(index)
    try:
        element = evaluate(run, node.elt)
    finally:
        if index is not None:
            run.loops.pop()
    if index is not None and element.id == index.id and not loop.ifs:
        return iterable
    return Unknown("a comprehension", origin, uses=(iterable, element))


def _dict_comprehension(run: Run, node: cst.DictComp) -> Value:
    with run.within(Scope(run.module, {}, run.scope)):
        return _pairs(run, node)


def _pairs(run: Run, node: cst.DictComp) -> Value:
    loop = node.for_in
    iterable = evaluate(run, loop.iter)
    single = not loop.ifs and loop.inner_for_in is None
    if not (isinstance(iterable, Items) and len(iterable.values) <= 32 and single):
        return Unknown("a dict comprehension", run.origin(node))
    made = Object("dict", run.origin(node))
    for value in iterable.values:
        bind(run, loop.target, value)
        key = evaluate(run, node.key)
        if isinstance(key, Const) and _is_key(key.value):
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


# -- targets --------------------------------------------------------------------------------------------------------


def bind(run: Run, target: cst.BaseExpression, value: Value, node: cst.CSTNode | None = None) -> None:
    """Assign a value to a target: a name, an attribute, an element, or several of them."""
    if isinstance(target, cst.Name):
        run.assign(target.value, value)
    elif isinstance(target, cst.Attribute):
        run.set_attribute(evaluate(run, target.value), target.attr.value, value)
    elif isinstance(target, cst.Subscript):
        owner, key = evaluate(run, target.value), subscript_key(run, target)
        if isinstance(owner, Items):
            changed = _with_element(run, owner, key, value, target)
            if isinstance(target.value, (cst.Name, cst.Attribute)):
                bind(run, target.value, changed)
        set_item(run, owner, key, Argument(value, node or target), target)
    elif isinstance(target, (cst.Tuple, cst.List)):
        _unpack(run, target, value)


def _with_element(run: Run, owner: Items, key: Value, value: Value, node: cst.CSTNode) -> Value:
    """A list after ``list[key] = value``."""
    if isinstance(key, Const) and isinstance(key.value, int) and -len(owner.values) <= key.value < len(owner.values):
        values = list(owner.values)
        values[key.value] = value
        return Items(tuple(values), run.origin(node))
    return Unknown("a list that was changed", run.origin(node), uses=(owner, value))


def set_item(run: Run, owner: Value, key: Value, argument: Argument, node: cst.CSTNode) -> None:
    """``owner[key] = value``."""
    if isinstance(owner, Object):
        if owner.kind == "environ":
            run.store_variable(owner, key, argument, node)
        elif isinstance(key, Const) and _is_key(key.value):
            run.state.write(owner.fields, key.value, argument.value)
        elif owner.kind == "dict":
            for known in [*owner.fields, ANY_KEY]:  # any of them may be the one
                run.state.write(owner.fields, known, Unknown("an item under an unknown key", run.origin(node)))
    elif isinstance(owner, Input) and isinstance(key, Const):
        run.set_attribute(owner, str(key.value), argument.value)


def update(run: Run, owner: Object, other: Value, node: cst.CSTNode) -> None:
    """``owner.update(other)``: every known pair."""
    if isinstance(other, Object):
        for key, value in list(other.fields.items()):
            if isinstance(key, (str, int)):
                set_item(run, owner, Const(key), Argument(value, value.origin.node if value.origin else node), node)


def _unpack(run: Run, target: cst.Tuple | cst.List, value: Value) -> None:
    elements = target.elements
    starred = any(isinstance(element, cst.StarredElement) for element in elements)
    for position, element in enumerate(elements):
        if starred:
            part: Value = Unknown("an unpacked element", run.origin(element), uses=(value,))
        elif isinstance(value, Items) and len(value.values) == len(elements):
            part = value.values[position]
        elif isinstance(value, Op):
            part = arithmetic.operation("item", (value, Const(position)), value.origin)
        elif isinstance(value, Choice):
            key = Const(position)
            part = choose(
                value.condition,
                item(run, value.then, key, target),
                item(run, value.other, key, target),
            )
        else:
            part = Unknown("an unpacked element", run.origin(element), uses=(value,))
        bind(run, element.value, part)


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
    cst.ListComp: _comprehension,
    cst.SetComp: _comprehension,
    cst.GeneratorExp: _comprehension,
    cst.DictComp: _dict_comprehension,
    cst.Lambda: _lambda,
}
