"""Functions of torch whose calls are written down as they are, with their arguments by name, for rules to judge.

Signatures: torch 2.13, ``torch/distributed/distributed_c10d.py``, ``torch/utils/data/dataloader.py``,
``torch/cuda/__init__.py``, ``torch/accelerator/__init__.py``, ``torch/nn/parallel/data_parallel.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import libcst as cst

from ddplint.program.events import Argument, Arguments, Event
from ddplint.program.library import fetching, trackers
from ddplint.program.values import Function, Method, Unknown, Value

if TYPE_CHECKING:
    from ddplint.program.run import Run

_REDUCE = ("tensor", "dst", "op", "group", "async_op", "group_dst")
_BROADCAST = ("tensor", "src", "group", "async_op", "group_src")

# torch 2.13, torch/multiprocessing/spawn.py
_SPAWN = ("fn", "args", "nprocs", "join", "daemon", "start_method")
# Python 3.11, multiprocessing/process.py
_PROCESS = ("group", "target", "name", "args", "kwargs")

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
    "torch.distributed.gather_object": ("obj", "object_gather_list", "dst", "group", "group_dst"),
    "torch.distributed.irecv": ("tensor", "src", "group", "tag", "group_src"),
    "torch.distributed.isend": ("tensor", "dst", "group", "tag", "group_dst"),
    "torch.distributed.monitored_barrier": ("group", "timeout", "wait_all_ranks"),
    "torch.distributed.new_group": (
        "ranks", "timeout", "backend", "pg_options", "use_local_synchronization", "group_desc", "device_id",
    ),
    "torch.distributed.scatter_object_list": (
        "scatter_object_output_list", "scatter_object_input_list", "src", "group", "group_src",
    ),
    "torch.distributed.checkpoint.save": ("state_dict", "checkpoint_id", "storage_writer"),
    "torch.distributed.checkpoint.load": ("state_dict", "checkpoint_id", "storage_reader"),
    "torch.distributed.checkpoint.state_dict.get_model_state_dict": ("model",),
    "torch.distributed.checkpoint.state_dict.get_optimizer_state_dict": ("model", "optimizers"),
    "torch.distributed.checkpoint.state_dict.get_state_dict": ("model", "optimizers"),
    "torch.distributed.checkpoint.state_dict.set_model_state_dict": ("model", "model_state_dict"),
    "torch.distributed.checkpoint.state_dict.set_optimizer_state_dict": ("model", "optimizers", "optim_state_dict"),
    "torch.distributed.checkpoint.state_dict.set_state_dict": ("model", "optimizers"),
    "torch.distributed.gather": ("tensor", "gather_list", "dst", "group", "async_op", "group_dst"),
    "torch.distributed.reduce": _REDUCE,
    "torch.distributed.reduce_scatter": ("output", "input_list", "op", "group", "async_op"),
    "torch.distributed.reduce_scatter_tensor": ("output", "input", "op", "group", "async_op"),
    "torch.distributed.scatter": ("tensor", "scatter_list", "src", "group", "async_op", "group_src"),
    "torch.multiprocessing.spawn": _SPAWN,
    "torch.multiprocessing.start_processes": _SPAWN,
    "torch.multiprocessing.Process": _PROCESS,
    "torch.multiprocessing.get_context": ("method",),
    "torch.multiprocessing.set_start_method": ("method", "force"),
    "multiprocessing.Process": _PROCESS,
    "multiprocessing.get_context": ("method",),
    "multiprocessing.set_start_method": ("method", "force"),
    "torch.nn.parallel.DataParallel": ("module", "device_ids", "output_device", "dim"),
    "torch.accelerator.device_index": ("device",),
    "torch.cuda.device": ("device",),
    "torch.distributed.fsdp.register_fsdp_forward_method": ("module", "method_name"),
    "torch.nn.utils.clip_grad_norm_": ("parameters", "max_norm", "norm_type", "error_if_nonfinite", "foreach"),
    "torch.utils.data.BatchSampler": ("sampler", "batch_size", "drop_last"),
    "torch.load": ("f", "map_location", "pickle_module", "weights_only", "mmap"),
    "torch.save": ("obj", "f"),
    "safetensors.torch.save_file": ("tensors", "filename", "metadata"),
    "safetensors.torch.save_model": ("model", "filename", "metadata"),
    "torch.utils.data.DataLoader": ("dataset", "batch_size", "shuffle", "sampler", "batch_sampler"),
    "torch.manual_seed": ("seed",),
    "torch.utils.data.random_split": ("dataset", "lengths", "generator"),
    "torch.utils.data.distributed.DistributedSampler": (
        "dataset", "num_replicas", "rank", "shuffle", "seed", "drop_last",
    ),
}  # fmt: skip

# Their repair asks for the names that a rank has there.
_TRACED = frozenset(("torch.save", "safetensors.torch.save_file", "safetensors.torch.save_model"))


# Methods of things that libraries made, or that the model does not know, by name alone: who asks for one looks at
# what ``self`` is first.
METHODS: Mapping[str, tuple[str, ...]] = {
    "backward": (),
    "full_tensor": (),
    "load_state_dict": ("state_dict", "strict", "assign"),
    "optim_state_dict": (),
    "requires_grad_": ("requires_grad",),
    "save_checkpoint": (),
    "set_epoch": ("epoch",),
    "state_dict": (),
    "step": ("metrics",),
    "zero_grad": (),
}

# Methods of wrappers and of models that were wrapped; the names are too common to be written down of anything else.
MODEL_METHODS: Mapping[str, tuple[str, ...]] = {
    "add_module": ("name", "module"),
    "bfloat16": (),
    "clip_grad_norm_": ("max_norm", "norm_type"),
    "cpu": (),
    "cuda": ("device",),
    "double": (),
    "eval": (),
    "float": (),
    "forward": ("input",),
    "half": (),
    "load_state_dict": ("state_dict", "strict", "assign"),
    "no_sync": (),
    "parameters": ("recurse",),
    "register_parameter": ("name", "param"),
    "requires_grad_": ("requires_grad",),
    "set_requires_gradient_sync": ("requires_gradient_sync",),
    "state_dict": ("destination", "prefix", "keep_vars"),
    "to": ("device", "dtype"),
    "train": ("mode",),
}

# Lists of objects that a collective fills, by the parameter: what was in them before says nothing any more.
_FILLED = {
    "torch.distributed.all_gather_object": "object_list",
    "torch.distributed.broadcast_object_list": "object_list",
    "torch.distributed.gather_object": "object_gather_list",
    "torch.distributed.scatter_object_list": "scatter_object_output_list",
}
_SAME_FOR_ALL = ("torch.distributed.all_gather_object", "torch.distributed.broadcast_object_list")


# Written down of anything that a library or a class of the project made: it may be wrapped later.
MOVES = frozenset(("bfloat16", "cuda", "double", "half", "to"))


def record(run: Run, name: str, arguments: Arguments, node: cst.CSTNode) -> Event | None:
    """Write down a call, if it is one of these."""
    parameters = PARAMETERS.get(name)
    if parameters is None and name.startswith("torch.optim.") and name[12:13].isupper():
        parameters = ("params",)  # every optimizer
    if parameters is None:
        parameters = fetching.parameters(name)
    if parameters is None:
        parameters = trackers.TRACKERS.get(name)
    if parameters is None:
        return None
    traced = name in _TRACED or name == trackers.WANDB or fetching.parameters(name) is not None
    given = _given(parameters, arguments, node)
    event = run.record("call", node, given, name=name, traced=traced)
    filled = given.get(_FILLED.get(name, ""))
    if filled is not None:
        same = name in _SAME_FOR_ALL and "group" not in given and "open" not in given
        run.overwrite(filled.value, Unknown("what the ranks have sent", run.origin(node), shared=same))
    return event


def record_method(run: Run, method: Method, arguments: Arguments, node: cst.CSTNode) -> None:
    """Write down the call of a method, if it is one of these; what it is called on is the argument ``self``."""
    parameters = METHODS.get(method.name)
    if parameters is None and method.owner.id in run.wrapped:
        parameters = MODEL_METHODS.get(method.name, ())
    if parameters is None:
        return
    given = _given(parameters, arguments, node)
    given["self"] = Argument(method.owner, _owner(node))
    run.record("method", node, given, name=method.name)


def record_move(run: Run, method: Method, arguments: Arguments, node: cst.CSTNode) -> None:
    """Write down that something that may be a model goes to a device, before it is wrapped too."""
    if method.owner.id not in run.wrapped:
        given = _given(MODEL_METHODS[method.name], arguments, node)
        given["self"] = Argument(method.owner, _owner(node))
        run.record("method", node, given, name=method.name)


def record_own(run: Run, function: Function, arguments: Arguments, node: cst.CSTNode) -> None:
    """Write down the call of a method that a wrapped model defines itself."""
    assert function.bound is not None
    given = _given(MODEL_METHODS.get(function.facts.name, ()), arguments, node)
    given["self"] = Argument(function.bound, _owner(node))
    given["function"] = Argument(function, node)
    run.record("method", node, given, name=function.facts.name)


def record_called(run: Run, model: Value, arguments: Arguments, node: cst.CSTNode) -> None:
    """Write down the call of a wrapper, or of a model that was wrapped: a forward pass."""
    given = _given(("input",), arguments, node)
    given["self"] = Argument(model, node.func if isinstance(node, cst.Call) else node)
    run.record("method", node, given, name="__call__")


def _owner(node: cst.CSTNode) -> cst.CSTNode:
    function = node.func if isinstance(node, cst.Call) else node
    return function.value if isinstance(function, cst.Attribute) else function


def _given(parameters: tuple[str, ...], arguments: Arguments, node: cst.CSTNode) -> dict[str, Argument]:
    given = dict(arguments.keyword)
    given |= {
        parameter: argument
        for place, parameter in enumerate(parameters)
        if (argument := arguments.get(parameter, place)) is not None
    }
    if arguments.open:
        given["open"] = Argument(Unknown("arguments handed through"), node)
    return given
