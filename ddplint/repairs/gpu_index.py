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
from ddplint.repairs.draft import Draft, NoPlaceError, names_bound_in, names_in
from ddplint.repairs.gpu_uses import Target, assigned, body_of, home, indices, only_with_gpus, target_at
from ddplint.repairs.uses import Kind, calls_around, kind, uses_in

_STARTED_BY_TORCHRUN = re.compile(r"\btorchrun\b|torch\.distributed\.run\b")
_LOCAL_RANK = re.compile(r'int\((\w+\.)?(environ\["LOCAL_RANK"\]|(environ\.get|getenv)\("LOCAL_RANK"\))\)')
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
        always = _always_this(program, events, index)
        told = always and _local_rank_is_there(program, index)
        if not told and not only_with_gpus(program, events):
            return None  # a node without GPUs has no remainder
        for group in _together(targets):
            known = _known_local_rank(group[0]) if always else None
            _write(draft, group, known, told, events)
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


def _together(targets: Sequence[Target]) -> Iterator[list[Target]]:
    """The uses that one variable can serve: those in the block of the first of them, or deeper in it."""
    rest = sorted(
        targets, key=lambda one: (one.origin.module.path, one.origin.module.positions.span(one.origin.node).start)
    )
    while rest:
        block = _way_to(rest[0])[-2]
        group = [target for target in rest if target.function is rest[0].function and _is_below(target, block)]
        yield group
        rest = [target for target in rest if not any(target is one for one in group)]


def _way_to(target: Target) -> list[cst.CSTNode]:
    """The module, the compound statements and clauses around a use, and the line or header that it stands in."""
    piece = target.origin.module.positions.statement_line(target.origin.node)
    if piece is None:
        raise NoPlaceError("an index that stands nowhere")
    return [target.origin.module.tree, *piece.around, piece.root]


def _is_below(target: Target, block: cst.CSTNode) -> bool:
    """Whether a use is in the body of ``block``, not in an ``else`` or ``except`` that goes with it."""
    way = _way_to(target)
    place = next((index for index, node in enumerate(way[:-1]) if node is block), None)
    if place is None:
        return False
    body = getattr(block, "body", None)
    statements = body.body if isinstance(body, cst.BaseSuite) else body
    return isinstance(statements, Sequence) and any(way[place + 1] is statement for statement in statements)


def _write(draft: Draft, targets: Sequence[Target], known: str | None, told: bool, events: Sequence[Event]) -> None:
    """The uses in one block: a known local rank by its name, else the expression, once if it is used often."""
    first = targets[0]
    texts = {draft.text(target.origin) for target in targets}
    new = known
    if new is None and len(targets) > 1 and len(texts) == 1 and _steady(first):
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


def _steady(first: Target) -> bool:
    """Whether a variable can be made before the first use: the name is free, and the use is certain to come."""
    used = names_in(first.function) if first.function is not None else first.origin.module.words
    piece = first.origin.module.positions.statement_line(first.origin.node)
    if "local_rank" in used or any(isinstance(node, _SOMETIMES) for node in first.around):
        return False
    return piece is not None and isinstance(piece.root, cst.SimpleStatementLine)


def _known_local_rank(first: Target) -> str | None:
    """A variable that was made from LOCAL_RANK, without a fallback, above the use."""
    module = first.origin.module
    line = module.positions.line(first.origin.node)
    for function in dict.fromkeys((first.function, None)):
        for statement in body_of(module, function):
            name = _from_local_rank(statement)
            if name is None or (function is not first.function and _binds(first, name)):
                continue
            if function is not first.function or module.positions.line(statement) < line:
                return name
    return None


def _binds(first: Target, name: str) -> bool:
    return first.function is not None and name in names_bound_in(first.function)


def _from_local_rank(statement: cst.CSTNode) -> str | None:
    if not (isinstance(statement, cst.SimpleStatementLine) and isinstance(statement.body[0], cst.Assign)):
        return None
    small = statement.body[0]
    target = small.targets[0].target
    code = cst.Module([]).code_for_node(small.value).replace("'", '"') if len(small.targets) == 1 else ""
    return target.value if isinstance(target, cst.Name) and _LOCAL_RANK.fullmatch(code) else None


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
