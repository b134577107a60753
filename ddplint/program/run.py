"""One symbolic execution of a script, from the first line of an entry to everything it calls.

The run follows functions across files, keeps the two sides of a condition apart, and writes down what the script does
to the outside (:mod:`ddplint.program.events`). It never imports or runs the code it reads. What it cannot follow
becomes :class:`Unknown`, on which every rule is silent.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import libcst as cst

from ddplint.program import conditions, expressions, options, statements
from ddplint.program.events import Argument, Arguments, Event, Spawn
from ddplint.program.module import ClassFacts, FunctionFacts, Module
from ddplint.program.state import Loop, Region, State, Table, assume
from ddplint.program.values import (
    NONE,
    Choice,
    Class,
    Const,
    EnvHas,
    EnvVar,
    External,
    Fields,
    Function,
    Imported,
    Index,
    Input,
    Items,
    Method,
    ModuleValue,
    Object,
    Origin,
    Parent,
    Partial,
    Scope,
    Symbol,
    Unknown,
    Value,
    choose,
)

if TYPE_CHECKING:
    from ddplint.program.project import ModuleFile, Project

# Deeper call chains than any script read so far (five) with room to spare.
_DEEPEST_CALL = 24
# Evaluated statements and calls after which a run stops following: a bound, not a tuning knob.
_STEPS = 30_000
# Executions of one longer function in one run: later calls with other arguments tell nothing new about ranks.
_REPEATS = 6
# Functions of at most this many statements are followed whatever they are about: rank arithmetic hides in them.
_SMALL = 8


_MAPPINGS = frozenset(
    ("dict", "argparse.Namespace", "types.SimpleNamespace", "easydict.EasyDict", "collections.UserDict")
)


class PathEnds(Exception):
    """The process ends here: ``sys.exit()``, a call that always raises, or a required variable that cannot exist."""


class Run:
    """The execution of one entry module (``__name__ == "__main__"``) or of functions that nobody calls."""

    def __init__(self, project: Project, entry: Module) -> None:
        self.project = project
        self.entry = entry
        self.state = State(self._fallback)
        self.events: list[Event] = []
        self.options: list[Input] = []
        self.lenient: set[int] = set()  # options of parsers that pass over what they do not know
        self.checks: list[Value] = []
        self.reads: dict[str, Origin] = {}
        self.required: list[str] = []
        self.executed: set[int] = set()
        self.context: tuple[Spawn, ...] = ()
        self.loops: list[Index] = []
        self.regions: list[Region] = []  # function bodies being executed, innermost last
        # what `break` and `continue` leave, in the loops of the innermost function
        self.loop_regions: list[Loop] = []
        self.modules: dict[int, Scope] = {}
        self.environ = Object("environ", None)
        self.flags = Object("namespace", None)
        self.commands: dict[int, list[Function]] = {}  # by what is called to run them
        self.attributes: Table = {}
        self._owners: dict[int, Value] = {}
        self.group: Table = {}
        self.scope = Scope(entry, {})
        self._stack: list[FunctionFacts] = []
        self._steps = 0
        self._calls: dict[int, int] = {}

    # -- what a slot holds before anybody writes it -------------------------------------------------------------

    def _fallback(self, table: Table, key: object) -> Value | None:
        if isinstance(table, Fields) and isinstance(key, str):
            return self._unwritten(table.owner, key)
        if table is self.group and isinstance(key, str):
            return Symbol(key)
        if table is self.attributes and isinstance(key, tuple):
            return self.attribute(self._owners[key[0]], key[1], self.origin(self.module.tree))
        return None

    def _unwritten(self, owner: Object, name: str) -> Value | None:
        if owner.kind == "environ":
            return EnvVar(name)
        if owner.kind in ("namespace", "config"):
            declared = owner.parser.fields.get(name) if owner.parser is not None else None
            return declared or Input(name, None, owner.origin, owner.id, owner.kind == "config")
        if owner.cls is not None:
            found = self.member(owner, owner.cls, name)
            return None if isinstance(found, Function) else found
        return None

    @property
    def module(self) -> Module:
        """The module whose code is being executed."""
        return self.scope.module

    def origin(self, node: cst.CSTNode) -> Origin:
        """A node of the code being executed, as an origin."""
        return Origin(self.scope.module, node)

    def spend(self) -> bool:
        """Count one step; False when the run has done enough."""
        self._steps += 1
        return self._steps < _STEPS

    # -- entries ------------------------------------------------------------------------------------------------

    def execute_entry(self) -> None:
        """Execute the entry module from its first line, as ``python entry.py`` does."""
        self.load(self.entry)

    def execute_function(self, facts: FunctionFacts) -> None:
        """Execute a function whose caller is not known, with unknown arguments."""
        scope = self.load(facts.module)
        bound: Value | None = None
        mark = self.state.mark()
        try:
            if facts.cls is not None:
                bound = self.instantiate(Class(facts.cls, scope, None), Arguments(open=True), facts.node)
            with self.within(scope):
                self.invoke(Function(facts, scope, bound, None), Arguments(open=True), facts.node)
        except PathEnds:
            pass
        self.state.undo(mark)
        self.state.path = None

    def load(self, module: Module) -> Scope:
        """The names of a module, executing its top level on first use."""
        known = self.modules.get(id(module))
        if known is not None:
            return known
        scope = self.modules[id(module)] = Scope(module, {})
        path = self.state.path
        with self.within(scope), suppress(PathEnds):
            statements.block(self, module.tree.body)
        if module is not self.entry:
            self.state.path = path
        return scope

    @contextmanager
    def within(self, scope: Scope) -> Iterator[None]:
        """Execute in another scope for a while."""
        saved = self.scope
        self.scope = scope
        try:
            yield
        finally:
            self.scope = saved

    # -- names --------------------------------------------------------------------------------------------------

    def lookup(self, name: str) -> Value | None:
        """A variable of the current scope or one around it."""
        scope: Scope | None = self.scope.outside.get(name, self.scope)
        while scope is not None:
            found = scope.names.get(name)
            if found is not None:
                return found
            scope = scope.outer
        return None

    def starred(self, name: str, origin: Origin) -> Value | None:
        """A name that a ``from library import *`` must have brought, if the model knows that member."""
        from ddplint.program import library

        scope: Scope | None = self.scope
        while scope is not None:
            for star in scope.stars:
                if library.knows(f"{star}.{name}"):
                    return External(expressions.canonical(f"{star}.{name}"), origin)
            scope = scope.outer
        return None

    def resolve(self, name: str, imported: Imported) -> Value:
        """What an imported name is, now that somebody uses it: its module is executed at last."""
        value = self.module_member(imported.file, imported.name, imported.origin or self.origin(self.module.tree))
        scope: Scope | None = self.scope.outside.get(name, self.scope)
        while scope is not None:
            if scope.names.get(name) is imported:
                scope.names[name] = value  # the same in every branch: no need to undo it
                break
            scope = scope.outer
        return value

    def assign(self, name: str, value: Value) -> None:
        """Bind a variable in the current scope."""
        scope = self.scope.outside.get(name, self.scope)
        if scope.outer is None and scope is self.scope and value.type == "none" and isinstance(value, Const):
            # `_GROUP = None` at module level waits to be bound by a function or another module: nobody knows when
            value = Unknown(f"the global {name}", value.origin)
        self.state.write(scope.names, name, value)

    def evaluate(self, node: cst.BaseExpression) -> Value:
        """The value of an expression in the current scope."""
        return expressions.evaluate(self, node)

    # -- os.environ ---------------------------------------------------------------------------------------------

    def read_variable(self, environ: Object, name: str, origin: Origin | None, required: bool) -> Value:
        """``os.environ[name]`` (required: the process dies without it) or the first half of ``.get(name)``."""
        written = environ.fields.get(name)
        if origin is not None:
            self.reads.setdefault(name, origin)
        if written is not None:
            return written
        if required:
            self.required.append(name)
            self.state.path = assume(self.state.path, EnvHas(name, origin), True)
        return EnvVar(name, origin)

    def has_variable(self, environ: Object, name: str, origin: Origin | None) -> Value:
        """``name in os.environ``."""
        if origin is not None:
            self.reads.setdefault(name, origin)
        written = environ.fields.get(name)
        return EnvHas(name, origin) if written is None else presence(written)

    def store_variable(self, environ: Object, name: Value, argument: Argument, node: cst.CSTNode) -> None:
        """``os.environ[name] = value``."""
        if not (isinstance(name, Const) and isinstance(name.value, str)):
            return
        self.state.write(environ.fields, name.value, argument.value)
        self.record("store", node, {"value": argument}, name=name.value)

    # -- events -------------------------------------------------------------------------------------------------

    def record(
        self,
        kind: str,
        node: cst.CSTNode,
        arguments: dict[str, Argument] | None = None,
        *,
        name: str = "",
        environ: Object | None = None,
        context: tuple[Spawn, ...] | None = None,
    ) -> Event:
        """Write down that something happened here."""
        event = Event(
            kind,
            self.module,
            node,
            self.state.path,
            self.context if context is None else context,
            arguments or {},
            dict(environ.fields) if environ else {},
            name,
            len(self.checks),
            len(self.events),
        )
        self.events.append(event)
        return event

    # -- calls --------------------------------------------------------------------------------------------------

    def arguments(self, call: cst.Call) -> Arguments:
        """Evaluate the arguments of a call."""
        positional: list[Argument] = []
        keyword: dict[str, Argument] = {}
        unknown = False
        spread: Value | None = None
        for arg in call.args:
            value = self.evaluate(arg.value)
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

    def worth_following(self, facts: FunctionFacts) -> bool:
        """Whether a function can matter for the process group, judged cheaply by the words in it."""
        # what the script's own top level calls is its main function, whatever words are in it
        return not self._stack or facts.statements <= _SMALL or self.project.matters(facts)

    def invoke(self, function: Function, arguments: Arguments, node: cst.CSTNode) -> Value:
        """Call a function of the project.

        Raises:
            PathEnds: the function never returns.
        """
        facts = function.facts
        origin = self.origin(node)
        if facts in self._stack or len(self._stack) >= _DEEPEST_CALL or not self.spend():
            return Unknown(f"{facts.qualified}() was not followed this deep", origin)
        if not self.worth_following(facts) or not self._again(facts):
            if len(facts.returns) == 1:
                handed = self._bind(function, arguments).get(next(iter(facts.returns)))
                if handed is not None:
                    return handed  # it checks or changes what it is given, and gives it back
            return Unknown(f"what {facts.qualified}() returns", origin)
        scope = function.scope or self.load(facts.module)
        with self.within(scope):
            names = self._bind(function, arguments)
        inner = Scope(facts.module, names, scope)
        self.executed.add(id(facts.node))
        self._stack.append(facts)
        region = self.state.enter()
        self.regions.append(region)
        loops, self.loop_regions = self.loop_regions, []
        try:
            with self.within(inner):
                live = statements.block(self, facts.node.body.body)
        finally:
            self._stack.pop()
            self.regions.pop()
            self.loop_regions = loops
        result = self.state.join(region, live, NONE)
        if result is None:
            raise PathEnds
        if facts.yields:
            return Unknown(f"what {facts.qualified}() yields", origin)
        return result

    def decorated(self, function: Function) -> Value:
        """A function as its decorators leave it; those of libraries are taken to keep what it does."""
        value: Value = function
        for decorator in reversed(function.facts.node.decorators):
            written = decorator.decorator
            if isinstance(written, cst.Call):
                made_by = self.evaluate(written.func)
                if isinstance(made_by, Method) and made_by.name == "command":
                    # @app.command() of typer, @cli.command() of a click group: run when `app()` is called
                    self.commands.setdefault(made_by.owner.id, []).append(function)
            changed = self.evaluate(written)
            if isinstance(changed, Function):
                result = self.call(changed, Arguments((Argument(value, decorator),)), decorator)
                value = result if isinstance(result, (Function, Unknown)) else value
        return value

    def _first_argument(self, facts: FunctionFacts, bound: Value) -> Value:
        """``self``, or ``cls`` for a class method."""
        if facts.cls is None or not _decorated(facts, "classmethod") or not isinstance(bound, Object):
            return bound
        cls = bound.cls or facts.cls
        return Class(cls, self.load(cls.module), bound.origin)

    def _again(self, facts: FunctionFacts) -> bool:
        if facts.statements <= _SMALL:
            return True
        times = self._calls[id(facts.node)] = self._calls.get(id(facts.node), 0) + 1
        return times <= _REPEATS

    def _bind(self, function: Function, arguments: Arguments) -> Table:
        facts, params = function.facts, function.facts.node.params
        names: Table = {}
        positional = [*params.posonly_params, *params.params]
        given = [argument.value for argument in arguments.positional]
        if function.bound is not None and not _decorated(facts, "staticmethod"):
            given.insert(0, self._first_argument(facts, function.bound))
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
            for name, value in options.decorator_inputs(self, facts).items():
                names.setdefault(name, value)
        for param in missing:
            name = param.name.value
            if name in names:
                continue
            if arguments.spread is not None:
                names[name] = self.attribute(arguments.spread, name, Origin(facts.module, param))
                continue
            if param.default is not None and not arguments.open:
                names[name] = self.evaluate(param.default)
            else:
                names[name] = Unknown(
                    f"the argument {name} of {facts.qualified}()",
                    Origin(facts.module, param),
                    type=_declared_type(param),
                )
        return names

    def call(self, callee: Value, arguments: Arguments, node: cst.CSTNode) -> Value:
        """Call anything.

        Raises:
            PathEnds: the process ends in this call.
        """
        from ddplint.program import library

        if isinstance(callee, Function):
            return self.invoke(callee, arguments, node)
        if isinstance(callee, External):
            return library.call(self, callee.name, arguments, node)
        if isinstance(callee, Class):
            return self.instantiate(callee, arguments, node)
        if isinstance(callee, Method):
            return library.call_method(self, callee, arguments, node)
        if isinstance(callee, Partial):
            positional = tuple(Argument(value, node) for value in callee.args) + arguments.positional
            keyword = {key: Argument(value, node) for key, value in callee.kwargs.items()}
            keyword.update(arguments.keyword)
            return self.call(callee.target, Arguments(positional, keyword, arguments.open), node)
        if isinstance(callee, Object) and callee.cls is not None:
            method = self.member(callee, callee.cls, "__call__") or self.member(callee, callee.cls, "forward")
            if isinstance(method, Function):
                return self.invoke(method, arguments, node)
        if isinstance(callee, Choice):
            return self._call_choice(callee, arguments, node)
        for command in self.commands.get(callee.id, ()):
            self.invoke(command, Arguments(), node)
        return Unknown("what this call returns", self.origin(node))

    def _call_choice(self, callee: Choice, arguments: Arguments, node: cst.CSTNode) -> Value:
        path, mark = self.state.path, self.state.mark()
        results: list[Value | None] = []
        changes = []
        for target, truth in ((callee.then, True), (callee.other, False)):
            self.state.path = assume(path, callee.condition, truth)
            try:
                results.append(self.call(target, arguments, node))
            except PathEnds:
                results.append(None)
            changes.append(self.state.undo(mark))
        self.state.path = path
        first, second = results
        if first is None or second is None:
            alive = 0 if second is None else 1
            if results[alive] is None:
                raise PathEnds
            self.state.apply(changes[alive])
            return results[alive] or NONE
        self.state.merge(callee.condition, changes[0], changes[1])
        return choose(callee.condition, first, second)

    def start(self, spawn: Spawn, target: Value, arguments: Arguments, node: cst.CSTNode) -> None:
        """Execute what a child process does. Its memory is its own: nothing it writes comes back."""
        mark, path, group = self.state.mark(), self.state.path, self.context
        self.context = (*group, spawn)
        try:
            self.call(target, arguments, node)
        except PathEnds:
            pass
        finally:
            self.context = group
            self.state.undo(mark)
            self.state.path = path

    # -- classes ------------------------------------------------------------------------------------------------

    def instantiate(self, cls: Class, arguments: Arguments, node: cst.CSTNode) -> Object:
        """``Trainer(rank, model)``: a new object, after its ``__init__``."""
        instance: Object
        if self._derives_from(cls, options.PARSERS):
            instance = options.new_parser(self, arguments, node)
            instance.cls = cls.facts
        else:
            instance = Object("instance", self.origin(node), cls=cls.facts)
        init = self.member(instance, cls.facts, "__init__")
        if isinstance(init, Function):
            self.invoke(init, arguments, node)
            return instance
        declared = self.declared_fields(cls.facts)
        first = arguments.value(None, 0)
        if isinstance(first, Object) and self._derives_from(cls, _MAPPINGS):
            if first.kind in ("namespace", "config"):
                return first  # a wrapper around parsed options: the same fields under another name
            for key, item in first.fields.items():
                self.state.write(instance.fields, key, item)
        for position, (name, _, default) in enumerate(declared):
            value = arguments.value(name, position) or default
            if value is None or (arguments.open and arguments.value(name, position) is None):
                value = Unknown(f"the field {name} of {cls.facts.name}", instance.origin)
            self.state.write(instance.fields, name, value)
        post = self.member(instance, cls.facts, "__post_init__")
        if isinstance(post, Function):
            self.invoke(post, Arguments(), node)
        return instance

    def _derives_from(self, cls: Class, names: frozenset[str]) -> bool:
        """Whether one of a class's bases, or of theirs, is a library class of these names."""
        for facts in (cls.facts, *self.bases(cls.facts)):
            with self.within(self.modules.get(id(facts.module)) or self.load(facts.module)):
                bases = [self.evaluate(base.value) for base in facts.node.bases]
            if any(isinstance(base, External) and base.name in names for base in bases):
                return True
        return False

    def parent(self) -> Value | None:
        """``super()`` in the method being executed: its object, seen as the next class up."""
        facts = self._stack[-1] if self._stack else None
        if facts is None or facts.cls is None or not facts.node.params.params:
            return None
        bound = self.lookup(facts.node.params.params[0].name.value)
        return Parent(bound, facts.cls) if bound is not None else None

    def bases(self, cls: ClassFacts) -> Iterator[ClassFacts]:
        """The project classes that a class derives from, nearest first, without itself."""
        seen = {id(cls)}
        pending = [cls]
        while pending:
            facts = pending.pop(0)
            with self.within(self.modules.get(id(facts.module)) or self.load(facts.module)):
                found = [self.evaluate(base.value) for base in facts.node.bases]
            for value in found:
                if isinstance(value, Class) and id(value.facts) not in seen:
                    seen.add(id(value.facts))
                    pending.append(value.facts)
                    yield value.facts

    def member(self, owner: Value | None, cls: ClassFacts, name: str) -> Value | None:
        """A method or class attribute, looked up along the bases."""
        for facts in (cls, *self.bases(cls)):
            scope = self.modules.get(id(facts.module)) or self.load(facts.module)
            given = self.attributes.get((Class(facts, None, None).id, name))
            if given is not None:
                return given
            method = facts.methods.get(name)
            if method is not None:
                return Function(method, scope, owner, Origin(facts.module, method.node))
            for line in facts.node.body.body:
                for target, value in _class_attributes(line):
                    if target == name and value is not None:
                        with self.within(scope):
                            return self.evaluate(value)
        return None

    def declared_fields(self, cls: ClassFacts) -> list[tuple[str, cst.AnnAssign, Value | None]]:
        """The fields of a dataclass-like class, bases first: name, declaration, default."""
        found: dict[str, tuple[str, cst.AnnAssign, Value | None]] = {}
        for facts in (*reversed(tuple(self.bases(cls))), cls):
            scope = self.modules.get(id(facts.module)) or self.load(facts.module)
            with self.within(scope):
                for line in facts.node.body.body:
                    if not isinstance(line, cst.SimpleStatementLine):
                        continue
                    for small in line.body:
                        if isinstance(small, cst.AnnAssign) and isinstance(small.target, cst.Name):
                            default = self._field_default(small.value) if small.value is not None else None
                            found[small.target.value] = (small.target.value, small, default)
        return list(found.values())

    def _field_default(self, node: cst.BaseExpression) -> Value | None:
        if isinstance(node, cst.Call):
            callee = self.evaluate(node.func)
            name = callee.name.rpartition(".")[2] if isinstance(callee, External) else ""
            if name in ("field", "Field", "ib", "attrib", "MutableField"):
                arguments = self.arguments(node)
                factory = arguments.value("default_factory")
                if factory is not None:
                    return self.call(factory, Arguments(), node)
                return arguments.value("default", 0)
            if name in ("arg", "choice", "flag"):  # simple_parsing.field helpers put the default first
                return self.arguments(node).value("default", 0)
        return self.evaluate(node)

    # -- attributes ---------------------------------------------------------------------------------------------

    def attribute(self, owner: Value, name: str, origin: Origin) -> Value:
        """``owner.name``."""
        if isinstance(owner, External):
            return expressions.external(self, f"{owner.name}.{name}", origin)
        if isinstance(owner, ModuleValue):
            return self.module_member(owner.file, name, origin)
        if isinstance(owner, Object):
            return self._object_attribute(owner, name, origin)
        if isinstance(owner, Parent):
            for base in self.bases(owner.cls):
                found = self.member(owner.bound, base, name)
                if found is not None:
                    return found
            return Method(owner.bound, name, origin)
        if isinstance(owner, Class):
            found = self.member(None, owner.facts, name)
            if isinstance(found, Function) and _decorated(found.facts, "classmethod"):
                return Function(found.facts, found.scope, owner, origin)
            return found if found is not None else Method(owner, name, origin)
        if isinstance(owner, Input) and owner.spec is None:
            found = self.attributes.get((owner.id, name))
            return found or Input(f"{owner.name}.{name}", None, origin, owner.id, owner.filed)
        if isinstance(owner, Choice) and not isinstance(owner.then, (Const, EnvVar)):
            return choose(
                owner.condition, self.attribute(owner.then, name, origin), self.attribute(owner.other, name, origin)
            )
        return self.attributes.get((owner.id, name)) or Method(owner, name, origin)

    def _object_attribute(self, owner: Object, name: str, origin: Origin) -> Value:
        if owner.kind == "parser" and name.startswith(("parse_", "add_")):
            return Method(owner, name, origin)  # an override of these calls the real one in the end
        found = owner.fields.get(name)
        if found is not None and owner.kind not in ("dict", "environ", "parser"):
            return found
        if owner.kind == "namespace" and owner.parser is not None and name in owner.parser.fields:
            return owner.parser.fields[name]
        if owner.kind in ("namespace", "config"):
            return Input(name, None, origin, owner.id, owner.kind == "config")
        if owner.cls is not None:
            if name == "__dict__":
                return owner
            member = self.member(owner, owner.cls, name)
            if isinstance(member, Function) and _is_property(member.facts):
                return self.invoke(member, Arguments(), origin.node)
            if member is not None:
                return member
        return Method(owner, name, origin)

    def set_attribute(self, owner: Value, name: str, value: Value) -> None:
        """``owner.name = value``."""
        if isinstance(owner, Object):
            self.state.write(owner.fields, name, value)
        elif isinstance(owner, ModuleValue):
            if owner.file.module is not None:
                self.state.write(self.load(owner.file.module).names, name, value)
        elif isinstance(owner, Choice):
            for side in (owner.then, owner.other):
                self.set_attribute(side, name, value)
        elif not isinstance(owner, Const):
            self._owners.setdefault(owner.id, owner)
            self.state.write(self.attributes, (owner.id, name), value)

    def module_member(self, file: ModuleFile, name: str, origin: Origin) -> Value:
        """``module.name``: a global of a project module, or a module below it."""
        if file.module is not None:
            scope = self.load(file.module)
            found = scope.names.get(name)
            if isinstance(found, Imported) and found.file is not file:
                with self.within(scope):
                    return self.resolve(name, found)
            if found is not None:
                return found
        below = self.project.submodule(file, name)
        if below is not None:
            return ModuleValue(below, origin)
        return Unknown(f"{name} of {os.path.basename(file.path)}", origin)


