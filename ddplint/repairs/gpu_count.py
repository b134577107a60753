"""Numbers of GPUs that somebody assumed: checked before they are used, or asked for (DDP105)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import libcst as cst

from ddplint.findings import Applicability, Fix
from ddplint.program.counts import Remainder, Unchecked
from ddplint.program.events import Event
from ddplint.program.group import Group
from ddplint.program.program import Program
from ddplint.program.state import Path
from ddplint.program.values import Origin, Value
from ddplint.repairs.declarations import around
from ddplint.repairs.draft import Draft, NoPlaceError
from ddplint.repairs.gpu_uses import assigned, home, indices, names_the_cpu, only_with_gpus

# Parts of a statement that may not be evaluated when the statement is.
_SOMETIMES = (cst.IfExp, cst.Lambda, cst.BooleanOperation, cst.BaseComp)
_NAMES = (cst.Name, cst.Attribute)
# More exclusive branches than that, each with a check of its own, are no code that anybody wants.
_MOST_CHECKS = 2


def check(program: Program, start: Unchecked) -> Fix | None:
    """A check that names both numbers, where the processes are started or where they take their GPUs."""
    draft = Draft(program)
    try:
        # a forked child cannot use CUDA if its parent did: there the children count the GPUs
        if start.event.name != "Process" and any(
            _certain(use, start.event) and not _only_made(use) for use in start.users
        ):
            _before_the_start(draft, start.event, start.users)
        else:
            firsts = list(_first_uses(start.users))
            if len(firsts) > _MOST_CHECKS or any(_only_made(use) and _certain(use, start.event) for use in firsts):
                return None
            for use in firsts:
                _before_the_use(draft, use)
    except NoPlaceError:
        return None
    return draft.fix(Applicability.SAFE, "Stop with a message if there are too few GPUs")


def _certain(use: Event, start: Event) -> bool:
    """Whether every child that is started takes its GPU: no condition lies between."""
    before = _conditions(start.path)
    return all(condition in before for condition in _conditions(use.path)) and not _inside(use)


def _only_made(use: Event) -> bool:
    """Whether a device is only made, which works without GPUs, in a module that may use the CPU instead."""
    return use.name == "torch.device" and names_the_cpu(use.module)


def _conditions(path: Path | None) -> list[tuple[int, bool]]:
    return [(condition.id, truth) for condition, truth in path.items()] if path is not None else []


def _inside(use: Event) -> bool:
    return any(isinstance(node, _SOMETIMES) for node in around(Origin(use.module, use.arguments["index"].node)))


def _before_the_start(draft: Draft, start: Event, devices: Sequence[Event]) -> None:
    count = Origin(start.module, start.arguments["nprocs"].node)
    text = _plain(draft, count)
    device_count = draft.name(count, f"torch.{home(devices)}.device_count", "torch")
    if isinstance(count.node, cst.Integer):
        condition = f"if {device_count}() < {text}:"
        many = text
    else:
        condition = f"if {text} > {device_count}():"
        many = f"{{{text}}}"
    _raise(
        draft,
        count,
        condition,
        f"{many} processes are to take a GPU each, ",
        f"but this node has {{{device_count}()}} GPUs",
    )


def _before_the_use(draft: Draft, use: Event) -> None:
    found = list(indices(use))
    if len(found) != 1 or not isinstance(found[0], _NAMES):
        raise NoPlaceError("an index of several parts")
    index = Origin(use.module, found[0])
    if _inside(use) or any(isinstance(node, _SOMETIMES) for node in around(index)):
        raise NoPlaceError("an index that is not always needed")
    text = draft.text(index)
    device_count = draft.name(index, f"torch.{home([use])}.device_count", "torch")
    _raise(
        draft,
        index,
        f"if {text} >= {device_count}():",
        f"this process is to take GPU {{{text}}}, ",
        f"but this node has {{{device_count}()}} GPUs",
    )


def _first_uses(devices: Sequence[Event]) -> Iterator[Event]:
    """The uses before which no other one has been on the same path."""
    known: list[list[tuple[int, bool]]] = []
    for use in sorted(devices, key=lambda use: use.order):
        conditions = _conditions(use.path)
        if not any(all(condition in conditions for condition in earlier) for earlier in known):
            known.append(conditions)
            yield use


def _plain(draft: Draft, origin: Origin) -> str:
    text = draft.text(origin)
    if "\n" in text or "\\" in text or ("'" in text and '"' in text):
        raise NoPlaceError("a count that cannot stand in a message")
    if any(isinstance(node, _SOMETIMES) for node in (origin.node, *around(origin))):
        raise NoPlaceError("a count that is not always computed")
    return text


def _raise(draft: Draft, at: Origin, condition: str, first: str, second: str) -> None:
    quote = "'" if '"' in first + second else '"'
    beginning = "f" if "{" in first else ""
    whole = f"    raise RuntimeError(f{quote}{first}{second}{quote})"
    piece = at.module.positions.statement_line(at.node)
    column = at.module.positions.span(piece.root).start.column if piece is not None else 1
    if column + len(whole) <= draft.layout(at.module).width:
        draft.before(at, condition, whole)
        return
    draft.before(
        at,
        condition,
        "    raise RuntimeError(",
        f"        {beginning}{quote}{first}{quote}",
        f"        f{quote}{second}{quote}",
        "    )",
    )


def remainder(program: Program, found: Remainder) -> Fix | None:
    """``rank % 8`` as ``rank % torch.cuda.device_count()``."""
    event = found.event
    if event.kind != "device" or not only_with_gpus(program, [event]):
        return None  # CUDA_VISIBLE_DEVICES is not read any more once somebody has counted the GPUs
    if any(found.count.id == size.id for group in program.groups for size in _processes(group)):
        return None  # the number of processes: with more GPUs than those, others would be taken
    draft = Draft(program)
    try:
        written = list(indices(event))
        if len(written) != 1:
            return None
        node = written[0]
        if isinstance(node, cst.Name):
            node = _made(event, node)
        if not (isinstance(node, cst.BinaryOperation) and isinstance(node.operator, cst.Modulo)):
            return None
        count = Origin(event.module, node.right)
        if not isinstance(node.right, (cst.Integer, *_NAMES)):
            return None
        name = draft.name(count, f"torch.{home([event])}.device_count", "torch")
        draft.replace(count, f"{name}()")
    except NoPlaceError:
        return None
    return draft.fix(Applicability.SAFE, "Ask for the number of GPUs")


def _processes(group: Group) -> Iterator[Value]:
    """The numbers of processes that a group has to do with."""
    if group.world_size is not None:
        yield group.world_size
    yield from (spawn.count.value for spawn in group.event.context if spawn.count is not None)


def _made(event: Event, name: cst.Name) -> cst.CSTNode:
    values = list(assigned(event.module, name))
    return values[0] if len(values) == 1 else name
