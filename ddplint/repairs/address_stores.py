"""Stores of MASTER_ADDR and MASTER_PORT that give way to the launcher's: DDP103 and DDP107."""

from __future__ import annotations

import re

import libcst as cst

from ddplint.findings import Applicability, Fix
from ddplint.program.events import Event
from ddplint.program.hosts import Written
from ddplint.program.program import Program
from ddplint.program.state import Path
from ddplint.program.values import Input, Origin, walk
from ddplint.repairs.addresses import option_default, read_first, says
from ddplint.repairs.declarations import around
from ddplint.repairs.draft import Draft, NoPlaceError


def stored(program: Program, event: Event, literal: Written) -> Fix | None:
    """``os.environ["MASTER_ADDR"] = "localhost"`` as a default; None where it is not known to be the only one."""
    draft = Draft(program)
    try:
        if literal.option is not None:
            option_default(draft, literal, event.name)
        elif _other_stores(program, event):
            return None
        elif not _set_default(draft, event):
            _literal_default(draft, event, literal)
    except NoPlaceError:
        return None
    return draft.fix(Applicability.SAFE, f"Keep the {event.name} that the launcher set")


def _other_stores(program: Program, event: Event) -> bool:
    """Whether the same process may store something else in the variable: a default would keep the first of them."""
    value = event.arguments["value"].value
    for other in program.events("store"):
        if other.name != event.name or other.arguments["value"].value.id == value.id:
            continue
        shared = min(len(other.context), len(event.context))
        if other.context[:shared] == event.context[:shared] and not _exclusive(other.path, event.path):
            return True
    return False


def _exclusive(one: Path | None, two: Path | None) -> bool:
    """Whether two paths take different branches somewhere."""
    known = {condition.id: truth for condition, truth in (one.items() if one else ())}
    return any(known.get(condition.id, truth) is not truth for condition, truth in (two.items() if two else ()))


def _set_default(draft: Draft, event: Event) -> bool:
    """Turn ``environ[name] = value`` into ``environ.setdefault(name, value)``, if it is written like that."""
    target = event.node
    if not (isinstance(target, cst.Subscript) and isinstance(target.value, (cst.Name, cst.Attribute))):
        return False
    outer = around(Origin(event.module, target))
    if len(outer) < 2 or not isinstance(outer[0], cst.AssignTarget):
        return False
    statement = outer[1]
    if not (isinstance(statement, cst.Assign) and len(statement.targets) == 1):
        raise NoPlaceError("one value for several targets")
    index = target.slice[0].slice
    if not (isinstance(index, cst.Index) and says(index.value, event.name)):
        return False  # a name in a variable: the statement stores other things as well
    if any(isinstance(part, Input) for part in walk(event.arguments["value"].value)):
        raise NoPlaceError("what somebody types comes before the environment")
    text = draft.text(Origin(event.module, statement))
    rest = text[len(draft.text(Origin(event.module, target))) :]
    equal = re.match(r"\s*=\s*", rest)
    assert equal is not None
    environ = draft.text(Origin(event.module, target.value))
    key = draft.text(Origin(event.module, index.value))
    draft.replace_text(Origin(event.module, statement), f"{environ}.setdefault({key}, {rest[equal.end() :]})")
    return True


def _literal_default(draft: Draft, event: Event, literal: Written) -> None:
    """Turn what is stored into the default of a read, where it stands under the variable's name."""
    if any(isinstance(part, Input) for part in walk(event.arguments["value"].value)):
        raise NoPlaceError("what somebody types comes before the environment")
    for place in (Origin(event.module, event.arguments["value"].node), literal.origin):
        if _under_its_name(place, event.name):
            read_first(draft, place, event.name)
            return
    raise NoPlaceError("a literal that may mean other things as well")


def _under_its_name(place: Origin, variable: str) -> bool:
    """``update(MASTER_ADDR=...)``, ``export("MASTER_ADDR", ...)``, ``{"MASTER_ADDR": ...}``, ``master_addr = ...``."""
    outer = around(place)
    holder = outer[0] if outer else None
    if isinstance(holder, cst.Arg) and len(outer) > 1 and isinstance(outer[1], cst.Call):
        if holder.keyword is not None:
            return holder.keyword.value.upper() == variable
        return any(says(arg.value, variable) for arg in outer[1].args if arg is not holder)
    if isinstance(holder, cst.DictElement) and holder.value is place.node and isinstance(holder.key, cst.SimpleString):
        return str(holder.key.evaluated_value).upper() == variable
    if isinstance(holder, cst.AnnAssign) and isinstance(holder.target, cst.Name):
        return holder.target.value.upper() == variable
    return False
