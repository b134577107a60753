"""Operations on symbolic values: types, constant folding, and the meaning of each operator on concrete numbers."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from ddplint.program.values import (
    HEAVIEST,
    Choice,
    Class,
    Const,
    Device,
    EnvVar,
    External,
    Function,
    Index,
    Input,
    Items,
    ModuleValue,
    Object,
    Op,
    Origin,
    Partial,
    Symbol,
    Unknown,
    Value,
    choose,
    walk,
)

_ARITHMETIC = frozenset(("add", "sub", "mul", "floordiv", "mod", "neg", "pow", "abs", "min", "max"))

# What each operation does to plain Python values: used for folding here and for every topology later.
CONCRETE: dict[str, Callable[..., Any]] = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "floordiv": operator.floordiv,
    "truediv": operator.truediv,
    "mod": operator.mod,
    "pow": operator.pow,
    "bitor": operator.or_,
    "bitand": operator.and_,
    "neg": operator.neg,
    "abs": abs,
    "min": min,
    "max": max,
    "int": int,
    "float": float,
    "str": str,
    "bool": bool,
    "len": len,
    "eq": operator.eq,
    "ne": operator.ne,
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
    "in": lambda item, container: item in container,
    "item": lambda owner, key: owner[key],
    "divmod": divmod,
    "format": lambda *parts: "".join(str(part) for part in parts),
    "split": lambda text, *rest: text.split(*rest),
    "rsplit": lambda text, *rest: text.rsplit(*rest),
    "strip": lambda text, *rest: text.strip(*rest),
    "lower": lambda text: text.lower(),
    "upper": lambda text: text.upper(),
    "replace": lambda text, *rest: text.replace(*rest),
    "startswith": lambda text, *rest: text.startswith(*rest),
    "endswith": lambda text, *rest: text.endswith(*rest),
    "isdigit": lambda text: text.isdigit(),
    "rfind": lambda text, *rest: text.rfind(*rest),
    "find": lambda text, *rest: text.find(*rest),
    "join": lambda text, parts: text.join(parts),
}

STRING_METHODS = frozenset(
    (
        "split",
        "rsplit",
        "strip",
        "lower",
        "upper",
        "replace",
        "startswith",
        "endswith",
        "isdigit",
        "find",
        "rfind",
        "join",
    )
)
_STRING_RESULTS = {
    "strip": "str",
    "lower": "str",
    "upper": "str",
    "replace": "str",
    "join": "str",
    "startswith": "bool",
    "endswith": "bool",
    "isdigit": "bool",
    "find": "int",
    "rfind": "int",
}


def operation(name: str, args: tuple[Value, ...], origin: Origin | None) -> Value:
    """An operation on values: folded if all are constants, else symbolic with the type of its result."""
    if name in ("min", "max") and len(args) == 1:
        return args[0]  # of a sequence of one
    if all(isinstance(arg, Const) for arg in args):
        try:
            result = CONCRETE[name](*[arg.value for arg in args if isinstance(arg, Const)])
        except Exception:  # the script would raise here, whatever Python raises
            return Unknown("an operation that fails", origin)
        if isinstance(result, (list, tuple)):
            return Items(tuple(Const(item, origin) for item in result), origin)
        # a converted literal still stands where it was written
        return Const(result, args[0].origin if name in ("int", "str") else origin)
    if any(isinstance(arg, (Function, Class, ModuleValue, Partial)) for arg in args):
        return Unknown("an operation on something that is not a number", origin)
    if sum(arg.weight for arg in args) > HEAVIEST:
        return Unknown("a value that depends on too much", origin, type=_result_type(name, args))
    return Op(name, args, _result_type(name, args), origin)


def integer(value: Value, origin: Origin | None) -> Value:
    """``int(value)``, where ``int(str(n))`` is n again."""
    if isinstance(value, Op) and value.name == "str" and value.args[0].type == "int":
        value = value.args[0]
    return value if value.type == "int" else operation("int", (value,), origin)


def _result_type(name: str, args: tuple[Value, ...]) -> str | None:
    if name in ("int", "len"):
        return "int"
    if name in ("str", "format"):
        return "str"
    if name in ("eq", "ne", "lt", "le", "gt", "ge", "in", "bool"):
        return "bool"
    if name in ("float", "truediv"):
        return "float"
    if name in _STRING_RESULTS:
        return _STRING_RESULTS[name]
    if name in _ARITHMETIC and all(arg.type in ("int", "bool") for arg in args):
        return "int"
    if name == "item" and isinstance(args[0], Op) and args[0].name in ("split", "rsplit"):
        return "str"
    if name == "item" and isinstance(args[0], Op) and args[0].name == "divmod":
        return "int"
    return None


_NEVER_NONE = (
    Object, Function, Class, ModuleValue, External, Partial, Items, Index, Symbol, Device, EnvVar
)  # fmt: skip


def comparison(name: str, left: Value, right: Value, origin: Origin | None) -> Value:
    """``left == right`` and its kin; a comparison with None is decided by what can never be None."""
    for one, two in ((left, right), (right, left)):
        if isinstance(two, Const) and two.value is None and name in ("eq", "ne"):
            if isinstance(one, _NEVER_NONE):
                return Const(name == "ne", origin)
            if isinstance(one, Choice):
                sides = comparison(name, one.then, two, origin), comparison(name, one.other, two, origin)
                return choose(one.condition, *sides, origin)
            if isinstance(one, Op) and one.type in ("int", "str", "bool", "float"):
                return Const(name == "ne", origin)
    if any(isinstance(part, Symbol) and part.name == "hostname" for side in (left, right) for part in walk(side)):
        # nobody here knows how the machines are called
        return Unknown("how a host is called", origin, key=("host", name, left.id, right.id), type="bool")
    if left.id == right.id and isinstance(left, (Const, Index, Symbol)) and name in ("eq", "ne"):
        return Const(name == "eq", origin)
    return operation(name, (left, right), origin)


def is_untyped_local_rank(value: Value) -> bool:
    """``--local_rank`` without ``type=``: what torch.distributed.launch passes then stays a string."""
    if not isinstance(value, Input) or value.spec is None or value.spec.dest != "local_rank":
        return False
    return value.spec.parser == "argparse" and not value.spec.typed


def may_be_variable(value: Value) -> bool:
    """Whether a value can be a raw environment string: nobody converted it on the way."""
    if isinstance(value, EnvVar):
        return True
    return isinstance(value, Choice) and (may_be_variable(value.then) or may_be_variable(value.other))
