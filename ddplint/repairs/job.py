"""The numbers of a job of several nodes, as code: how many nodes, which of them this is, how many processes on each."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

import libcst as cst

from ddplint.program import Program, launchers
from ddplint.program.events import Frame, Spawn
from ddplint.program.judge import sources
from ddplint.program.module import FunctionFacts, Module
from ddplint.program.typed import NODE_RANK
from ddplint.program.values import Const, External, Object, Op, Origin, Symbol, Value
from ddplint.program.walk import children
from ddplint.repairs.draft import Draft

NNODES = re.compile(r"^(n|num_?|n_)?(nodes?|machines|hosts)$|^nnodes$", re.I)


def held(frame: Frame, *values: Value, facts: FunctionFacts | None = None, at: Origin | None = None) -> Iterator[str]:
    """How the code of a function says one of these values: a parameter, a variable of its own, or a field of one.

    ``facts`` stand for the function of a frame that has none: a top level, where variables of inner blocks count too.
    With ``at``, only what is bound above that place.
    """
    function = frame.facts or facts
    assert function is not None
    wanted = {value.id for value in values}
    params = parameters(function)
    variables = _variables(function, inner=facts is not None, at=at)
    for name in (*params, *variables):
        known = frame.names.get(name)
        if known is not None and known.id in wanted:
            yield name
    for name in (*params, *variables):
        owner = frame.names.get(name)
        if isinstance(owner, Object):
            fields = _fields(frame, owner).items()
            yield from (_field(function.module, name, key, owner) for key, known in fields if known.id in wanted)


def _variables(facts: FunctionFacts, inner: bool, at: Origin | None) -> list[str]:
    """Variables that one assignment in the function's own block binds, in their order; ``inner``: in any block, by any
    number of assignments; ``at``: above that place only."""
    line = facts.module.positions.line
    statements = [
        statement
        for statement in (_statements(facts.node.body) if inner else facts.node.body.body)
        if isinstance(statement, cst.SimpleStatementLine)
    ]
    names = [name for statement in statements for name in _bound_by(statement)]
    last = line(at.node) if at is not None else 0
    above = {name for one in statements if at is None or line(one) < last for name in _bound_by(one)}
    return [name for name in dict.fromkeys(names) if name in above and (inner or names.count(name) == 1)]


def _bound_by(statement: cst.SimpleStatementLine) -> Iterator[str]:
    for small in statement.body:
        for target in small.targets if isinstance(small, cst.Assign) else ():
            if isinstance(target.target, cst.Name):
                yield target.target.value
            elif isinstance(target.target, cst.Tuple):
                yield from (one.value.value for one in target.target.elements if isinstance(one.value, cst.Name))


def _statements(root: cst.CSTNode) -> Iterator[cst.CSTNode]:
    """The statements of a block and of those in it, but not of functions and classes."""
    for child in children(root):
        if isinstance(child, cst.SimpleStatementLine):
            yield child
        elif not isinstance(child, (cst.FunctionDef, cst.ClassDef, cst.BaseExpression)):
            yield from _statements(child)


def _fields(frame: Frame, owner: Object) -> Mapping[str, Value]:
    if owner.kind not in ("namespace", "config", "instance", "dict"):
        return {}
    declared = dict(owner.parser.fields) if owner.parser is not None else {}
    fields = {**declared, **frame.fields.get(owner.id, owner.fields)}
    return {key: value for key, value in fields.items() if isinstance(key, str)}


def _field(module: Module, name: str, key: str, owner: Object) -> str:
    """``args.rank``, or ``args["rank"]`` of a dictionary. `vars(args)` is one too: the file's own spelling decides."""
    text = module.source.text
    for quote in ('"', "'"):
        if f"{name}[{quote}{key}{quote}]" in text:
            return f'{name}["{key}"]'
    return f'{name}["{key}"]' if owner.kind == "dict" else f"{name}.{key}"


def parameters(facts: FunctionFacts) -> list[str]:
    """The names of a function's parameters."""
    params = facts.node.params
    return [param.name.value for param in (*params.posonly_params, *params.params, *params.kwonly_params)]


def nnodes(draft: Draft, frame: Frame, at: Origin) -> str:
    """The number of nodes: the script's own option or constant, else NNODES, else one."""
    return _own(draft, frame, NNODES, launchers.Role.NNODES, at) or _environment(
        draft, at, ["NNODES"], ["SLURM_NNODES"], 1
    )


def node_rank(draft: Draft, frame: Frame, at: Origin) -> str:
    """Which node this is: the script's own option or constant, else NODE_RANK, else the first."""
    return _own(draft, frame, NODE_RANK, launchers.Role.NODE_RANK, at) or _environment(
        draft, at, ["NODE_RANK"], ["SLURM_NODEID"], 0
    )


def _own(draft: Draft, frame: Frame, words: re.Pattern[str], role: launchers.Role, at: Origin) -> str | None:
    for option in draft.program.options:
        if words.match(option.name):
            found = next(held(frame, option, at=at), None)
            if found is not None:
                return found
    for name, value in (*_earlier(frame, at), *_module_names(draft.program, frame)):
        read = sources(value)
        if value.type == "int" and read and all(launchers.meaning(one) is role for one in read):
            return name
    return None


