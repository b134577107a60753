"""Where a number comes from: symbolic values.

A value is a small tree over the things a script can learn at run time: environment variables, command-line
options, the index that ``mp.spawn`` hands to a worker, ``torch.cuda.device_count()``. Its leaves are kept
symbolic, so that one execution of the script answers for every topology. Each value has

- ``id``: equal for values of the same structure (interned), so a condition met twice is the same condition;
- ``type``: ``int``, ``str``, ``bool``, ``float``, ``none``, or None when not known (an environment read is a ``str``);
- ``origin``: the expression that made it, for messages ("world_size comes from ... in line 103").
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeGuard

import libcst as cst

if TYPE_CHECKING:
    from ddplint.program.events import Arguments
    from ddplint.program.module import ClassFacts, FunctionFacts, Module
    from ddplint.program.project import ModuleFile


class Origin(NamedTuple):
    """A place in the source: the module and the node that made a value."""

    module: Module
    node: cst.CSTNode


_interned: dict[tuple[object, ...], int] = {}


def _intern(*key: object) -> int:
    return _interned.setdefault(key, len(_interned))


class Value:
    """The base of all values. Two values are the same if their ``id`` is."""

    __slots__ = ("id", "origin")
    type: str | None = None
    weight: int = 1  # how large the tree below is, shared parts counted every time

    def __init__(self, id: int, origin: Origin | None) -> None:
        self.id = id
        self.origin = origin

    def parts(self) -> tuple[Value, ...]:
        """The values that this one is computed from."""
        return ()


class Const(Value):
    """A literal, or what literals fold to."""

    __slots__ = ("value",)

    def __init__(self, value: object, origin: Origin | None = None) -> None:
        super().__init__(_intern("const", type(value).__name__, value), origin)
        self.value = value

    @property
    def type(self) -> str | None:  # type: ignore[override]
        return "none" if self.value is None else type(self.value).__name__


@dataclass(frozen=True, slots=True, eq=False)
class OptionSpec:
    """A command-line option or configuration field: how it is written, and what it is when nobody types it.

    ``default`` is None where the declaration gives none. ``typed`` says that a declared type converts what is typed.
    """

    dest: str
    flags: tuple[str, ...]
    default: Value | None
    type: str | None
    typed: bool
    required: bool
    parser: str
    origin: Origin


class Input(Value):
    """A number that a person types: a command-line option, or a field of a configuration (``filed``)."""

    __slots__ = ("filed", "name", "spec")

    def __init__(
        self, name: str, spec: OptionSpec | None, origin: Origin | None, scope: int = 0, filed: bool = False
    ) -> None:
        super().__init__(_intern("input", name, scope if spec is None else id(spec)), origin)
        self.name = name
        self.spec = spec
        self.filed = filed

    @property
    def type(self) -> str | None:  # type: ignore[override]
        return self.spec.type if self.spec else None


class EnvVar(Value):
    """A variable of the environment that the process was started with."""

    __slots__ = ("name",)
    type = "str"

    def __init__(self, name: str, origin: Origin | None = None) -> None:
        super().__init__(_intern("env", name), origin)
        self.name = name


class EnvHas(Value):
    """Whether the process was started with this environment variable."""

    __slots__ = ("name",)
    type = "bool"

    def __init__(self, name: str, origin: Origin | None = None) -> None:
        super().__init__(_intern("has", name), origin)
        self.name = name


_SYMBOL_TYPES = {"cuda_available": "bool", "initialized": "bool", "hostname": "str"}


class Symbol(Value):
    """A fact of the running process: ``device_count``, ``group_rank``, ``group_world_size``, ``cuda_available``, ..."""

    __slots__ = ("name",)

    def __init__(self, name: str, origin: Origin | None = None) -> None:
        super().__init__(_intern("symbol", name), origin)
        self.name = name

    @property
    def type(self) -> str | None:  # type: ignore[override]
        return _SYMBOL_TYPES.get(self.name, "int")


class Index(Value):
    """Counts the processes that one call or loop starts: 0 .. count-1. ``site`` is the call or loop that counts."""

    __slots__ = ("count", "site", "start")
    type = "int"

    def __init__(self, site: cst.CSTNode, count: Value, origin: Origin | None, start: Value | None = None) -> None:
        super().__init__(_intern("index", id(site), count.id), origin)
        self.site = site
        self.count = count
        self.start = start

    def parts(self) -> tuple[Value, ...]:
        return (self.count,) if self.start is None else (self.count, self.start)


class Op(Value):
    """An operation of Python's own: arithmetic, comparison, conversion, string building."""

    __slots__ = ("args", "name", "type", "weight")

    def __init__(self, name: str, args: tuple[Value, ...], type: str | None, origin: Origin | None) -> None:
        super().__init__(_intern("op", name, *[arg.id for arg in args]), origin)
        self.weight = 1 + sum(arg.weight for arg in args)
        self.name = name
        self.args = args
        self.type = type

    def parts(self) -> tuple[Value, ...]:
        return self.args


