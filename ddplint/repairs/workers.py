"""Where workers are started and what they are given: the guard, and the tuple of arguments."""

from __future__ import annotations

import libcst as cst

from ddplint.findings import Applicability, Fix
from ddplint.program.program import Program
from ddplint.program.spawning import Misfit, first_parameter
from ddplint.program.values import Origin
from ddplint.repairs.draft import Draft, NoPlaceError

# What a worker needs from the module, and what would no longer be there for it below a guard.
_DEFINES = (cst.FunctionDef, cst.ClassDef)
_BINDS = (cst.Import, cst.ImportFrom)


def guarded(program: Program, place: Origin) -> Fix | None:
    """``if __name__ == "__main__":`` around a statement of the top level and all that follows it."""
    module = place.module
    piece = module.positions.statement_line(place.node)
    if piece is None:
        return None
    statement = piece.around[0] if piece.around else piece.root
    body = list(module.tree.body)
    start = next((index for index, one in enumerate(body) if one is statement), None)
    if start is None or any(_is_needed(one) for one in body[start:]):
        return None
    draft = Draft(program)
    try:
        draft.below('if __name__ == "__main__":', Origin(module, body[start]), Origin(module, body[-1]))
    except NoPlaceError:
        return None
    return draft.fix(Applicability.SAFE, "Start the workers in the script only")


def _is_needed(statement: cst.CSTNode) -> bool:
    if isinstance(statement, _DEFINES):
        return True
    return isinstance(statement, cst.SimpleStatementLine) and any(isinstance(one, _BINDS) for one in statement.body)


def fitting(program: Program, found: Misfit) -> Fix | None:
    """``args=(x,)`` for ``args=(x)``; the rank that comes by itself goes."""
    place, module = found.place, found.event.module
    call = found.event.node
    if not isinstance(call, cst.Call) or not any(arg.value is place.node and not arg.star for arg in call.args):
        return None
    draft = Draft(program)
    node = place.node
    try:
        if found.kind == "single":
            if found.function is not None and not found.least <= found.given <= (found.most or found.given):
                return None
            text = draft.text(Origin(module, node))
            parenthesised = isinstance(node, cst.BaseExpression) and bool(node.lpar)
            draft.replace_text(Origin(module, node), f"{text}," if parenthesised else f"({text},)")
        elif found.kind == "count" and found.function is not None:
            _without_rank(draft, found)
    except NoPlaceError:
        return None
    return draft.fix(Applicability.SAFE, "Hand over what the worker takes")


def _without_rank(draft: Draft, found: Misfit) -> None:
    node, function = found.place.node, found.function
    if not isinstance(node, cst.Tuple) or function is None or found.given - 1 != found.most:
        return
    elements = [one.value for one in node.elements if isinstance(one, cst.Element)]
    if len(elements) != len(node.elements) or not elements or len(elements) + 1 != found.given:
        return
    first = elements[0]
    if not (isinstance(first, cst.Name) and first.value == first_parameter(function)):
        return
    module = found.event.module
    texts = [draft.text(Origin(module, one)) for one in elements[1:]]
    if any("\n" in text for text in texts) or not (texts or node.lpar):
        return
    text = ", ".join(texts) + ("," if len(texts) == 1 else "")
    draft.replace_text(Origin(module, node), text if node.lpar else f"({text})")
