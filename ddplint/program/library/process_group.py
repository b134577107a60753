"""torch.distributed: the process group itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from ddplint.program import arithmetic
from ddplint.program.events import Argument, Arguments
from ddplint.program.values import (
    NONE,
    TRUE,
    Const,
    Symbol,
    Unknown,
    Value,
)

if TYPE_CHECKING:
    from ddplint.program.run import Run
from ddplint.program.library.models import models

# torch 2.13, torch/distributed/distributed_c10d.py, init_process_group: the order of its parameters
_INIT = ("backend", "init_method", "timeout", "world_size", "rank", "store", "group_name", "pg_options", "device_id")


@models("torch.distributed.init_process_group")
def _init_process_group(run: Run, arguments: Arguments, node: cst.CSTNode) -> Value:
    given: dict[str, Argument] = {}
    for position, name in enumerate(_INIT):
        argument = arguments.get(name, position)
        if argument is not None and not _is_default(argument.value):
            given[name] = argument
    if arguments.open:
        given["open"] = Argument(Unknown("arguments handed through"), node)
    _start_group(run, given, node, "init_process_group")
    return NONE


def _is_default(value: Value) -> bool:
    return isinstance(value, Const) and value.value in (None, -1)


def _start_group(run: Run, given: dict[str, Argument], node: cst.CSTNode, name: str) -> None:
    environ = run.environ
    run.record("init", node, given, environ=environ, name=name)
    for key, variable in (("rank", "RANK"), ("world_size", "WORLD_SIZE")):
        if key in given:
            run.state.write(run.group, f"group_{key}", given[key].value)
        elif variable in environ.fields and "open" not in given:
            number = arithmetic.integer(environ.fields[variable], run.origin(node))
            run.state.write(run.group, f"group_{key}", number)


@models("torch.distributed.init_device_mesh", "torch.distributed.device_mesh.init_device_mesh")
def _init_device_mesh(run: Run, arguments: Arguments, node: cst.CSTNode) -> Value:
    _start_group(run, {}, node, "init_device_mesh")
    return Unknown("a device mesh", run.origin(node))


@models("torch.distributed.rpc.init_rpc")
def _init_rpc(run: Run, arguments: Arguments, node: cst.CSTNode) -> Value:
    run.record("rpc", node, name="init_rpc")
    return NONE


@models("torch.distributed.get_rank")
def _get_rank(run: Run, arguments: Arguments, node: cst.CSTNode) -> Value:
    if arguments.positional or arguments.keyword:
        return Unknown("the rank in a subgroup", run.origin(node))
    run.record("asked", node, name="torch.distributed.get_rank")
    return run.group.get("group_rank") or Symbol("group_rank", run.origin(node))


@models("torch.distributed.get_world_size")
def _get_world_size(run: Run, arguments: Arguments, node: cst.CSTNode) -> Value:
    if arguments.positional or arguments.keyword:
        return Unknown("the size of a subgroup", run.origin(node))
    run.record("asked", node, name="torch.distributed.get_world_size")
    return run.group.get("group_world_size") or Symbol("group_world_size", run.origin(node))


@models("torch.distributed.get_node_local_rank")
def _get_node_local_rank(run: Run, arguments: Arguments, node: cst.CSTNode) -> Value:
    return arithmetic.operation("int", (run.read_variable(run.environ, "LOCAL_RANK", run.origin(node), True),), None)


@models("torch.distributed.is_initialized")
def _is_initialized(run: Run, arguments: Arguments, node: cst.CSTNode) -> Value:
    return Symbol("initialized", run.origin(node))


@models("torch.distributed.is_available", "torch.distributed.is_nccl_available")
def _is_available(run: Run, arguments: Arguments, node: cst.CSTNode) -> Value:
    return TRUE
