"""Classes, instances and attributes: what ``owner.name`` is, along bases, namespaces, modules and libraries."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import libcst as cst

from ddplint.program import binding, expressions, options
from ddplint.program.events import Arguments
from ddplint.program.module import ClassFacts, FunctionFacts
from ddplint.program.state import assume
from ddplint.program.values import (
    Choice,
    Class,
    Const,
    EnvVar,
    External,
    Function,
    Imported,
    Input,
    Made,
    Method,
    ModuleValue,
    Object,
    Origin,
    Parent,
    Unknown,
    Value,
    choose,
)

if TYPE_CHECKING:
    from ddplint.program.project import ModuleFile
    from ddplint.program.run import Run

_MAPPINGS = frozenset(
    ("dict", "argparse.Namespace", "types.SimpleNamespace", "easydict.EasyDict", "collections.UserDict")
)


def instantiate(run: Run, cls: Class, arguments: Arguments, node: cst.CSTNode) -> Object:
    """``Trainer(rank, model)``: a new object, after its ``__init__``."""
    instance: Object
    if derives_from(run, cls, options.PARSERS):
        instance = options.new_parser(run, arguments, node)
        instance.cls = cls.facts
    else:
        instance = Object("instance", run.origin(node), cls=cls.facts)
    init = member(run, instance, cls.facts, "__init__")
    if isinstance(init, Function):
        run.invoke(init, arguments, node)
        return instance
    from ddplint.program.library import feeds

    feeds.derived(run, instance, arguments, node)
    declared = declared_fields(run, cls.facts)
    first = arguments.value(None, 0)
    if isinstance(first, Object) and derives_from(run, cls, _MAPPINGS):
        if first.kind in ("namespace", "config"):
            return first  # a wrapper around parsed options: the same fields under another name
        for key, item in first.fields.items():
            run.state.write(instance.fields, key, item)
    for position, (name, _, default) in enumerate(declared):
        value = arguments.value(name, position) or default
        if value is None or (arguments.open and arguments.value(name, position) is None):
            value = Unknown(f"the field {name} of {cls.facts.name}", instance.origin)
        run.state.write(instance.fields, name, value)
    post = member(run, instance, cls.facts, "__post_init__")
    if isinstance(post, Function):
        run.invoke(post, Arguments(), node)
    return instance


def derives_from(run: Run, cls: Class, names: frozenset[str]) -> bool:
    """Whether one of a class's bases, or of theirs, is a library class of these names."""
    for facts in (cls.facts, *bases(run, cls.facts)):
        with run.within(run.modules.get(id(facts.module)) or run.load(facts.module)):
            found = [run.evaluate(base.value) for base in facts.node.bases]
        if any(isinstance(base, External) and base.name in names for base in found):
            return True
    return False


def parent(run: Run) -> Value | None:
    """``super()`` in the method being executed: its object, seen as the next class up."""
    facts = run._stack[-1] if run._stack else None
    if facts is None or facts.cls is None or not facts.node.params.params:
        return None
    bound = run.lookup(facts.node.params.params[0].name.value)
    return Parent(bound, facts.cls) if bound is not None else None


def bases(run: Run, cls: ClassFacts) -> Iterator[ClassFacts]:
    """The project classes that a class derives from, nearest first, without itself."""
    seen = {id(cls)}
    pending = [cls]
    while pending:
        facts = pending.pop(0)
        with run.within(run.modules.get(id(facts.module)) or run.load(facts.module)):
            found = [run.evaluate(base.value) for base in facts.node.bases]
        for value in found:
            if isinstance(value, Class) and id(value.facts) not in seen:
                seen.add(id(value.facts))
                pending.append(value.facts)
                yield value.facts


def member(run: Run, owner: Value | None, cls: ClassFacts, name: str) -> Value | None:
    """A method or class attribute, looked up along the bases."""
    for facts in (cls, *bases(run, cls)):
        scope = run.modules.get(id(facts.module)) or run.load(facts.module)
        given = run.attributes.get((Class(facts, None, None).id, name))
        if given is not None:
            return given
        method = facts.methods.get(name)
        if method is not None:
            return Function(method, scope, owner, Origin(facts.module, method.node))
        for line in facts.node.body.body:
            for target, value in _class_attributes(line):
                if target == name and value is not None:
                    with run.within(scope):
                        return run.evaluate(value)
    return None


def declared_fields(run: Run, cls: ClassFacts) -> list[tuple[str, cst.AnnAssign, Value | None]]:
    """The fields of a dataclass-like class, bases first: name, declaration, default."""
    found: dict[str, tuple[str, cst.AnnAssign, Value | None]] = {}
    for facts in (*reversed(tuple(bases(run, cls))), cls):
        scope = run.modules.get(id(facts.module)) or run.load(facts.module)
        with run.within(scope):
            for line in facts.node.body.body:
                if not isinstance(line, cst.SimpleStatementLine):
                    continue
                for small in line.body:
                    if isinstance(small, cst.AnnAssign) and isinstance(small.target, cst.Name):
                        default = _field_default(run, small.value) if small.value is not None else None
                        found[small.target.value] = (small.target.value, small, default)
    return list(found.values())


