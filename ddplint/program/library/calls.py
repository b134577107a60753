"""Functions of torch whose calls are written down as they are, with their arguments by name, for rules to judge.

Signatures: torch 2.13, ``torch/distributed/distributed_c10d.py``, ``torch/utils/data/dataloader.py``,
``torch/cuda/__init__.py``, ``torch/accelerator/__init__.py``, ``torch/nn/parallel/data_parallel.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import libcst as cst

from ddplint.program.events import Argument, Arguments
from ddplint.program.values import Made, Method, Unknown

if TYPE_CHECKING:
    from ddplint.program.run import Run

_REDUCE = ("tensor", "dst", "op", "group", "async_op", "group_dst")
_BROADCAST = ("tensor", "src", "group", "async_op", "group_src")

PARAMETERS: Mapping[str, tuple[str, ...]] = {
    "torch.distributed.all_gather": ("tensor_list", "tensor", "group", "async_op"),
    "torch.distributed.all_gather_into_tensor": ("output_tensor", "input_tensor", "group", "async_op"),
    "torch.distributed.all_gather_object": ("object_list", "obj", "group"),
    "torch.distributed.all_reduce": ("tensor", "op", "group", "async_op"),
    "torch.distributed.all_to_all": ("output_tensor_list", "input_tensor_list", "group", "async_op"),
    "torch.distributed.all_to_all_single": (
        "output", "input", "output_split_sizes", "input_split_sizes", "group", "async_op",
    ),
    "torch.distributed.barrier": ("group", "async_op", "device_ids"),
    "torch.distributed.broadcast": _BROADCAST,
    "torch.distributed.broadcast_object_list": ("object_list", "src", "group", "device", "group_src"),
    "torch.distributed.destroy_process_group": ("group",),
    "torch.distributed.gather": ("tensor", "gather_list", "dst", "group", "async_op", "group_dst"),
    "torch.distributed.reduce": _REDUCE,
    "torch.distributed.reduce_scatter": ("output", "input_list", "op", "group", "async_op"),
    "torch.distributed.reduce_scatter_tensor": ("output", "input", "op", "group", "async_op"),
    "torch.distributed.scatter": ("tensor", "scatter_list", "src", "group", "async_op", "group_src"),
    "torch.nn.parallel.DataParallel": ("module", "device_ids", "output_device", "dim"),
    "torch.accelerator.device_index": ("device",),
    "torch.cuda.device": ("device",),
    "torch.utils.data.DataLoader": ("dataset", "batch_size", "shuffle", "sampler", "batch_sampler"),
}  # fmt: skip


# Methods of things that libraries made, or that the model does not know, by name alone: who asks for one looks at
# what ``self`` is first.
METHODS: Mapping[str, tuple[str, ...]] = {}

# What is written down as the method ``__call__`` when somebody calls what this made.
CALLED = frozenset(("torch.nn.parallel.DistributedDataParallel",))


def record(run: Run, name: str, arguments: Arguments, node: cst.CSTNode) -> None:
    """Write down a call, if it is one of these."""
    parameters = PARAMETERS.get(name)
    if parameters is not None:
        run.record("call", node, _given(parameters, arguments, node), name=name)


def record_method(run: Run, method: Method, arguments: Arguments, node: cst.CSTNode) -> None:
    """Write down the call of a method, if it is one of these; what it is called on is the argument ``self``."""
    parameters = METHODS.get(method.name)
    if parameters is None:
        return
    function = node.func if isinstance(node, cst.Call) else node
    given = _given(parameters, arguments, node)
    given["self"] = Argument(method.owner, function.value if isinstance(function, cst.Attribute) else function)
    run.record("method", node, given, name=method.name)


def record_called(run: Run, made: Made, arguments: Arguments, node: cst.CSTNode) -> None:
    """Write down the call of something that a library made: the forward pass of a wrapped model."""
    if made.name in CALLED:
        given = _given(("input",), arguments, node)
        given["self"] = Argument(made, node.func if isinstance(node, cst.Call) else node)
        run.record("method", node, given, name="__call__")


def _given(parameters: tuple[str, ...], arguments: Arguments, node: cst.CSTNode) -> dict[str, Argument]:
    given = {
        parameter: argument
        for place, parameter in enumerate(parameters)
        if (argument := arguments.get(parameter, place)) is not None
    }
    if arguments.open:
        given["open"] = Argument(Unknown("arguments handed through"), node)
    return given
