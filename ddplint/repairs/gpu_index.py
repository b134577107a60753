"""GPU indices that count over all nodes: the local rank instead, or the remainder by the GPUs of the node (DDP109)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import libcst as cst

from ddplint.findings import Applicability, Fix
from ddplint.program import launchers
from ddplint.program.events import Event
from ddplint.program.imports import dotted_name
from ddplint.program.program import Program
from ddplint.program.values import EnvHas, EnvVar, Op, Value, walk
from ddplint.repairs import callees
from ddplint.repairs.draft import Draft, NoPlaceError, names_bound_in
from ddplint.repairs.gpu_uses import Target, assigned, body_of, home, indices, only_with_gpus, target_at
from ddplint.repairs.uses import Kind, calls_around, kind, uses_in

_STARTED_BY_TORCHRUN = re.compile(r"\btorchrun\b|torch\.distributed\.run\b")
_ATOMS = (cst.Name, cst.Attribute, cst.Call, cst.Subscript, cst.Integer)
# Where an operator can follow without parentheses around it.
_OPEN = (
    cst.Arg, cst.Element, cst.FormattedStringExpression, cst.Assign, cst.AnnAssign, cst.Index, cst.DictElement,
    cst.Return,
)  # fmt: skip
_DEVICE_CALLS = frozenset(("to", "cuda", "format", "DDP", "DistributedDataParallel"))
_SOMETIMES = (cst.IfExp, cst.Lambda, cst.BooleanOperation, cst.BaseComp)


def fix(program: Program, index: Value) -> Fix | None:
    """Every use of ``index`` as a GPU number, on one node the same number as before."""
    events = [event for event in program.events("device") if event.arguments["index"].value.id == index.id]
    draft = Draft(program)
    try:
        targets = list(_targets(program, events))
        told = _local_rank_is_there(program, index) and _always_this(program, events, index)
        if not told and not only_with_gpus(program, events):
            return None  # a node without GPUs has no remainder
        for function in dict.fromkeys(target.function for target in targets):
            _write(program, draft, [target for target in targets if target.function is function], told, events)
    except NoPlaceError:
        return None
    what = "the local rank" if told else "the remainder by the GPUs of the node"
    return draft.fix(Applicability.SAFE, f"Use {what} as the GPU index")


# -- what can be relied on --------------------------------------------------------------------------------------


def _local_rank_is_there(program: Program, index: Value) -> bool:
    """Whether every process that gets here has LOCAL_RANK: somebody reads it, or it is torchrun that sets the rank."""
    if any("LOCAL_RANK" in run.required for run in program.runs) and not _other_starts(program):
        return True
    plain = index
    while isinstance(plain, Op) and plain.name == "int":
        plain = plain.args[0]
    if not (isinstance(plain, EnvVar) and plain.name == "RANK"):
        return False
    texts = [module.source.text for module in program.modules]
    return any(_STARTED_BY_TORCHRUN.search(text) for text in (*texts, *program.launch_files()))


def _other_starts(program: Program) -> bool:
    """Whether the script expects other launchers as well, or none."""
    if any(launchers.is_scheduler_variable(name) for run in program.runs for name in run.reads):
        return True
    return any(
        isinstance(part, EnvHas) and part.name in ("LOCAL_RANK", *launchers.RENDEZVOUS)
        for run in program.runs
        for check in run.checks
        for part in walk(check)
    )


def _always_this(program: Program, events: Sequence[Event], index: Value) -> bool:
    """Whether the places never see another index: a remainder would do for any, the local rank would not."""
    places = {id(event.arguments["index"].node) for event in events}
    return not any(
        id(event.arguments["index"].node) in places and event.arguments["index"].value.id != index.id
        for event in program.events("device")
    )


# -- where ------------------------------------------------------------------------------------------------------


def _targets(program: Program, events: Sequence[Event]) -> Iterator[Target]:
    seen: set[int] = set()
    for event in events:
        for node in indices(event):
            found = target_at(event.module, node)
            same = [found] if not isinstance(node, (cst.Name, cst.Attribute)) else [found, *_elsewhere(found)]
            for target in same:
                if id(target.origin.node) not in seen:
                    seen.add(id(target.origin.node))
                    yield target


def _elsewhere(target: Target) -> Iterator[Target]:
    """Where else the same name is a GPU in the same function: ``map_location=f"cuda:{rank}"``."""
    module, node = target.origin
    assert isinstance(node, (cst.Name, cst.Attribute))
    if isinstance(node, cst.Name) and len(list(assigned(module, node))) > 1:
        return
    for use in uses_in(body_of(module, target.function), dotted_name(node)):
        names = [callees.dotted(module, call, target.function) for call in calls_around(use)]
        if kind(use, names) is not Kind.LOCAL:
            continue
        in_text = any(isinstance(one, cst.FormattedString) for one in use.around)
        innermost = names[0] if names else ""
        if in_text or innermost.startswith("torch.") or innermost.rpartition(".")[2] in _DEVICE_CALLS:
            yield target_at(module, use.node)


# -- what to write ----------------------------------------------------------------------------------------------


def _write(program: Program, draft: Draft, targets: Sequence[Target], told: bool, events: Sequence[Event]) -> None:
    """The uses in one function: a known local rank by its name, else the expression, once if it is used often."""
    first = min(targets, key=lambda target: program.span(target.origin))
    known = _known_local_rank(program, first) if told else None
    texts = {draft.text(target.origin) for target in targets}
    new = known
    if new is None and len(targets) > 1 and len(texts) == 1 and _steady(program, first):
        code = _local_rank(draft, first, '"') if told else _remainder(draft, first, events)
        draft.before(first.origin, f"local_rank = {code}")
        new = "local_rank"
    for target in targets:
        quote = '"'
        for node in target.around:
            if isinstance(node, cst.FormattedString):
                quote = "'" if '"' in node.start else '"'
        if new is not None:
            code = new
        else:
            code = _local_rank(draft, target, quote) if told else _remainder(draft, target, events)
            if not told and not isinstance(target.around[0], _OPEN):
                code = f"({code})"
        if any(isinstance(node, cst.FormattedString) for node in target.around):
            draft.replace_text(target.origin, code)
        else:
            draft.replace(target.origin, code)


def _steady(program: Program, first: Target) -> bool:
    """Whether a variable can be made before the first use: the name is free, and the use is certain to come."""
    if "local_rank" in first.origin.module.words or any(isinstance(node, _SOMETIMES) for node in first.around):
        return False
    piece = first.origin.module.positions.statement_line(first.origin.node)
    body = body_of(first.origin.module, first.function)
    return piece is not None and any(piece.root is statement for statement in body)


def _known_local_rank(program: Program, first: Target) -> str | None:
    """A variable that was made from LOCAL_RANK above the use."""
    module = first.origin.module
    line = module.positions.line(first.origin.node)
    bodies = (
        [body_of(module, None)] if first.function is None else [body_of(module, first.function), body_of(module, None)]
    )
    for body in bodies:
        for statement in body:
            if not (isinstance(statement, cst.SimpleStatementLine) and len(statement.body) == 1):
                continue
            small = statement.body[0]
            if not (isinstance(small, cst.Assign) and len(small.targets) == 1):
                continue
            target, code = small.targets[0].target, cst.Module([]).code_for_node(small.value).replace("'", '"')
            if re.fullmatch(r'int\((\w+\.)?environ\["LOCAL_RANK"\]\)', code) and isinstance(target, cst.Name):
                if body is bodies[-1] and first.function is not None and _rebinds(first.function, target.value):
                    continue
                if module.positions.line(statement) < line or (body is not bodies[0]):
                    return target.value
    return None


def _rebinds(function: cst.FunctionDef, name: str) -> bool:
    return name in names_bound_in(function)


def _local_rank(draft: Draft, target: Target, quote: str) -> str:
    return f"int({draft.name(target.origin, 'os.environ')}[{quote}LOCAL_RANK{quote}])"


def _remainder(draft: Draft, target: Target, events: Sequence[Event]) -> str:
    text = draft.text(target.origin)
    if "\n" in text:
        raise NoPlaceError("an index over several lines")
    if not isinstance(target.origin.node, _ATOMS):
        text = f"({text})"
    count = draft.name(target.origin, f"torch.{home(events)}.device_count", "torch")
    return f"{text} % {count}()"
