"""What wraps a model for several processes, and what a wrapped model answers: ``.module``, ``isinstance``, ``hasattr``.

Sources: torch 2.13, ``torch/nn/parallel/distributed.py``, ``torch/nn/parallel/data_parallel.py``,
``torch/distributed/fsdp/fully_sharded_data_parallel.py``, ``torch/distributed/fsdp/_fully_shard/_fully_shard.py``;
DeepSpeed 0.18, ``deepspeed/__init__.py`` (``initialize`` returns engine, optimizer, loader, scheduler).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import libcst as cst

from ddplint.program import conditions, objects
from ddplint.program.alternatives import holds
from ddplint.program.events import Argument, Arguments
from ddplint.program.module import ClassFacts
from ddplint.program.state import steps
from ddplint.program.values import (
    FALSE,
    TRUE,
    Choice,
    Class,
    Const,
    External,
    Items,
    Made,
    Object,
    Origin,
    Unknown,
    Value,
    choose,
    leaves,
)

if TYPE_CHECKING:
    from ddplint.program.run import Run
from ddplint.program.library.devices import use_device
from ddplint.program.library.models import models
from ddplint.program.library.modules import MODULE, PARALLEL, REPLICATED

DDP = "torch.nn.parallel.DistributedDataParallel"
DATA_PARALLEL = "torch.nn.parallel.DataParallel"
FSDP = "torch.distributed.fsdp.FullyShardedDataParallel"
FULLY_SHARD = "torch.distributed.fsdp.fully_shard"
DEEPSPEED = "deepspeed.DeepSpeedEngine"

# The parameters that rules ask for, in the order of the constructor.
_PARAMETERS: Mapping[str, tuple[str, ...]] = {
    DDP: (
        "module", "device_ids", "output_device", "dim", "broadcast_buffers", "init_sync", "process_group",
        "bucket_cap_mb", "find_unused_parameters", "check_reduction", "gradient_as_bucket_view", "static_graph",
    ),
    DATA_PARALLEL: ("module", "device_ids", "output_device", "dim"),
    FSDP: (
        "module", "process_group", "sharding_strategy", "cpu_offload", "auto_wrap_policy", "backward_prefetch",
        "mixed_precision", "ignored_modules", "param_init_fn", "device_id", "sync_module_states", "forward_prefetch",
        "limit_all_gathers", "use_orig_params",
    ),
    FULLY_SHARD: ("module",),
    DEEPSPEED: ("args", "model", "optimizer"),
}  # fmt: skip

# Wrappers that make a new object around the model; ``fully_shard`` changes the model itself.
WRAPPERS = frozenset((DDP, DATA_PARALLEL, FSDP, DEEPSPEED))

# torch.nn.Module's methods that return the module itself.
SAME = frozenset(
    "to cuda cpu xpu npu half float double bfloat16 type train eval requires_grad_ apply to_empty share_memory".split()
)


def _wrap(run: Run, name: str, arguments: Arguments, node: cst.CSTNode) -> Made:
    """A new wrapper, written down as the event ``wrap``."""
    made = Made(name, arguments, run.origin(node))
    given = {
        parameter: argument
        for place, parameter in enumerate(_PARAMETERS[name])
        if (argument := arguments.get(parameter, place)) is not None
    }
    if "model" in given:
        given["module"] = given.pop("model")
    if arguments.open:
        given["open"] = Argument(Unknown("arguments handed through"), node)
    given["wrapper"] = Argument(made, node)
    inner = given.get("module")
    if inner is not None and isinstance(inner.value, Object):
        given["layers"] = Argument(Items(tuple(_layers(inner.value))), node)
    run.record("wrap", node, given, name=name)
    run.wrapped.add(made.id)
    if inner is not None:
        _note(run, inner.value)
    return made


def _layers(model: Object, above: str = "", depth: int = 4) -> Iterator[Items]:
    """The layers of a model as they are now, each with the names that lead to it."""
    for name, layer in list(model.fields.items()):
        if isinstance(name, str) and isinstance(layer, (Made, Object)):
            yield Items((Const(above + name), layer))
            if isinstance(layer, Object) and depth:
                yield from _layers(layer, f"{above}{name}.", depth - 1)


def _note(run: Run, model: Value) -> None:
    run.wrapped |= {leaf.id for leaf in leaves(model) if not isinstance(leaf, Const)}


@models(DDP, "apex.parallel.DistributedDataParallel")
def _data_parallel(run: Run, arguments: Arguments, node: cst.CSTNode) -> Value:
    made = _wrap(run, DDP, arguments, node)
    devices = arguments.get("device_ids", 1)
    if devices is not None and isinstance(devices.value, Items) and len(devices.value.values) == 1:
        inner = devices.node
        if isinstance(inner, (cst.List, cst.Tuple)) and len(inner.elements) == 1:
            inner = inner.elements[0].value
        use_device(run, Argument(devices.value.values[0], inner), node, "device_ids")
    return made


@models(DATA_PARALLEL)
def _threads(run: Run, arguments: Arguments, node: cst.CSTNode) -> Value:
    return _wrap(run, DATA_PARALLEL, arguments, node)


@models(FSDP)
def _sharded(run: Run, arguments: Arguments, node: cst.CSTNode) -> Value:
    return _wrap(run, FSDP, arguments, node)


@models(FULLY_SHARD)
def _fully_shard(run: Run, arguments: Arguments, node: cst.CSTNode) -> Value:
    made = _wrap(run, FULLY_SHARD, arguments, node)
    return arguments.value("module", 0) or made  # the same object, of another class


@models("deepspeed.initialize")
def _deepspeed(run: Run, arguments: Arguments, node: cst.CSTNode) -> Value:
    run.record("managed", node, name="deepspeed.initialize")
    engine = _wrap(run, DEEPSPEED, arguments, node)
    others = ("the optimizer of DeepSpeed", "the loader of DeepSpeed", "the scheduler of DeepSpeed")
    return Items((engine, *(Unknown(other, run.origin(node)) for other in others)), run.origin(node))


@models(
    "torch.nn.SyncBatchNorm.convert_sync_batchnorm", "torch.nn.modules.batchnorm.SyncBatchNorm.convert_sync_batchnorm"
)
def _synchronised(run: Run, arguments: Arguments, node: cst.CSTNode) -> Value:
    module = arguments.get("module", 0)
    if module is None:
        return Unknown("a model", run.origin(node))
    run.record("call", node, {"module": module}, name="torch.nn.SyncBatchNorm.convert_sync_batchnorm")
    return module.value  # its layers are replaced in place, unless it is a layer itself


# -- what a wrapper answers -----------------------------------------------------------------------------------------


def wrapped_by(made: Value) -> Value | None:
    """The model in a wrapper; None for anything else."""
    if not isinstance(made, Made) or made.name not in WRAPPERS:
        return None
    place = 1 if made.name == DEEPSPEED else 0
    return made.arguments.value("model" if place else "module", place)


def attribute(run: Run, made: Made, name: str, origin: Origin) -> Value | None:
    """``wrapper.name``: the model for ``module``; anything else is written down, as an event ``attribute``."""
    if name == "module":
        return wrapped_by(made)
    given = {"self": Argument(made, origin.node)}
    if run.splits:
        given["sometimes"] = given["self"]  # the name holds something else in another case
    run.record("attribute", origin.node, given, name=name)
    return None


def side(run: Run, choice: Choice) -> bool | None:
    """Which value of a choice it is here, as far as the path tells."""
    return holds(choice.condition, {condition.id: truth for condition, truth in steps(run.state.path)})


def has(run: Run, owner: Value, name: str, origin: Origin) -> Value:
    """``hasattr(owner, name)``."""
    if isinstance(owner, Choice):
        then, other = has(run, owner.then, name, origin), has(run, owner.other, name, origin)
        return conditions.as_condition(choose(owner.condition, then, other))
    if isinstance(owner, Made):
        if name == "module" and owner.name in WRAPPERS:
            return TRUE
        if owner.name in (DDP, DATA_PARALLEL):
            own = MODULE | (REPLICATED if owner.name == DDP else PARALLEL)
            return Const(name in own, origin)
    if isinstance(owner, Object) and owner.cls is not None and name == "module":
        # an attribute that no class of the project gives itself, nor torch.nn.Module
        known = is_module(run, owner.cls) and name not in owner.fields
        if known and not any(name in names(facts) for facts in (owner.cls, *objects.bases(run, owner.cls))):
            return FALSE
    return Unknown("whether an attribute exists", origin, key=("hasattr", owner.id, name), uses=(owner,), type="bool")


def is_instance(run: Run, value: Value, cls: Value, origin: Origin) -> Value | None:
    """``isinstance(value, cls)`` where the class is a wrapper, or several; None where it is something else."""
    names = _classes(cls)
    if not names & WRAPPERS:
        return None
    if isinstance(value, Choice):
        then, other = is_instance(run, value.then, cls, origin), is_instance(run, value.other, cls, origin)
        return conditions.as_condition(choose(value.condition, then or FALSE, other or FALSE))
    if isinstance(value, Made) and value.name in WRAPPERS:
        return Const(value.name in names, origin)
    if isinstance(value, Object) and value.cls is not None and is_module(run, value.cls):
        return FALSE
    return Unknown("whether it is a wrapper", origin, key=("isinstance", value.id, cls.id), uses=(value,), type="bool")


def _classes(cls: Value) -> frozenset[str]:
    if isinstance(cls, Items):
        return frozenset(name for one in cls.values for name in _classes(one))
    return frozenset((cls.name,)) if isinstance(cls, External) else frozenset()


def is_model(run: Run, value: Value) -> bool:
    """Whether a value is a model of the project, or a wrapper: its ``.to()`` gives itself back."""
    if isinstance(value, Made):
        return value.name in WRAPPERS
    return isinstance(value, Object) and value.cls is not None and is_module(run, value.cls)


def is_module(run: Run, facts: ClassFacts) -> bool:
    """Whether all of a class is known: it derives from torch.nn.Module and classes of the project, and nothing else."""
    for one in (facts, *objects.bases(run, facts)):
        if not one.node.bases:
            return False
        with run.within(run.load(one.module)):
            found = [run.evaluate(base.value) for base in one.node.bases]
        for base in found:
            if not (isinstance(base, Class) or (isinstance(base, External) and base.name in _MODULES)):
                return False
    return True


_MODULES = frozenset(
    ("torch.nn.Module", "torch.nn.modules.module.Module", "torch.nn.modules.Module", "torch.nn.Sequential")
)


def names(facts: ClassFacts) -> frozenset[str]:
    """The attributes that a class gives itself, in its body and through ``self`` in its methods."""
    from ddplint.program.walk import everything_in

    found = set(facts.methods)
    for line in facts.node.body.body:
        for node in () if isinstance(line, (cst.FunctionDef, cst.ClassDef)) else everything_in(line):
            if isinstance(node, (cst.AssignTarget, cst.AnnAssign)) and isinstance(node.target, cst.Name):
                found.add(node.target.value)
    for method in facts.methods.values():
        params = method.node.params.params
        this = params[0].name.value if params else ""
        for node in everything_in(method.node.body):
            targets = _targets(node)
            found |= {one.attr.value for one in targets if isinstance(one.value, cst.Name) and one.value.value == this}
            if isinstance(node, cst.Call) and isinstance(node.func, cst.Attribute):
                found |= _registered(node)
    return frozenset(found)


def _targets(node: cst.CSTNode) -> list[cst.Attribute]:
    if not isinstance(node, (cst.AssignTarget, cst.AnnAssign, cst.AugAssign)):
        return []
    target = node.target
    parts = [element.value for element in target.elements] if isinstance(target, (cst.Tuple, cst.List)) else [target]
    return [one for one in parts if isinstance(one, cst.Attribute)]


def _registered(node: cst.Call) -> set[str]:
    """``self.register_buffer("mean", ...)``."""
    assert isinstance(node.func, cst.Attribute)
    if node.func.attr.value not in ("register_buffer", "register_parameter", "add_module", "register_module"):
        return set()
    name = node.args[0].value if node.args else None
    return {str(name.evaluated_value)} if isinstance(name, cst.SimpleString) else set()
