"""What a function does with a rank that it is given, through the names, attributes and calls that it goes through."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import libcst as cst

from ddplint.program import Program
from ddplint.program.imports import dotted_name
from ddplint.program.module import FunctionFacts, Module
from ddplint.program.values import Value
from ddplint.program.walk import children, everything_in
from ddplint.repairs import callees
from ddplint.repairs.uses import (
    DEVICE_WORDS,
    Kind,
    Use,
    assigned_to,
    calls_around,
    handed,
    is_guard,
    kind,
    spelling,
    uses_in,
)
from ddplint.sources import split_lines

_DEEPEST = 6
# What one process of a node does for the others of the same node: a temporary file is not there on another one.
_OF_THE_NODE = frozenset(("tempfile", "gettempdir", "mkdtemp", "mkstemp"))
_DEFINITIONS = (cst.FunctionDef, cst.ClassDef)
_NODE_FOLDER = re.compile(r"""["'](/tmp|/scratch|/local|/dev/shm)\b|TMPDIR""")


@dataclass(slots=True)
class Roles:
    """Where a value is used as a global rank in the function itself (``here``), and what else becomes of it.

    ``passed`` are the calls that hand it to functions which use it both ways, ``attributes`` fields of ``self`` that
    keep it. ``whole_job`` and ``device`` say what it is used for, here and wherever it goes.
    """

    here: list[Use] = field(default_factory=list)
    passed: list[tuple[Use, FunctionFacts, str]] = field(default_factory=list)
    attributes: list[str] = field(default_factory=list)
    whole_job: bool = False
    device: bool = False


def roles(
    program: Program,
    facts: FunctionFacts,
    written: str,
    forced: Sequence[cst.CSTNode] = (),
    names: Mapping[object, Value] | None = None,
    sizes: frozenset[str] = frozenset(),
    seen: frozenset[tuple[int, str]] = frozenset(),
) -> Roles:
    """What ``facts`` does with the value called ``written`` in it.

    Uses below the ``forced`` nodes are those of a rank, whatever is around them. ``names`` are the values of the
    function's own names, if they are known: a parameter may be the function that is called. ``sizes`` are names of
    the world size in it: whoever is handed both wants a pair.
    """
    found = Roles()
    key = (id(facts.node), written)
    if key in seen or len(seen) > _DEEPEST:
        return found
    seen = seen | {key}
    body = facts.node.body.body
    for use in uses_in(body, written):
        if any(node is wanted for wanted in forced for node in (use.node, *use.around)):
            found.here.append(use)
            continue
        if _follow(program, facts, use, forced, names or {}, sizes, seen, found):
            continue
        meaning = about(program, facts, use, body)
        if meaning is Kind.GLOBAL:
            found.here.append(use)
        elif meaning is Kind.LOCAL:
            found.device = True
    found.whole_job = found.whole_job or bool(found.here)
    return found


def _follow(
    program: Program,
    facts: FunctionFacts,
    use: Use,
    forced: Sequence[cst.CSTNode],
    names: Mapping[object, Value],
    sizes: frozenset[str],
    seen: frozenset[tuple[int, str]],
    found: Roles,
) -> bool:
    """Go where a use hands the value on; False if it hands it to nobody that is known."""
    given = handed(use)
    if given is not None:
        target = callees.project_function(program, facts.module, given.call, facts.cls, names)
        name = parameter(target, given.keyword, given.position) if target is not None else None
        paired = any(spelling(arg.value) in sizes for arg in given.call.args)
        if target is None or name is None:
            if not paired or kind(use, [callees.dotted(facts.module, given.call, facts.node)]) is Kind.LOCAL:
                return False
            found.here.append(use)
            return True
        handed_sizes = frozenset(word for arg, word in arguments(given.call, target) if spelling(arg.value) in sizes)
        inner = roles(program, target, name, forced, sizes=handed_sizes, seen=seen)
        found.whole_job |= inner.whole_job
        found.device |= inner.device
        if (inner.whole_job or paired) and not inner.device:
            found.here.append(use)
        elif inner.whole_job:
            found.passed.append((use, target, name))
        return True
    alias = assigned_to(use)
    if alias is None:
        return False
    name = spelling(alias)
    if not name or name.count(".") > 1:
        return False
    if name.startswith("self.") and facts.cls is not None:
        inners = [roles(program, method, name, forced, seen=seen) for method in facts.cls.methods.values()]
        found.attributes.append(name)
    else:
        nested = next((node for node in use.around if isinstance(node, cst.FunctionDef)), None)
        holder = facts.module.functions.get(id(nested), facts) if nested is not None else facts
        inners = [roles(program, holder, name, forced, names, sizes, seen)]
    whole_job, device = any(one.whole_job for one in inners), any(one.device for one in inners)
    # others may take `args.local_rank` for what it says
    device |= re.split(r"[.\[]", name)[-1].strip('"]') in DEVICE_WORDS
    found.whole_job |= whole_job
    found.device |= device
    if whole_job and not device:
        found.here.append(use)
    elif not name.startswith("self."):
        found.here += inners[0].here
        found.passed += inners[0].passed
        found.attributes += inners[0].attributes
    return True


