"""torch's devices: which GPU a process asks for."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import libcst as cst

from ddplint.program.events import Argument, Arguments
from ddplint.program.values import (
    NONE,
    Choice,
    Const,
    Device,
    Index,
    Input,
    Op,
    Symbol,
    Unknown,
    Value,
    choose,
)

if TYPE_CHECKING:
    from ddplint.program.run import Run
from ddplint.program.library.models import models


@models("torch.cuda.device_count", "torch.accelerator.device_count", "torch.xpu.device_count", "torch.npu.device_count")
def _device_count(run: Run, arguments: Arguments, node: cst.CSTNode) -> Value:
    return Symbol("device_count", run.origin(node))


@models("torch.cuda.is_available", "torch.accelerator.is_available", "torch.cuda.is_initialized")
def _cuda_available(run: Run, arguments: Arguments, node: cst.CSTNode) -> Value:
    return Symbol("cuda_available", run.origin(node))


@models(
    "torch.cuda.set_device", "torch.accelerator.set_device_index", "torch.accelerator.set_device_idx",
    "torch.cuda.device", "torch.npu.set_device", "torch.xpu.set_device",
)  # fmt: skip
def _set_device(run: Run, arguments: Arguments, node: cst.CSTNode) -> Value:
    use_device(run, arguments.get("device", 0), node, "set_device")
    return NONE


@models("torch.device")
def _device(run: Run, arguments: Arguments, node: cst.CSTNode) -> Value:
    kind, index = arguments.get(None, 0), arguments.get("index", 1)
    if index is not None and kind is not None and isinstance(kind.value, Const) and kind.value.value == "cuda":
        use_device(run, index, node, "torch.device")
        return Device(index.value, run.origin(node))
    if kind is not None:
        use_device(run, kind, node, "torch.device")
        if isinstance(kind.value, Device):
            return kind.value
        found = device_index(kind.value)
        if found is not None:
            return Device(found, run.origin(node))
    return Unknown("a device", run.origin(node), uses=(kind.value,) if kind else ())


def device_index(value: Value) -> Value | None:
    """The GPU index in a device, an integer, or a string ``"cuda:..."``; None for the CPU or an unknown device."""
    if isinstance(value, Device):
        return value.index
    if isinstance(value, Const):
        if isinstance(value.value, str):
            found = re.fullmatch(r"cuda:(\d+)", value.value)
            return Const(int(found.group(1)), value.origin) if found else None
        return value if isinstance(value.value, int) and not isinstance(value.value, bool) else None
    if isinstance(value, Op) and value.name == "format":
        first = value.args[0]
        if len(value.args) == 2 and isinstance(first, Const) and first.value == "cuda:":
            index = value.args[1]
            return index.args[0] if isinstance(index, Op) and index.name == "str" else index
        return None
    if isinstance(value, Choice):
        then, other = device_index(value.then), device_index(value.other)
        if then is not None and other is not None:
            return choose(value.condition, then, other)
        # the CPU, or no device, on one side leaves the index of the other; anything unknown does not
        left = value.other if then is not None else value.then
        return then or other if isinstance(left, Const) else None
    return value if isinstance(value, (Op, Index, Input, Symbol)) and value.type in ("int", None) else None


def place(run: Run, argument: Argument | None, node: cst.CSTNode, name: str) -> None:
    """Write down that something goes to a device: ``.cuda()``, ``.to(device)``, ``torch.zeros(n, device=device)``."""
    run.record("placed", node, {"device": argument} if argument is not None else {}, name=name)


def use_device(run: Run, argument: Argument | None, node: cst.CSTNode, name: str) -> None:
    if argument is None or isinstance(argument.value, Device):
        return  # a device object was already seen when it was made
    index = device_index(argument.value)
    if index is not None:
        run.record("device", node, {"index": Argument(index, argument.node)}, name=name)
