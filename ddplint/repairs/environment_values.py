"""Strings and numbers around ``os.environ``: what is stored becomes a string, what is compared a number (DDP108)."""

from __future__ import annotations

import libcst as cst

from ddplint.findings import Applicability, Fix
from ddplint.program.events import Event
from ddplint.program.imports import dotted_name
from ddplint.program.program import Program
from ddplint.program.values import Const, EnvVar, Input, Origin, Value, leaves
from ddplint.repairs.declarations import around, declaration
from ddplint.repairs.draft import Draft, NoPlaceError


def stored(program: Program, event: Event) -> Fix | None:
    """``os.environ["RANK"] = str(rank)``; None where nothing may be stored at all."""
    argument = event.arguments["value"]
    if any(leaf.type == "none" for leaf in leaves(argument.value)):
        return None  # str(None) would be stored where a TypeError said so
    place = Origin(event.module, argument.node)
    if isinstance(argument.value, Input) and argument.value.spec is not None and argument.value.spec.default is None:
        return None
    if not _is_handed_over(event, place):
        return None  # it stands somewhere else, and may be a number to others
    draft = Draft(program)
    try:
        draft.replace_text(place, f"str({draft.text(place)})")
    except NoPlaceError:
        return None
    return draft.fix(Applicability.SAFE, "Store a string")


def _is_handed_over(event: Event, place: Origin) -> bool:
    """Whether the value is written in the statement that stores it, and only for that."""
    outer = around(place)
    holder = outer[0] if outer else None
    if not (isinstance(holder, (cst.Assign, cst.Arg, cst.DictElement)) and holder.value is place.node):
        return False
    here, there = (event.module.positions.statement_line(node) for node in (event.node, place.node))
    return here is not None and there is not None and here.root is there.root


def read(program: Program, event: Event) -> Fix | None:
    """``int(os.environ["RANK"]) == 0``; where the variable may be missing, ``os.environ.get("RANK") == "0"``."""
    value = event.arguments["value"].value
    draft = Draft(program)
    try:
        if isinstance(value, Input):
            return _typed(draft, value)
        variable, other = _sides(event)
        if variable is None:
            return None
        if all(_converts(leaf) for leaf in leaves(value)):
            draft.replace_text(variable, f"int({draft.text(variable)})")
            return draft.fix(Applicability.SAFE, "Convert the string to a number")
        if event.name in ("eq", "ne") and other is not None and all(_is_text(leaf) for leaf in leaves(value)):
            draft.replace(other, f'"{draft.text(other)}"')
            return draft.fix(Applicability.SAFE, "Compare with a string")
    except NoPlaceError:
        pass
    return None


def _converts(leaf: Value) -> bool:
    """Whether ``int()`` takes what is there: a launcher's number, or a default that is one."""
    if isinstance(leaf, EnvVar) or leaf.type == "int":
        return True
    return isinstance(leaf, Const) and isinstance(leaf.value, str) and leaf.value.strip().lstrip("-").isdigit()


def _is_text(leaf: Value) -> bool:
    """Whether a comparison with a string says what was meant: None, too, is no string."""
    return isinstance(leaf, EnvVar) or leaf.type in ("str", "none")


def _sides(event: Event) -> tuple[Origin | None, Origin | None]:
    """The operand that is the variable, and the other one if it is a plain number."""
    node = event.node
    if isinstance(node, cst.Comparison) and len(node.comparisons) == 1:
        sides = [node.left, node.comparisons[0].comparator]
    elif isinstance(node, cst.BinaryOperation):
        sides = [node.left, node.right]
    else:
        return None, None
    reads = [side for side in sides if _is_read(side)]
    names = [side for side in sides if isinstance(side, (cst.Name, cst.Attribute))]
    numbers = [side for side in sides if _is_number(side)]
    wanted = reads or (names if len(names) == 1 else [])
    if len(wanted) != 1:
        return None, None
    variable = Origin(event.module, wanted[0])
    return variable, Origin(event.module, numbers[0]) if len(numbers) == 1 else None


def _is_read(node: cst.BaseExpression) -> bool:
    if isinstance(node, cst.Subscript):
        return dotted_name(node.value).rpartition(".")[2] == "environ"
    if isinstance(node, cst.Call):
        return dotted_name(node.func).endswith(("environ.get", "getenv"))
    return False


def _is_number(node: cst.BaseExpression) -> bool:
    if isinstance(node, cst.UnaryOperation) and isinstance(node.operator, cst.Minus):
        node = node.expression
    return isinstance(node, cst.Integer) and node.value.isdigit()


def _typed(draft: Draft, option: Input) -> Fix | None:
    """``type=int`` for ``--local_rank``, unless its default shows that a string was meant."""
    declared = declaration(option)
    if declared is None or declared.call is None or declared.argument("type") is not None:
        return None
    default = option.spec.default if option.spec is not None else None
    # argparse converts a default that is a string, too: what the environment says
    if default is not None and not all(
        isinstance(leaf, EnvVar) or leaf.type in ("int", "none") for leaf in leaves(default)
    ):
        return None  # a string was meant
    draft.append_argument(Origin(declared.module, declared.call), "type=int")
    return draft.fix(Applicability.SAFE, "Declare the option as a number")
