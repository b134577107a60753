"""Collectives that write into what they are given: a list of separate tensors, and a statement of their own."""

from __future__ import annotations

import libcst as cst

from ddplint.findings import Applicability, Fix
from ddplint.program.buffers import Aliased
from ddplint.program.program import Program
from ddplint.program.results import Used
from ddplint.program.values import Origin
from ddplint.repairs import callees
from ddplint.repairs.declarations import around
from ddplint.repairs.draft import Draft, NoPlaceError

# Functions of torch, and methods of tensors, that make a tensor which nobody else has.
_MAKES = frozenset(
    "torch.empty torch.empty_like torch.full torch.full_like torch.ones torch.ones_like torch.tensor torch.zeros "
    "torch.zeros_like torch.clone".split()
)
_METHODS = frozenset("clone new_empty new_full new_ones new_tensor new_zeros".split())
# Methods that give the same tensor or one made from it: a new one where the tensor is new.
_PASS = frozenset("bool byte contiguous cpu cuda detach double float half int long pin_memory to type".split())
# Constructors of the old kind: torch.FloatTensor(2), torch.cuda.LongTensor(2).
_TENSORS = ("torch.", "torch.cuda.")


def separate(program: Program, buffers: Aliased) -> Fix | None:
    """``[torch.zeros_like(x) for _ in range(n)]``; None where the element is no call that makes a tensor."""
    node, module = buffers.origin.node, buffers.origin.module
    if not isinstance(node, cst.BinaryOperation) or not isinstance(node.operator, cst.Multiply):
        return None
    one, times = (node.left, node.right) if isinstance(node.left, cst.List) else (node.right, node.left)
    if not (isinstance(one, cst.List) and len(one.elements) == 1 and isinstance(one.elements[0], cst.Element)):
        return None
    element = one.elements[0].value
    if not _makes_a_tensor(buffers.origin, element) or any(
        isinstance(holder, (cst.ListComp, cst.GeneratorExp, cst.Lambda)) for holder in around(buffers.origin)
    ):
        return None
    draft = Draft(program)
    try:
        count = draft.text(Origin(module, times))
        text = f"[{draft.text(Origin(module, element))} for _ in range({count})]"
        draft.replace_text(buffers.origin, text)
    except NoPlaceError:
        return None
    return draft.fix(Applicability.SAFE, "Make a tensor for each place")


def _makes_a_tensor(place: Origin, node: cst.BaseExpression) -> bool:
    if not isinstance(node, cst.Call):
        return False
    name = callees.dotted(place.module, node)
    if name in _MAKES or (name.endswith("Tensor") and name[: name.rindex(".") + 1] in _TENSORS):
        return True
    if not isinstance(node.func, cst.Attribute):
        return False
    method = node.func.attr.value
    return method in _METHODS or (method in _PASS and _makes_a_tensor(place, node.func.value))


def alone(program: Program, result: Used) -> Fix | None:
    """``dist.all_reduce(x)`` for ``x = dist.all_reduce(x)``; None where something else is assigned."""
    call = Origin(result.event.module, result.event.node)
    holders = around(call)
    statement = holders[0] if holders else None
    if not result.same or not isinstance(statement, cst.Assign) or statement.value is not call.node:
        return None
    if isinstance(call.node, cst.Call) and call.node.lpar:
        return None
    draft = Draft(program)
    try:
        draft.replace_text(Origin(call.module, statement), draft.text(call))
    except NoPlaceError:
        return None
    return draft.fix(Applicability.SAFE, "Keep the tensor that the collective has written to")