def about(program: Program, facts: FunctionFacts, use: Use, body: Sequence[cst.CSTNode]) -> Kind:
    """What a use in ``facts`` is about: by the code around it, else by what becomes of the result."""
    names = [callees.dotted(facts.module, call, facts.node) for call in calls_around(use)]
    meaning = kind(use, names)
    if meaning is Kind.GLOBAL and is_guard(use) and _works_on_the_node(facts):
        return Kind.UNKNOWN
    if meaning is not Kind.UNKNOWN:
        return meaning
    # `offset = rank * size`: what becomes of the result decides
    target = _result(use)
    if target is None:
        return Kind.UNKNOWN
    nested = next((node for node in use.around if isinstance(node, cst.FunctionDef)), None)
    body = body if nested is None else nested.body.body
    kinds: set[Kind] = set()
    for one in uses_in(body, target):
        kinds.add(kind(one, [callees.dotted(facts.module, call, facts.node) for call in calls_around(one)]))
        given = handed(one)
        called = callees.project_function(program, facts.module, given.call, facts.cls, {}) if given else None
        name = parameter(called, given.keyword, given.position) if called and given else None
        if called is not None and name is not None:
            inner = roles(program, called, name)
            kinds |= {Kind.LOCAL} if inner.device else {Kind.GLOBAL} if inner.whole_job else set()
    return next((one for one in (Kind.LOCAL, Kind.GLOBAL) if one in kinds), Kind.UNKNOWN)


def _works_on_the_node(facts: FunctionFacts) -> bool:
    if facts.words & _OF_THE_NODE:
        return True
    text = facts.module.source.text
    if not _NODE_FOLDER.search(text):
        return False
    lines = split_lines(text)
    # by statement: the top level of a module is no function that has a place
    spans = [facts.module.positions.span(one) for one in facts.node.body.body if not isinstance(one, _DEFINITIONS)]
    return any(_NODE_FOLDER.search(line) for span in spans for line in lines[span.start.line - 1 : span.end.line])


def _result(use: Use) -> str | None:
    for node in use.around:
        if isinstance(node, cst.Assign):
            target = node.targets[0].target if len(node.targets) == 1 else None
            return target.value if isinstance(target, cst.Name) else None
        if not isinstance(node, (cst.BinaryOperation, cst.Subscript, cst.SubscriptElement, cst.Index, cst.IfExp)):
            return None
    return None


def arguments(call: cst.CSTNode, facts: FunctionFacts) -> Iterator[tuple[cst.Arg, str]]:
    """The arguments of a call, with the names under which the called function receives them."""
    for position, arg in enumerate(call.args if isinstance(call, cst.Call) else ()):
        name = parameter(facts, arg.keyword.value if arg.keyword is not None else None, position)
        if name is not None and not arg.star:
            yield arg, name


def not_assigned(facts: FunctionFacts, names: Sequence[str]) -> list[str]:
    """The first name, and those that the function does not give the value itself: such aliases are followed."""
    targets = {
        spelling(node.targets[0].target) for node in everything_in(facts.node.body) if isinstance(node, cst.Assign)
    }
    return [name for position, name in enumerate(names) if position == 0 or name not in targets]


def merged(names: Sequence[str], all_roles: Sequence[Roles]) -> Roles:
    """The roles of several names of one value; where one is bound to another, both go on to mean the same."""
    found = Roles()
    seen: set[int] = set()
    for one in all_roles:
        found.here += [use for use in one.here if id(use.node) not in seen and _bound_to(use) not in names]
        seen |= {id(use.node) for use in one.here}
        found.passed += one.passed
        found.attributes += [name for name in one.attributes if name not in found.attributes]
        found.whole_job |= one.whole_job
        found.device |= one.device
    return found


def _bound_to(use: Use) -> str:
    target = assigned_to(use)
    return spelling(target) if target is not None else ""


def parameter(facts: FunctionFacts, keyword: str | None, position: int) -> str | None:
    """The name under which a function receives an argument."""
    params = facts.node.params
    positional = [*params.posonly_params, *params.params]
    if keyword is not None:
        known = {param.name.value for param in (*positional, *params.kwonly_params)}
        return keyword if keyword in known else None
    if facts.cls is not None and not _is_static(facts.node):
        position += 1
    return positional[position].name.value if position < len(positional) else None


def _is_static(node: cst.FunctionDef) -> bool:
    return any(dotted_name(one.decorator) == "staticmethod" for one in node.decorators)


def only_called_from(program: Program, facts: FunctionFacts, inside: Sequence[cst.CSTNode]) -> bool:
    """Whether every mention of a function, in all modules, is a call below one of the ``inside`` nodes.

    A class's ``__init__`` is mentioned by the name of the class. Methods may be called by anybody on an object that
    was made inside.
    """
    if facts.cls is not None and facts.name != "__init__":
        init = facts.cls.methods.get("__init__")
        return init is not None and only_called_from(program, init, inside)
    name = facts.cls.name if facts.cls is not None else facts.name
    allowed = {id(node) for root in inside for node in everything_in(root)}
    return all(
        id(node) in allowed
        for module in program.modules
        for node in _mentions(program, module, name)
        if node is not facts.node.name and (facts.cls is None or node is not facts.cls.node.name)
    )


def _mentions(program: Program, module: Module, name: str) -> Iterator[cst.Name]:
    """Where a module says a name by itself, or as a member of a module of the project."""
    if name not in module.words:
        return
    stack: list[cst.CSTNode] = [module.tree]
    while stack:
        node = stack.pop()
        if isinstance(node, cst.Name) and node.value == name:
            yield node
        elif isinstance(node, cst.Attribute):
            stack.append(node.value)
            if node.attr.value == name and callees.is_module(program, module, dotted_name(node.value)):
                yield node.attr
        elif isinstance(node, cst.Arg):
            stack.append(node.value)
        elif not isinstance(node, (cst.Import, cst.ImportFrom)):
            stack.extend(children(node))
