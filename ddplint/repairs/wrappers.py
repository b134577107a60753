"""Wrapped models: attributes through ``.module``, forward passes and gradient clipping through the wrapper."""

from __future__ import annotations

import libcst as cst

from ddplint.findings import Applicability, Fix
from ddplint.program import Program, bypasses
from ddplint.program.bypasses import Asked, Bypass
from ddplint.program.imports import dotted_name
from ddplint.program.saved_states import Saved
from ddplint.program.shards import Clipped, Direct
from ddplint.program.values import Origin
from ddplint.program.wrapped import Wrap
from ddplint.repairs.draft import Draft, NoPlaceError


def through_module(program: Program, asked: Asked) -> Fix | None:
    """``model.module.name``; unsafe for a method, which may be a forward pass, and where other models come here."""
    node, module = asked.event.node, asked.event.module
    if not isinstance(node, cst.Attribute) or asked.sometimes:
        return None
    owner = Origin(module, node.value)
    draft = Draft(program)
    try:
        draft.replace_text(owner, f"{draft.text(owner)}.module")
    except NoPlaceError:
        return None
    safe = asked.here and not asked.method
    return draft.fix(Applicability.SAFE if safe else Applicability.UNSAFE, "Ask the model in the wrapper")


def saved_through_module(program: Program, saved: Saved) -> Fix | None:
    """``model.module.state_dict()``; None where the model comes without a wrapper too."""
    event = saved.asked
    owner = event.arguments["self"].node
    if not saved.always or not isinstance(event.node, cst.Call) or not dotted_name(owner):
        return None
    draft = Draft(program)
    place = Origin(event.module, owner)
    try:
        draft.replace_text(place, f"{draft.text(place)}.module")
    except NoPlaceError:
        return None
    return draft.fix(Applicability.UNSAFE, "Save the state of the model in the wrapper")


def through_wrapper(program: Program, bypass: Bypass) -> Fix | None:
    """``model(x)`` for ``model.module(x)`` and ``model.module.forward(x)``."""
    call, model = bypass.event.node, bypasses.unwrapped_call(bypass)
    if not isinstance(call, cst.Call) or model is None:
        return None
    draft = Draft(program)
    module = bypass.event.module
    try:
        draft.replace_text(Origin(module, call.func), draft.text(Origin(module, model)))
    except NoPlaceError:
        return None
    return draft.fix(Applicability.UNSAFE, "Call the wrapper")


def clipped_by_wrapper(program: Program, found: Clipped) -> Fix | None:
    """``model.clip_grad_norm_(max_norm)`` for ``clip_grad_norm_(model.parameters(), max_norm)``."""
    call, module = found.event.node, found.event.module
    parameters = found.event.arguments["parameters"].node
    if not isinstance(call, cst.Call) or not isinstance(parameters, cst.Call):
        return None
    if not isinstance(parameters.func, cst.Attribute) or parameters.args or not dotted_name(parameters.func.value):
        return None
    given = found.event.arguments
    if any(arg.star for arg in call.args) or not set(given) <= {"parameters", "max_norm", "norm_type"}:
        return None
    if "max_norm" not in given or len(call.args) != len(given):
        return None
    draft = Draft(program)
    model = draft.text(Origin(module, parameters.func.value))
    limit = draft.text(Origin(module, given["max_norm"].node))
    kind = f", {draft.text(Origin(module, given['norm_type'].node))}" if "norm_type" in given else ""
    try:
        draft.replace_text(Origin(module, call), f"{model}.clip_grad_norm_({limit}{kind})")
    except NoPlaceError:
        return None
    return draft.fix(Applicability.SAFE, "Clip by the norm of the whole gradient")


def called(program: Program, found: Direct) -> Fix | None:
    """``model(x)`` for ``model.forward(x)``."""
    call, module = found.event.node, found.event.module
    if not isinstance(call, cst.Call) or not isinstance(call.func, cst.Attribute) or call.func.attr.value != "forward":
        return None
    draft = Draft(program)
    try:
        draft.replace_text(Origin(module, call.func), draft.text(Origin(module, call.func.value)))
    except NoPlaceError:
        return None
    return draft.fix(Applicability.SAFE, "Call the model itself")


def unsearched(program: Program, wrap: Wrap) -> Fix | None:
    """``find_unused_parameters=False``."""
    draft = Draft(program)
    try:
        draft.replace(Origin(wrap.event.module, wrap.event.arguments["find_unused_parameters"].node), "False")
    except NoPlaceError:
        return None
    return draft.fix(Applicability.UNSAFE, "Do not search for unused parameters")