def _field_default(run: Run, node: cst.BaseExpression) -> Value | None:
    if isinstance(node, cst.Call):
        callee = run.evaluate(node.func)
        name = callee.name.rpartition(".")[2] if isinstance(callee, External) else ""
        if name in ("field", "Field", "ib", "attrib", "MutableField"):
            arguments = binding.evaluate_arguments(run, node)
            factory = arguments.value("default_factory")
            if factory is not None:
                return run.call(factory, Arguments(), node)
            return arguments.value("default", 0)
        if name in ("arg", "choice", "flag"):  # simple_parsing.field helpers put the default first
            return binding.evaluate_arguments(run, node).value("default", 0)
    return run.evaluate(node)


def attribute(run: Run, owner: Value, name: str, origin: Origin) -> Value:
    """``owner.name``."""
    if isinstance(owner, External):
        return expressions.external(run, f"{owner.name}.{name}", origin)
    if isinstance(owner, ModuleValue):
        return module_member(run, owner.file, name, origin)
    if isinstance(owner, Object):
        return _object_attribute(run, owner, name, origin)
    if isinstance(owner, Parent):
        for base in bases(run, owner.cls):
            found = member(run, owner.bound, base, name)
            if found is not None:
                return found
        return Method(owner.bound, name, origin)
    if isinstance(owner, Class):
        found = member(run, None, owner.facts, name)
        if isinstance(found, Function) and is_decorated(found.facts, "classmethod"):
            return Function(found.facts, found.scope, owner, origin)
        return found if found is not None else Method(owner, name, origin)
    if isinstance(owner, Input) and owner.spec is None:
        found = run.attributes.get((owner.id, name))
        return found or Input(f"{owner.name}.{name}", None, origin, owner.id, owner.filed)
    if isinstance(owner, Choice) and not isinstance(owner.then, (Const, EnvVar)):
        return _chosen_attribute(run, owner, name, origin)
    if isinstance(owner, Made) and owner.id in run.wrapped:
        from ddplint.program.library import wrapping

        found = run.attributes.get((owner.id, name)) or wrapping.attribute(run, owner, name, origin)
        return found or Method(owner, name, origin)
    return run.attributes.get((owner.id, name)) or Method(owner, name, origin)


def _chosen_attribute(run: Run, owner: Choice, name: str, origin: Origin) -> Value:
    if not run.wrapped:
        return choose(
            owner.condition, attribute(run, owner.then, name, origin), attribute(run, owner.other, name, origin)
        )
    from ddplint.program.library import wrapping

    # A model that is wrapped on one side only: which one it is here matters, and which way its events came.
    known = wrapping.side(run, owner)
    if known is not None:
        return attribute(run, owner.then if known else owner.other, name, origin)
    path = run.state.path
    run.splits += 1
    run.state.path = assume(path, owner.condition, True)
    then = attribute(run, owner.then, name, origin)
    run.state.path = assume(path, owner.condition, False)
    other = attribute(run, owner.other, name, origin)
    run.state.path = path
    run.splits -= 1
    return choose(owner.condition, then, other)


def _object_attribute(run: Run, owner: Object, name: str, origin: Origin) -> Value:
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
        inherited = member(run, owner, owner.cls, name)
        if isinstance(inherited, Function) and _is_property(inherited.facts):
            return run.invoke(inherited, Arguments(), origin.node)
        if isinstance(inherited, Function) and inherited.facts.node.decorators:
            return binding.decorated_method(run, inherited)
        if inherited is not None:
            return inherited
    return Method(owner, name, origin)


def set_attribute(run: Run, owner: Value, name: str, value: Value) -> None:
    """``owner.name = value``."""
    if isinstance(owner, Object):
        run.state.write(owner.fields, name, value)
    elif isinstance(owner, ModuleValue):
        if owner.file.module is not None:
            run.state.write(run.load(owner.file.module).names, name, value)
    elif isinstance(owner, Choice):
        for side in (owner.then, owner.other):
            set_attribute(run, side, name, value)
    elif not isinstance(owner, Const):
        run._owners.setdefault(owner.id, owner)
        run.state.write(run.attributes, (owner.id, name), value)


def module_member(run: Run, file: ModuleFile, name: str, origin: Origin) -> Value:
    """``module.name``: a global of a project module, or a module below it."""
    if file.module is not None:
        scope = run.load(file.module)
        found = scope.names.get(name)
        if isinstance(found, Imported) and found.file is not file:
            with run.within(scope):
                return run.resolve(name, found)
        if found is not None:
            return found
    below = run.project.submodule(file, name)
    if below is not None:
        return ModuleValue(below, origin)
    return Unknown(f"{name} of {os.path.basename(file.path)}", origin)


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


def is_decorated(facts: FunctionFacts, name: str) -> bool:
    """Whether a plain decorator of that name stands on a function: ``staticmethod``, ``classmethod``."""
    return any(
        isinstance(decorator.decorator, cst.Name) and decorator.decorator.value == name
        for decorator in facts.node.decorators
    )