class Choice(Value):
    """One value or another, by a condition: what an ``if`` leaves behind."""

    __slots__ = ("condition", "other", "then", "type", "weight")

    def __init__(self, condition: Value, then: Value, other: Value, origin: Origin | None = None) -> None:
        super().__init__(_intern("choice", condition.id, then.id, other.id), origin)
        self.condition = condition
        self.then = then
        self.other = other
        self.type = then.type if then.type == other.type else None
        self.weight = 1 + condition.weight + then.weight + other.weight

    def parts(self) -> tuple[Value, ...]:
        return (self.condition, self.then, self.other)


class Items(Value):
    """A tuple or list whose elements are known one by one."""

    __slots__ = ("values",)
    type = "sequence"

    def __init__(self, values: tuple[Value, ...], origin: Origin | None = None) -> None:
        super().__init__(_intern("items", *[value.id for value in values]), origin)
        self.values = values

    def parts(self) -> tuple[Value, ...]:
        return self.values


class Repeated(Value):
    """A list that holds one element many times: ``[element] * times``. All its places are the same object."""

    __slots__ = ("element", "times")
    type = "sequence"

    def __init__(self, element: Value, times: Value, origin: Origin | None = None) -> None:
        super().__init__(_intern("repeated", element.id, times.id), origin)
        self.element = element
        self.times = times

    def parts(self) -> tuple[Value, ...]:
        return (self.element, self.times)


class Device(Value):
    """A CUDA device: ``torch.device("cuda", i)`` or ``f"cuda:{i}"`` where the index is known."""

    __slots__ = ("index",)
    type = "device"

    def __init__(self, index: Value, origin: Origin | None = None) -> None:
        super().__init__(_intern("device", index.id), origin)
        self.index = index

    def parts(self) -> tuple[Value, ...]:
        return (self.index,)


ANY_KEY = object()  # a field of a dict that something was stored in under a key that is not known


class Fields(dict[object, "Value"]):
    """The fields of an object, which know whose they are: an unwritten field still has a meaning there."""

    __slots__ = ("owner",)

    def __init__(self, owner: Object, values: dict[object, Value]) -> None:
        super().__init__(values)
        self.owner = owner


class Object(Value):
    """Something with fields that the script changes: an instance, a namespace, a dict, a parser, ``os.environ``.

    ``kind`` is ``instance``, ``namespace``, ``config``, ``dict``, ``parser`` or ``environ``. ``parser`` leads from
    a namespace to the parser that filled it. ``fields`` is written through :class:`ddplint.program.state.State` only.
    """

    __slots__ = ("cls", "fields", "kind", "parser")
    type = "object"

    def __init__(
        self,
        kind: str,
        origin: Origin | None,
        cls: ClassFacts | None = None,
        parser: Object | None = None,
        fields: dict[object, Value] | None = None,
    ) -> None:
        super().__init__(_intern("object", object()), origin)
        self.kind = kind
        self.cls = cls
        self.parser = parser
        self.fields = Fields(self, fields or {})


class Function(Value):
    """A function of the project; ``bound`` is ``self`` for a bound method, ``scope`` the names it closes over."""

    __slots__ = ("bound", "facts", "scope")
    type = "function"

    def __init__(self, facts: FunctionFacts, scope: Scope | None, bound: Value | None, origin: Origin | None) -> None:
        super().__init__(_intern("function", id(facts.node), bound.id if bound else None), origin)
        self.facts = facts
        self.scope = scope
        self.bound = bound


class Class(Value):
    """A class of the project."""

    __slots__ = ("facts", "scope")
    type = "class"

    def __init__(self, facts: ClassFacts, scope: Scope | None, origin: Origin | None) -> None:
        super().__init__(_intern("class", id(facts.node)), origin)
        self.facts = facts
        self.scope = scope


class ModuleValue(Value):
    """A module of the project."""

    __slots__ = ("file",)
    type = "module"

    def __init__(self, file: ModuleFile, origin: Origin | None = None) -> None:
        super().__init__(_intern("module", file.path), origin)
        self.file = file


class Imported(Value):
    """``name`` of a project module that has not been executed yet."""

    __slots__ = ("file", "name")
    type = "imported"

    def __init__(self, file: ModuleFile, name: str, origin: Origin | None) -> None:
        super().__init__(_intern("imported", file.path, name), origin)
        self.file = file
        self.name = name


class External(Value):
    """Something outside the project, by its full dotted name: ``torch.distributed.init_process_group``."""

    __slots__ = ("name",)
    type = "external"

    def __init__(self, name: str, origin: Origin | None = None) -> None:
        super().__init__(_intern("external", name), origin)
        self.name = name


