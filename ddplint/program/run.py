"""One symbolic execution of a script, from the first line of an entry to everything it calls.

The run follows functions across files, keeps the two sides of a condition apart, and writes down what the script does
to the outside (:mod:`ddplint.program.events`). It never imports or runs the code it reads. What it cannot follow
becomes :class:`Unknown`, on which every rule is silent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import libcst as cst

from ddplint.program import binding, conditions, expressions, following, objects, statements
from ddplint.program.events import Argument, Arguments, Call, Event, Frame, Mark, Spawn
from ddplint.program.module import FunctionFacts, Module
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
    Made,
    Method,
    Object,
    Op,
    Origin,
    Partial,
    Scope,
    Symbol,
    Unknown,
    Value,
    choose,
)

if TYPE_CHECKING:
    from ddplint.program.project import Project

# Deeper call chains than any script read so far (five) with room to spare.
_DEEPEST_CALL = 24
# Evaluated statements and calls after which a run stops following: a bound, not a tuning knob.
_STEPS = 30_000
# Executions of one longer function in one run: later calls with other arguments tell nothing new about ranks.
_REPEATS = 6
# Events whose repair may concern every function that led to them.
_TRACED = frozenset(("init", "command", "spawn", "iterate"))


class PathEnds(Exception):
    """The process ends here: ``sys.exit()``, a call that always raises, or a required variable that cannot exist."""


class Run:
    """The execution of one entry module (``__name__ == "__main__"``) or of functions that nobody calls."""

    def __init__(self, project: Project, module: Module, started: bool = True) -> None:
        self.project = project
        self.entry = module if started else None  # the module whose __name__ is __main__
        self.state = State(self._fallback)
        self.events: list[Event] = []
        # The expression that is a statement of its own, while it is evaluated.
        self.statement: cst.CSTNode | None = None
        self.options: list[Input] = []
        self.lenient: set[int] = set()  # options of parsers that pass over what they do not know
        self.checks: list[Value] = []
        self.reads: dict[str, Origin] = {}
        self.required: list[str] = []
        self.executed: set[int] = set()
        self.context: tuple[Spawn, ...] = ()
        self.loops: list[Index] = []
        self.wrapped: set[int] = set()  # wrappers, and what they were given, anywhere so far
        self.splits = 0  # choices of models whose sides are being asked one by one
        self.managers: list[Value] = []  # what `with` has entered, outermost first
        self.methods: dict[int, Value] = {}  # methods as their decorators leave them, before they are bound
        self.regions: list[Region] = []  # function bodies being executed, innermost last
        # what `break` and `continue` leave, in the loops of the innermost function
        self.loop_regions: list[Loop] = []
        self.feeds: dict[int, Event] = {}  # loaders and samplers: by the id of the value, the call that made it
        self.modules: dict[int, Scope] = {}
        self.environ = Object("environ", None)
        self.flags = Object("namespace", None)
        self.commands: dict[int, list[Function]] = {}  # by what is called to run them
        self.attributes: Table = {}
        self._owners: dict[int, Value] = {}
        self.group: Table = {}
        self.scope = Scope(module, {})
        self._stack: list[FunctionFacts] = []
        self._frames: list[tuple[Scope, FunctionFacts | None, Origin | None, tuple[Spawn, ...]]] = []
        self._steps = 0
        self._calls: dict[int, int] = {}
        # Executed one after the other in this run: the module, or functions that nobody calls.
        self.entries = 0
        self.marks: list[Mark] = []
        # The function bodies and loops being executed, by number, outermost first.
        self.nest: tuple[int, ...] = ()
        self._nests = 0
        # How many `try` with handlers are being executed, one inside the other.
        self.handled = 0
        # A generator that a `with` is about to call, and the body to execute at its yield.
        self.awaited: tuple[FunctionFacts, Callable[[Value], None]] | None = None
        self._way: list[Call] = []
        self._bodies: list[Callable[[Value], None] | None] = []
        self.exhausted = False

    # -- what a slot holds before anybody writes it -------------------------------------------------------------

    def _fallback(self, table: Table, key: object) -> Value | None:
        if isinstance(table, Fields) and isinstance(key, str):
            return self._unwritten(table.owner, key)
        if table is self.group and isinstance(key, str):
            return Symbol(key)
        if table is self.attributes and isinstance(key, tuple):
            return objects.attribute(self, self._owners[key[0]], key[1], self.origin(self.module.tree))
        return None

    def _unwritten(self, owner: Object, name: str) -> Value | None:
        if owner.kind == "environ":
            return EnvVar(name)
        if owner.kind in ("namespace", "config"):
            declared = owner.parser.fields.get(name) if owner.parser is not None else None
            return declared or Input(name, None, owner.origin, owner.id, owner.kind == "config")
        if owner.cls is not None:
            found = objects.member(self, owner, owner.cls, name)
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
        self.exhausted = self._steps >= _STEPS
        return not self.exhausted

    @contextmanager
    def nested(self) -> Iterator[None]:
        """Execute one more function body or loop, which gets a number of its own."""
        around, self._nests = self.nest, self._nests + 1
        self.nest = (*around, self._nests)
        try:
            yield
        finally:
            self.nest = around

    # -- entries ------------------------------------------------------------------------------------------------

    def execute_entry(self) -> None:
        """Execute the entry module from its first line, as ``python entry.py`` does."""
        self.load(self.scope.module)

    def execute_function(self, facts: FunctionFacts) -> None:
        """Execute a function whose caller is not known, with unknown arguments."""
        self.entries += 1
        scope = self.load(facts.module)
        bound: Value | None = None
        mark = self.state.mark()
        try:
            if facts.cls is not None:
                bound = objects.instantiate(self, Class(facts.cls, scope, None), Arguments(open=True), facts.node)
            if facts.cls is None or facts.name != "__init__":  # making the object has executed that one
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
        self._frames.append((scope, None, None, self.context))
        with self.within(scope), suppress(PathEnds):
            statements.block(self, module.tree.body)
        self._frames.pop()
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
        value = objects.module_member(
            self, imported.file, imported.name, imported.origin or self.origin(self.module.tree)
        )
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

    def overwrite(self, old: Value, new: Value) -> None:
        """A call has changed the contents of a list: whatever name or field it has, in any function, it has changed."""
        if isinstance(old, Const):
            return
        for scope in {id(frame[0]): frame[0] for frame in self._frames}.values():
            tables = [scope.names, *(value.fields for value in scope.names.values() if isinstance(value, Object))]
            for table in tables:
                for name in [name for name, value in table.items() if value.id == old.id]:
                    self.state.write(table, name, new)

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
        traced: bool = False,
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
            len(self.events),
            self._snapshot() if traced or kind in _TRACED else (),
            node is self.statement,
            tuple(self._way),
            self.entries,
            self.nest,
            tuple(self.managers),
        )
        self.events.append(event)
        return event

    def mark(self, kind: str, node: cst.CSTNode, value: Value | None = None) -> None:
        """Write down a step of the way that is no event."""
        self.marks.append(
            Mark(
                kind,
                self.module,
                node,
                self.state.path,
                self.context,
                len(self.events),
                self.entries,
                self.nest,
                value,
                self.handled > 0,
            )
        )

    def loop_numbers(self) -> set[int]:
        """The numbers that stand for loops in the ``nest`` of an event; the others are function bodies."""
        return {mark.nest[-1] for mark in self.marks if mark.kind == "loop"}

    def _snapshot(self) -> tuple[Frame, ...]:
        return tuple(
            Frame(scope.module, facts, call, dict(scope.names), _fields(scope.names), context)
            for scope, facts, call, context in self._frames
        )

    # -- calls --------------------------------------------------------------------------------------------------

    def invoke(self, function: Function, arguments: Arguments, node: cst.CSTNode) -> Value:
        """Call a function of the project.

        Raises:
            PathEnds: the function never returns.
        """

        facts = function.facts
        origin = self.origin(node)
        if facts in self._stack or len(self._stack) >= _DEEPEST_CALL or not self.spend():
            self.mark("opaque", node)
            return Unknown(f"{facts.qualified}() was not followed this deep", origin)
        follow = following.worth(self, function, arguments)
        if follow and not self._again(facts):
            self.mark("opaque", node)
            follow = False
        if not follow:
            if following.feeds(self, function, arguments):
                self.record("handed", node, name=facts.qualified)
            if len(facts.returns) == 1:
                handed = binding.parameters(self, function, arguments).get(next(iter(facts.returns)))
                if handed is not None:
                    return handed  # it checks or changes what it is given, and gives it back
            return Unknown(f"what {facts.qualified}() returns", origin)
        scope = function.scope or self.load(facts.module)
        with self.within(scope):
            names = binding.parameters(self, function, arguments)
        inner = Scope(facts.module, names, scope)
        self.executed.add(id(facts.node))
        self._stack.append(facts)
        self._frames.append((inner, facts, origin, self.context))
        self._way.append(Call(origin, facts, self.state.path))
        region = self.state.enter()
        self.regions.append(region)
        loops, self.loop_regions = self.loop_regions, []
        awaited, self.awaited = self.awaited, None
        self._bodies.append(awaited[1] if awaited is not None and awaited[0] is facts else None)
        try:
            with self.within(inner), self.nested():
                live = statements.block(self, facts.node.body.body)
        finally:
            self._stack.pop()
            self._frames.pop()
            self._way.pop()
            self.regions.pop()
            self._bodies.pop()
            self.loop_regions = loops
        result = self.state.join(region, live, NONE)
        if result is None:
            raise PathEnds
        if facts.yields:
            return Unknown(f"what {facts.qualified}() yields", origin)
        return result

    def yields(self, value: Value) -> None:
        """A generator gets to a ``yield``: if a ``with`` has called it, the body is executed now."""
        body = self._bodies[-1] if self._bodies else None
        if body is not None:
            body(value)

    @contextmanager
    def outside(self, depth: int, scope: Scope, loops: list[Loop], nest: tuple[int, ...]) -> Iterator[None]:
        """Execute in a function further out (the ``depth`` outermost are being executed) for a while."""
        kept = self._stack, self._frames, self._way, self.regions, self._bodies, self.loop_regions, self.nest
        statement = self.statement
        self._stack, self._frames = self._stack[:depth], self._frames[: len(self._frames) - len(self._stack) + depth]
        self.regions, self._bodies, self._way = self.regions[:depth], self._bodies[:depth], self._way[:depth]
        self.loop_regions, self.nest = loops, nest
        try:
            with self.within(scope):
                yield
        finally:
            (
                self._stack,
                self._frames,
                self._way,
                self.regions,
                self._bodies,
                self.loop_regions,
                self.nest,
            ) = kept
            self.statement = statement

    @property
    def depth(self) -> int:
        """How many functions are being executed, one inside the other."""
        return len(self._stack)

    def _again(self, facts: FunctionFacts) -> bool:
        if facts.statements <= following.SMALL:
            return True
        times = self._calls[id(facts.node)] = self._calls.get(id(facts.node), 0) + 1
        return times <= _REPEATS

    def call(self, callee: Value, arguments: Arguments, node: cst.CSTNode) -> Value:
        """Call anything.

        Raises:
            PathEnds: the process ends in this call.
        """
        from ddplint.program import library

        if isinstance(callee, Function):
            if callee.bound is not None and callee.bound.id in self.wrapped:
                library.calls.record_own(self, callee, arguments, node)
                return self._output(self.invoke(callee, arguments, node), node)
            return self.invoke(callee, arguments, node)
        if isinstance(callee, External):
            return library.call(self, callee.name, arguments, node)
        if isinstance(callee, Class):
            return objects.instantiate(self, callee, arguments, node)
        if isinstance(callee, Method):
            return library.call_method(self, callee, arguments, node)
        if isinstance(callee, Partial):
            positional = tuple(Argument(value, node) for value in callee.args) + arguments.positional
            keyword = {key: Argument(value, node) for key, value in callee.kwargs.items()}
            keyword.update(arguments.keyword)
            return self.call(callee.target, Arguments(positional, keyword, arguments.open), node)
        if callee.id in self.wrapped:
            library.calls.record_called(self, callee, arguments, node)
        if isinstance(callee, Object) and callee.cls is not None:
            method = objects.member(self, callee, callee.cls, "__call__") or objects.member(
                self, callee, callee.cls, "forward"
            )
            if isinstance(method, Function):
                result = self.invoke(method, arguments, node)
                return self._output(result, node) if callee.id in self.wrapped else result
        if isinstance(callee, Choice):
            return self._call_choice(callee, arguments, node)
        if isinstance(callee, (Unknown, Input)) and not isinstance(callee, Made):
            self.mark("opaque", node)
        for command in self.commands.get(callee.id, ()):
            self.invoke(command, Arguments(), node)
        following.hand_over(self, callee.name if isinstance(callee, Made) else "", arguments, node)
        uses = (callee, *(argument.value for argument in (*arguments.positional, *arguments.keyword.values())))
        return Unknown("what this call returns", self.origin(node), uses=uses)

    def _output(self, result: Value, node: cst.CSTNode) -> Value:
        """What a wrapped model computes, as something that this call made."""
        if isinstance(result, (Unknown, Op)) or (isinstance(result, Items) and result.values):
            return Unknown("what the model returns", self.origin(node), uses=(result,))
        return result

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


def _fields(names: Table) -> dict[int, dict[object, Value]]:
    return {value.id: dict(value.fields) for value in names.values() if isinstance(value, Object)}


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