def _earlier(frame: Frame, at: Origin) -> Iterator[tuple[str, Value]]:
    """The variables that a function's own block has bound before a place."""
    assert frame.facts is not None
    line = at.module.positions.line
    for statement in frame.facts.node.body.body:
        if isinstance(statement, cst.SimpleStatementLine) and line(statement) < line(at.node):
            for small in statement.body:
                target = small.targets[0].target if isinstance(small, cst.Assign) else None
                if isinstance(target, cst.Name) and target.value in frame.names:
                    yield target.value, frame.names[target.value]


def _module_names(program: Program, frame: Frame) -> Iterator[tuple[str, Value]]:
    """The names that the top level of a function's module binds for sure, in whatever process imports it."""
    assert frame.facts is not None
    bound = {
        target.target.value
        for statement in frame.module.tree.body
        if isinstance(statement, cst.SimpleStatementLine)
        for small in statement.body
        if isinstance(small, cst.Assign)
        for target in small.targets
        if isinstance(target.target, cst.Name)
    }
    names = program.top_names(frame.module)
    yield from ((name, value) for name, value in names.items() if isinstance(name, str) and name in bound)


def _environment(draft: Draft, at: Origin, names: list[str], slurm: list[str], default: int) -> str:
    """``int(os.environ.get("NODE_RANK", 0))``; Slurm's own variable comes second where the project knows Slurm."""
    environ = draft.name(at, "os.environ", "os")
    wanted = names + (slurm if knows_slurm(draft.program) else [])
    return f"int({first_set(environ, wanted, str(default))})"


def first_set(environ: str, names: Sequence[str], default: str | None, quote: str = '"') -> str:
    """The first of these variables that is set: ``os.environ.get("NODE_RANK", os.environ.get("SLURM_NODEID", 0))``."""
    for name in reversed(names):
        rest = "" if default is None else f", {default}"
        default = f"{environ}.get({quote}{name}{quote}{rest})"
    assert default is not None
    return default


def knows_slurm(program: Program) -> bool:
    """Whether the script, or a launch file beside it, has to do with Slurm."""
    if any(name.startswith("SLURM_") for name in program.entry_run.reads):
        return True
    script = program.path.rpartition("/")[2]
    lines = (line for text in program.launch_files() for line in text.splitlines())
    return any("srun" in line and script in line for line in lines)


def processes_per_node(
    draft: Draft, frame: Frame, spawn: Spawn, starter: Frame | None, at: Origin, rather_not: Sequence[str] = ()
) -> str | None:
    """The number of processes that the script starts on each node, as the code of the started function says it.

    ``starter`` is the function that starts them. One of the names ``rather_not`` is taken only if there is no other.
    """
    assert spawn.count is not None
    count = spawn.count.value
    found = list(held(frame, count, at=at))
    if found:
        return next((name for name in found if name not in rather_not), found[0])
    field = _handed_field(frame, spawn.count.node, starter)
    if field is not None:
        return field
    for name, value in _module_names(draft.program, frame):
        if value.id == count.id:
            return name
    if isinstance(count, Symbol) and count.name == "device_count":
        return draft.name(at, "torch.cuda.device_count", "torch") + "()"
    if isinstance(count, Const) and isinstance(count.value, int):
        return str(count.value)
    return _copied(draft, frame, count, at)


def _handed_field(frame: Frame, written: cst.CSTNode, starter: Frame | None) -> str | None:
    """``config.gpus`` where that is the count and ``config`` is handed to the function, whatever it is."""
    if starter is None or not (isinstance(written, cst.Attribute) and isinstance(written.value, cst.Name)):
        return None
    owner = starter.names.get(written.value.value)
    for name in parameters(frame.facts) if frame.facts is not None and owner is not None else ():
        known = frame.names.get(name)
        if known is not None and owner is not None and known.id == owner.id:
            return f"{name}.{written.attr.value}"
    return None


def _copied(draft: Draft, frame: Frame, count: Value, at: Origin) -> str | None:
    """A count that is computed from GPUs and literals alone, as it is computed where the processes are started."""
    if not isinstance(count, Op) or count.origin is None or not isinstance(count.origin.node, cst.BaseExpression):
        return None
    leaves = list(_leaves(count))
    if not all(
        isinstance(part, (Const, Symbol)) and getattr(part, "name", "device_count") == "device_count" for part in leaves
    ):
        return None
    code = draft.text(count.origin)
    if "\n" in code or count.origin.module is not frame.module:
        return None
    names = {node.value for node in _names(count.origin.node)}
    bound = {name for name, value in draft.program.top_names(frame.module).items() if isinstance(value, External)}
    return f"({code})" if names <= bound | {"min", "max", "len", "int"} else None


def _leaves(value: Value) -> Iterator[Value]:
    parts = value.parts()
    if not parts:
        yield value
    for part in parts:
        yield from _leaves(part)


def _names(node: cst.CSTNode) -> Iterator[cst.Name]:
    if isinstance(node, cst.Name):
        yield node
    elif isinstance(node, cst.Attribute):
        yield from _names(node.value)
    else:
        for child in children(node):
            yield from _names(child)
