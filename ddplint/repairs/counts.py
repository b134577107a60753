"""Counts that do not fit: the number of started processes (DDP110), and the factor in a rank or world size (DDP113)."""

from __future__ import annotations

from collections.abc import Iterator

import libcst as cst

from ddplint.findings import Applicability, Fix
from ddplint.program import Program, launchers
from ddplint.program.events import Frame
from ddplint.program.group import Group
from ddplint.program.judge import Verdict, sources
from ddplint.program.topology import FAMILY
from ddplint.program.typed import replace
from ddplint.program.values import Const, Op, Origin, Value, walk
from ddplint.repairs import job, topology
from ddplint.repairs.draft import Draft, NoPlaceError
from ddplint.repairs.way import top_level


def started(program: Program, group: Group) -> Fix | None:
    """As many processes as the world size says for one node: the script's own number of them."""
    spawn = group.event.context[-1]
    size = group.world_size
    starter = next((one for one in reversed(group.event.frames) if len(one.context) < len(group.event.context)), None)
    if spawn.count is None or size is None or starter is None or starter.module is not spawn.module:
        return None
    size = group.chosen(group.starts_too_many, size)
    draft = Draft(program)
    place = Origin(spawn.module, spawn.count.node)
    code = next(_names_of_one_node(starter, size), None)
    if code is None:
        return None
    try:
        draft.replace(place, code)
    except NoPlaceError:
        return None
    return draft.fix(Applicability.UNSAFE, "Start as many processes as the world size counts on one node")


def _names_of_one_node(starter: Frame, size: Value) -> Iterator[str]:
    """How the starting function says the world size of one node: the size itself, or its factor that counts GPUs."""
    facts = None if starter.facts is not None else top_level(starter.module)
    if isinstance(size, Const):
        yield from job.held(starter, size, facts=facts)
        yield str(size.value)
    elif isinstance(size, Op) and size.name == "mul":
        for factor in size.args:
            if not _counts_nodes(factor):
                yield from job.held(starter, factor, facts=facts)
    else:
        yield from job.held(starter, size, facts=facts)


def _counts_nodes(value: Value) -> bool:
    return any(launchers.meaning(name) is launchers.Role.NNODES for name in sources(value)) or any(
        job.NNODES.match(getattr(part, "name", "")) for part in walk(value)
    )


def mismatch(program: Program, group: Group) -> Fix | None:
    """A rank and a world size that do not fit: one wrong factor, else the world size."""
    return factors(program, group) or topology.fix(program, group)


def factors(program: Program, group: Group) -> Fix | None:
    """The number of started processes, in place of another count in the formula of the rank or the world size."""
    if not group.event.context:
        return None
    spawn = group.event.context[-1]
    if spawn.count is None or group.rank is None or group.world_size is None:
        return None
    for what in ("rank", "world_size"):
        value: Value = getattr(group, what)
        for product, factor in _factors(value):
            trial = Group(group.event, program.launch_passes_local_rank)
            setattr(trial, what, replace(value, factor, spawn.count.value))
            if _is_right(trial):
                return _written(program, group, product, factor)
    return None


def _factors(value: Value) -> Iterator[tuple[Op, Value]]:
    for part in walk(value):
        if isinstance(part, Op) and part.name == "mul":
            yield from ((part, factor) for factor in part.args)


def _is_right(group: Group) -> bool:
    judged = [group.judge(group.scenarios[0], topology, group.both_are_right) for topology in FAMILY]
    return all(one.verdict is Verdict.RIGHT for one in judged)


def _written(program: Program, group: Group, product: Op, factor: Value) -> Fix | None:
    origin = product.origin
    if origin is None or not isinstance(origin.node, cst.BinaryOperation) or len(product.args) != 2:
        return None
    node = origin.node
    multiply = node if isinstance(node.operator, cst.Multiply) else None
    if multiply is None:
        return None
    side = multiply.left if product.args[0] is factor else multiply.right
    frame = next((one for one in group.event.frames if one.context and _is_in(one, origin)), None)
    if frame is None:
        return None
    draft = Draft(program)
    starter = next((one for one in reversed(group.event.frames) if not one.context), None)
    try:
        code = job.processes_per_node(draft, frame, group.event.context[-1], starter, origin)
        if code is None:
            return None
        draft.replace(Origin(origin.module, side), code)
    except NoPlaceError:
        return None
    return draft.fix(Applicability.UNSAFE, "Count the processes of a node the same in rank and world size")


def _is_in(frame: Frame, origin: Origin) -> bool:
    piece = origin.module.positions.statement_line(origin.node)
    return frame.facts is not None and piece is not None and frame.facts.node in piece.around