def _declared_type(param: cst.Param) -> str | None:
    annotation = param.annotation.annotation if param.annotation is not None else None
    known = isinstance(annotation, cst.Name) and annotation.value in ("int", "str", "float", "bool")
    return annotation.value if isinstance(annotation, cst.Name) and known else None


def presence(value: Value) -> Value:
    """Whether an environment variable with this value is set at all."""
    if isinstance(value, EnvVar):
        return EnvHas(value.name, value.origin)
    if isinstance(value, Choice):
        then, other = presence(value.then), presence(value.other)
        return conditions.as_condition(choose(value.condition, then, other))
    if isinstance(value, Const) and value.value is None:
        return Const(False)
    return Const(True)


def _decorated(facts: FunctionFacts, name: str) -> bool:
    return any(
        isinstance(decorator.decorator, cst.Name) and decorator.decorator.value == name
        for decorator in facts.node.decorators
    )


def _is_property(facts: FunctionFacts) -> bool:
    names = (decorator.decorator for decorator in facts.node.decorators)
    return any(
        (isinstance(name, cst.Name) and name.value in ("property", "cached_property"))
        or (isinstance(name, cst.Attribute) and name.attr.value == "cached_property")
        for name in names
    )


def _class_attributes(line: cst.CSTNode) -> Iterator[tuple[str, cst.BaseExpression | None]]:
    if not isinstance(line, cst.SimpleStatementLine):
        return
    for small in line.body:
        if isinstance(small, cst.Assign):
            for target in small.targets:
                if isinstance(target.target, cst.Name):
                    yield target.target.value, small.value
        elif isinstance(small, cst.AnnAssign) and isinstance(small.target, cst.Name):
            yield small.target.value, small.value