class Method(Value):
    """An attribute of a value that is not a project class: ``parser.add_argument``, ``text.split``, ``model.cuda``."""

    __slots__ = ("name", "owner")
    type = "method"

    def __init__(self, owner: Value, name: str, origin: Origin | None = None) -> None:
        super().__init__(_intern("method", owner.id, name), origin)
        self.owner = owner
        self.name = name

    def parts(self) -> tuple[Value, ...]:
        return (self.owner,)


class Parent(Value):
    """``super()``: an object seen as the class above ``cls``."""

    __slots__ = ("bound", "cls")
    type = "object"

    def __init__(self, bound: Value, cls: ClassFacts) -> None:
        super().__init__(_intern("parent", bound.id, id(cls)), None)
        self.bound = bound
        self.cls = cls


class Partial(Value):
    """``functools.partial(target, *args, **kwargs)``."""

    __slots__ = ("args", "kwargs", "target")
    type = "function"

    def __init__(
        self, target: Value, args: tuple[Value, ...], kwargs: dict[str, Value], origin: Origin | None = None
    ) -> None:
        super().__init__(_intern("partial", object()), origin)
        self.target = target
        self.args = args
        self.kwargs = kwargs


class Unknown(Value):
    """What the model does not know, and why: a reason in words for ``ddplint ranks``. Rules stay silent on it.

    Its type may be known all the same: a parameter declared ``rank: int``. ``shared``: it is a step of a loop, which
    all processes of a job take alike unless something in the loop tells them apart.
    """

    __slots__ = ("reason", "shared", "type", "uses")

    def __init__(
        self,
        reason: str,
        origin: Origin | None = None,
        key: object = None,
        uses: tuple[Value, ...] = (),
        type: str | None = None,
        shared: bool = False,
    ) -> None:
        super().__init__(_intern("unknown", object() if key is None else key), origin)
        self.reason = reason
        self.shared = shared
        self.uses = uses
        self.type = type

    def parts(self) -> tuple[Value, ...]:
        return self.uses


class Made(Unknown):
    """What a call of a library returned: the function or class by its full dotted name, and how it was called.

    Two calls at one place make two values. Nothing more is known of it, so it is an :class:`Unknown` to whoever does
    not ask for the name.
    """

    __slots__ = ("arguments", "name")

    def __init__(self, name: str, arguments: Arguments, origin: Origin) -> None:
        uses = tuple(argument.value for argument in (*arguments.positional, *arguments.keyword.values()))
        super().__init__(f"what {name}() returns", origin, uses=uses)
        self.name = name
        self.arguments = arguments


class Scope:
    """The names that a function, lambda or module body can see."""

    __slots__ = ("module", "names", "outer", "outside", "stars")

    def __init__(self, module: Module, names: dict[object, Value], outer: Scope | None = None) -> None:
        self.module = module
        self.names = names
        self.outer = outer
        self.outside: dict[str, Scope] = {}  # `global` and `nonlocal` names, and where they live
        self.stars: list[str] = []  # libraries whose names are all imported


def walk(value: Value, ends: Callable[[Value], bool] | None = None) -> Iterator[Value]:
    """The value and everything it is computed from, each once; where it ``ends``, not that value nor its parts."""
    seen: set[int] = set()
    stack = [value]
    while stack:
        current = stack.pop()
        if current.id in seen:
            continue
        seen.add(current.id)
        if ends is not None and ends(current):
            continue
        yield current
        stack.extend(reversed(current.parts()))


def leaves(value: Value) -> Iterator[Value]:
    """The values that a choice may come down to, whatever its conditions are."""
    if isinstance(value, Choice):
        yield from leaves(value.then)
        yield from leaves(value.other)
    else:
        yield value


def is_made(value: Value | None, *names: str) -> TypeGuard[Made]:
    """Whether a value is what one of these library calls returned."""
    return isinstance(value, Made) and value.name in names


# Trees heavier than this are not looked into: real rank arithmetic has some twenty parts.
HEAVIEST = 300

NONE = Const(None)
TRUE = Const(True)
FALSE = Const(False)


def negate(condition: Value) -> Value:
    """``not condition``, with double negation folded."""
    if isinstance(condition, Op) and condition.name == "not":
        return condition.args[0]
    if isinstance(condition, Const):
        return FALSE if condition.value else TRUE
    return Op("not", (condition,), "bool", condition.origin)


def choose(condition: Value, then: Value, other: Value, origin: Origin | None = None) -> Value:
    """``then if condition else other``, folded where both are the same or the condition is constant."""
    if then.id == other.id:
        return then
    if isinstance(condition, Const):
        return then if condition.value else other
    if condition.weight + then.weight + other.weight > HEAVIEST:
        return Unknown("a value that depends on too much", origin or then.origin)
    return Choice(condition, then, other, origin or then.origin)
