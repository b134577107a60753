"""What calls into Python's standard library and torch mean for the process group.

One short function a call, found by its full dotted name. Anything not listed returns an unknown value and changes
nothing. Signatures are those of torch 2.13 and Python 3.11.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

import libcst as cst

from ddplint.program import arithmetic, expressions, options
from ddplint.program.events import Argument, Arguments, Spawn
from ddplint.program.state import assume
from ddplint.program.values import (
    ANY_KEY,
    NONE,
    TRUE,
    Choice,
    Class,
    Const,
    Device,
    Function,
    Index,
    Input,
    Items,
    Method,
    Object,
    Op,
    OptionSpec,
    Partial,
    Symbol,
    Unknown,
    Value,
    choose,
)

if TYPE_CHECKING:
    from ddplint.program.run import Run

_Model = Callable[["Run", Arguments, cst.CSTNode], Value]
_MODELS: dict[str, _Model] = {}


def _models(*names: str) -> Callable[[_Model], _Model]:
    def register(model: _Model) -> _Model:
        for name in names:
            _MODELS[name] = model
        return model

    return register


def call(run: Run, name: str, arguments: Arguments, node: cst.CSTNode) -> Value:
    """The result and effects of a library call."""
    model = _MODELS.get(name)
    if model is not None:
        return model(run, arguments, node)
    if name in options.PARSERS:
        return options.new_parser(run, arguments, node)
    if name in options.FILLERS:
        return _fill(run, name, arguments, node)
    if options.is_absl_definition(name):
        return options.absl_flag(run, name, arguments, node)
    if name in _MANAGERS or name.startswith(_MANAGING):
        run.record("managed", node, name=name)
    if name.startswith("torch."):
        _use_device(run, arguments.get("device"), node, "device")
    if arguments.keyword and name.endswith(_RECORDS):
        return _record(run, name, arguments, node)
    uses = tuple(argument.value for argument in (*arguments.positional, *arguments.keyword.values()))
    for used in uses:
        if isinstance(used, Object) and used.kind == "parser":
            return used  # it adds options of its own and hands the parser back
    return Unknown(f"what {name}() returns", run.origin(node), uses=uses)


def knows(name: str) -> bool:
    """Whether the model knows a library function by this dotted name."""
    return expressions.canonical(name) in _MODELS


def _record(run: Run, name: str, arguments: Arguments, node: cst.CSTNode) -> Object:
    origin = run.origin(node)
    fields: dict[object, Value] = {}
    for key, argument in arguments.keyword.items():
        value = argument.value
        if name.endswith("HParams") and isinstance(value, Const):
            # hyper-parameters are made to be overridden from the command line: hparams.parse("world_size=8")
            place = run.origin(argument.node)
            value = Input(key, OptionSpec(key, (), value, value.type, True, False, "record", place), place)
        fields[key] = value
    return Object("instance", origin, fields=fields)


# Constructors whose keyword arguments are the fields of what they make: HParams, EasyDict, AttrDict, Namespace, Munch.
_RECORDS = ("HParams", "Dict", "Namespace", "Munch", "Bunch")


# Constructors and calls that start the process group themselves, or hand it to a launcher of their own.
_MANAGERS = frozenset(
    {
        "accelerate.Accelerator",
        "deepspeed.init_distributed",
        "deepspeed.initialize",
        "transformers.Trainer",
        "transformers.TrainingArguments",
        "lightning.Trainer",
        "lightning.pytorch.Trainer",
        "lightning.fabric.Fabric",
        "lightning.Fabric",
        "pytorch_lightning.Trainer",
        "horovod.torch.init",
        "ray.init",
        "submitit.helpers.TorchDistributedEnvironment",
    }
)
_MANAGING = ("ray.train.", "mmengine.dist.", "colossalai.launch", "fairscale.nn.model_parallel.")


# -- the environment ------------------------------------------------------------------------------------------------


@_models("os.getenv")
def _getenv(run: Run, arguments: Arguments, node: cst.CSTNode) -> Value:
    return _environ_get(run, run.environ, arguments, node)


def _environ_get(run: Run, environ: Object, arguments: Arguments, node: cst.CSTNode) -> Value:
    key = arguments.value("key", 0)
    default = arguments.value("default", 1) or NONE
    origin = run.origin(node)
    if not (isinstance(key, Const) and isinstance(key.value, str)):
        return Unknown("a variable of unknown name", origin)
    has = run.has_variable(environ, key.value, origin)
    value = run.read_variable(environ, key.value, origin, required=False)
    return choose(has, value, default, origin)


@_models("os.putenv")
def _putenv(run: Run, arguments: Arguments, node: cst.CSTNode) -> Value:
    key, value = arguments.value(None, 0), arguments.get(None, 1)
    if key is not None and value is not None:
        run.store_variable(run.environ, key, value, node)
    return NONE


# -- Python itself --------------------------------------------------------------------------------------------------


def _pure(name: str) -> _Model:
    def model(run: Run, arguments: Arguments, node: cst.CSTNode) -> Value:
        values = tuple(argument.value for argument in arguments.positional)
        if arguments.open or arguments.keyword or not values:
            return Unknown(f"the result of {name}()", run.origin(node), uses=values)
        if name == "len" and isinstance(values[0], Items):
            return Const(len(values[0].values), run.origin(node))
        if len(values) == 1 and name in ("min", "max"):
            if not isinstance(values[0], Items):
                return Unknown(f"the {name} of a sequence", run.origin(node), uses=values)
            values = values[0].values
        result = arithmetic.operation(name, values, run.origin(node))
        if name in ("min", "max"):
            run.checks.append(result)
        return result

    return model


for _name in ("float", "len", "min", "max", "abs", "divmod"):
    _MODELS[_name] = _pure(_name)


@_models("int")
def _int(run: Run, arguments: Arguments, node: cst.CSTNode) -> Value:
    value = arguments.value(None, 0)
    if value is None or len(arguments.positional) != 1:
        return Unknown("an integer", run.origin(node))
    # int(x) of an int is x; keep where x came from
    return arithmetic.integer(value, run.origin(node))


@_models("str")
def _str(run: Run, arguments: Arguments, node: cst.CSTNode) -> Value:
    value = arguments.value(None, 0)
    if value is None:
        return Const("", run.origin(node))
    return value if value.type == "str" else arithmetic.operation("str", (value,), run.origin(node))


@_models("bool")
def _bool(run: Run, arguments: Arguments, node: cst.CSTNode) -> Value:
    value = arguments.value(None, 0)
    if value is None:
        return Unknown("a truth", run.origin(node))
    test = expressions.as_condition(value)
    return test if test.type == "bool" else arithmetic.operation("bool", (test,), run.origin(node))


@_models("range")
def _range(run: Run, arguments: Arguments, node: cst.CSTNode) -> Value:
    values = [argument.value for argument in arguments.positional]
    if not values:
        return Unknown("a range", run.origin(node))
    start = values[0] if len(values) > 1 else Const(0)
    stop = values[1] if len(values) > 1 else values[0]
    step = values[2] if len(values) > 2 else Const(1)
    return Op("range", (start, stop, step), "sequence", run.origin(node))


@_models("list", "tuple", "iter")
def _same_sequence(run: Run, arguments: Arguments, node: cst.CSTNode) -> Value:
    value = arguments.value(None, 0)
    if isinstance(value, (Items, Op)):
        return value
    return Unknown("a sequence", run.origin(node), uses=(value,) if value else ())


@_models("enumerate")
def _enumerate(run: Run, arguments: Arguments, node: cst.CSTNode) -> Value:
    value = arguments.value(None, 0)
    if isinstance(value, Items):
        return Items(tuple(Items((Const(i), item)) for i, item in enumerate(value.values)), run.origin(node))
    return Op("enumerate", (value,) if value else (), "sequence", run.origin(node))


@_models("zip")
def _zip(run: Run, arguments: Arguments, node: cst.CSTNode) -> Value:
    rows = [argument.value.values for argument in arguments.positional if isinstance(argument.value, Items)]
    if len(rows) == len(arguments.positional) and rows:
        return Items(tuple(Items(row) for row in zip(*rows, strict=False)), run.origin(node))
    return Unknown("zipped sequences", run.origin(node))


@_models("dict", "types.SimpleNamespace", "argparse.Namespace", "easydict.EasyDict", "omegaconf.OmegaConf.create")
def _dict(run: Run, arguments: Arguments, node: cst.CSTNode) -> Value:
    made = Object("dict" if _callee(node) == "dict" else "instance", run.origin(node))
    first = arguments.value(None, 0)
    if isinstance(first, Object) and first.kind in ("namespace", "environ", "config"):
        return first if first.kind != "environ" else _copy_environ(run, first, node)
    if isinstance(first, Object):
        expressions.update(run, made, first, node)
    elif first is not None or arguments.open:
        return Unknown("a mapping", run.origin(node))
    for key, argument in arguments.keyword.items():
        run.state.write(made.fields, key, argument.value)
    return made


def _callee(node: cst.CSTNode) -> str:
    return node.func.value if isinstance(node, cst.Call) and isinstance(node.func, cst.Name) else ""


@_models("copy.copy", "copy.deepcopy", "dataclasses.asdict", "attr.asdict")
def _copy(run: Run, arguments: Arguments, node: cst.CSTNode) -> Value:
    value = arguments.value(None, 0)
    if isinstance(value, Object) and value.kind != "environ":
        return Object(value.kind, run.origin(node), value.cls, value.parser, dict(value.fields))
    return _view(run, arguments, node)


@_models("vars", "omegaconf.OmegaConf.to_container")
def _view(run: Run, arguments: Arguments, node: cst.CSTNode) -> Value:
    value = arguments.value(None, 0)
    if isinstance(value, Object) and value.kind == "environ":
        return _copy_environ(run, value, node)
    if isinstance(value, Object):
        return value
    return Unknown("a view of an object", run.origin(node))


@_models("getattr")
def _getattr(run: Run, arguments: Arguments, node: cst.CSTNode) -> Value:
    owner, name = arguments.value(None, 0), arguments.value(None, 1)
    if owner is None or not (isinstance(name, Const) and isinstance(name.value, str)):
        return Unknown("an attribute of unknown name", run.origin(node))
    found = run.attribute(owner, name.value, run.origin(node))
    default = arguments.value(None, 2)
    if isinstance(found, Method) and default is not None:
        return Unknown(f"the attribute {name.value}", run.origin(node))
    return found


@_models("setattr")
def _setattr(run: Run, arguments: Arguments, node: cst.CSTNode) -> Value:
    owner, name, value = arguments.value(None, 0), arguments.value(None, 1), arguments.value(None, 2)
    if owner is not None and value is not None and isinstance(name, Const) and isinstance(name.value, str):
        run.set_attribute(owner, name.value, value)
    return NONE


@_models("hasattr")
def _hasattr(run: Run, arguments: Arguments, node: cst.CSTNode) -> Value:
    owner, name = arguments.value(None, 0), arguments.value(None, 1)
    if isinstance(owner, Object) and isinstance(name, Const) and isinstance(name.value, str):
        found = run.attribute(owner, name.value, run.origin(node))
        if not isinstance(found, Method):
            return Const(True, run.origin(node))
    return Unknown("whether an attribute exists", run.origin(node))


@_models("deepspeed.add_config_arguments", "deepspeed.add_tuning_arguments")
def _same_parser(run: Run, arguments: Arguments, node: cst.CSTNode) -> Value:
    return arguments.value("parser", 0) or Unknown("a parser", run.origin(node))


@_models("functools.partial")
def _partial(run: Run, arguments: Arguments, node: cst.CSTNode) -> Value:
    if not arguments.positional or arguments.open:
        return Unknown("a partial call", run.origin(node))
    rest = tuple(argument.value for argument in arguments.positional[1:])
    keyword = {key: argument.value for key, argument in arguments.keyword.items()}
    return Partial(arguments.positional[0].value, rest, keyword, run.origin(node))


@_models("dataclasses.fields", "attr.fields")
def _fields(run: Run, arguments: Arguments, node: cst.CSTNode) -> Value:
    owner = arguments.value(None, 0)
    facts = owner.facts if isinstance(owner, Class) else owner.cls if isinstance(owner, Object) else None
    if facts is None:
        return Unknown("the fields of a class", run.origin(node))
    made = []
    for name, declaration, default in run.declared_fields(facts):
        described: dict[object, Value] = {"name": Const(name, run.origin(declaration)), "default": default or NONE}
        made.append(Object("instance", run.origin(declaration), fields=described))
    return Items(tuple(made), run.origin(node))


@_models("sys.exit", "os._exit", "exit", "quit", "os.abort")
def _exit(run: Run, arguments: Arguments, node: cst.CSTNode) -> Value:
    from ddplint.program.run import PathEnds

    raise PathEnds


@_models("socket.gethostname", "platform.node", "socket.getfqdn")
def _hostname(run: Run, arguments: Arguments, node: cst.CSTNode) -> Value:
    return Symbol("hostname", run.origin(node)) if not arguments.positional else Unknown("a name", run.origin(node))


# -- torch: devices -------------------------------------------------------------------------------------------------


@_models(
    "torch.cuda.device_count", "torch.accelerator.device_count", "torch.xpu.device_count", "torch.npu.device_count"
)
def _device_count(run: Run, arguments: Arguments, node: cst.CSTNode) -> Value:
    return Symbol("device_count", run.origin(node))


@_models("torch.cuda.is_available", "torch.accelerator.is_available", "torch.cuda.is_initialized")
def _cuda_available(run: Run, arguments: Arguments, node: cst.CSTNode) -> Value:
    return Symbol("cuda_available", run.origin(node))


@_models(
    "torch.cuda.set_device", "torch.accelerator.set_device_index", "torch.accelerator.set_device_idx",
    "torch.cuda.device", "torch.npu.set_device", "torch.xpu.set_device",
)  # fmt: skip
def _set_device(run: Run, arguments: Arguments, node: cst.CSTNode) -> Value:
    _use_device(run, arguments.get("device", 0), node, "set_device")
    return NONE


@_models("torch.device")
def _device(run: Run, arguments: Arguments, node: cst.CSTNode) -> Value:
    kind, index = arguments.get(None, 0), arguments.get("index", 1)
    if index is not None and kind is not None and isinstance(kind.value, Const) and kind.value.value == "cuda":
        _use_device(run, index, node, "torch.device")
        return Device(index.value, run.origin(node))
    if kind is not None:
        _use_device(run, kind, node, "torch.device")
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


def _use_device(run: Run, argument: Argument | None, node: cst.CSTNode, name: str) -> None:
    if argument is None or isinstance(argument.value, Device):
        return  # a device object was already seen when it was made
    index = device_index(argument.value)
    if index is not None:
        run.record("device", node, {"index": Argument(index, argument.node)}, name=name)


# -- torch: the process group ---------------------------------------------------------------------------------------

# torch 2.13, torch/distributed/distributed_c10d.py, init_process_group: the order of its parameters
_INIT = ("backend", "init_method", "timeout", "world_size", "rank", "store", "group_name", "pg_options", "device_id")


@_models("torch.distributed.init_process_group")
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


@_models("torch.distributed.init_device_mesh", "torch.distributed.device_mesh.init_device_mesh")
def _init_device_mesh(run: Run, arguments: Arguments, node: cst.CSTNode) -> Value:
    _start_group(run, {}, node, "init_device_mesh")
    return Unknown("a device mesh", run.origin(node))


@_models("torch.distributed.rpc.init_rpc")
def _init_rpc(run: Run, arguments: Arguments, node: cst.CSTNode) -> Value:
    run.record("rpc", node, name="init_rpc")
    return NONE


@_models("torch.distributed.get_rank")
def _get_rank(run: Run, arguments: Arguments, node: cst.CSTNode) -> Value:
    if arguments.positional or arguments.keyword:
        return Unknown("the rank in a subgroup", run.origin(node))
    return run.group.get("group_rank") or Symbol("group_rank", run.origin(node))


@_models("torch.distributed.get_world_size")
def _get_world_size(run: Run, arguments: Arguments, node: cst.CSTNode) -> Value:
    if arguments.positional or arguments.keyword:
        return Unknown("the size of a subgroup", run.origin(node))
    return run.group.get("group_world_size") or Symbol("group_world_size", run.origin(node))


@_models("torch.distributed.get_node_local_rank")
def _get_node_local_rank(run: Run, arguments: Arguments, node: cst.CSTNode) -> Value:
    return arithmetic.operation("int", (run.read_variable(run.environ, "LOCAL_RANK", run.origin(node), True),), None)


@_models("torch.distributed.is_initialized")
def _is_initialized(run: Run, arguments: Arguments, node: cst.CSTNode) -> Value:
    return Symbol("initialized", run.origin(node))


@_models("torch.distributed.is_available", "torch.distributed.is_nccl_available")
def _is_available(run: Run, arguments: Arguments, node: cst.CSTNode) -> Value:
    return TRUE


@_models("torch.nn.parallel.DistributedDataParallel", "apex.parallel.DistributedDataParallel")
def _wrap(run: Run, arguments: Arguments, node: cst.CSTNode) -> Value:
    devices = arguments.get("device_ids", 1)
    run.record("wrap", node, {"device_ids": devices} if devices else {}, name="DistributedDataParallel")
    if devices is not None and isinstance(devices.value, Items) and len(devices.value.values) == 1:
        inner = devices.node
        if isinstance(inner, (cst.List, cst.Tuple)) and len(inner.elements) == 1:
            inner = inner.elements[0].value
        _use_device(run, Argument(devices.value.values[0], inner), node, "device_ids")
    return Unknown("a wrapped model", run.origin(node))


# -- starting processes ---------------------------------------------------------------------------------------------


@_models("torch.multiprocessing.spawn", "torch.multiprocessing.start_processes")
def _spawn(run: Run, arguments: Arguments, node: cst.CSTNode) -> Value:
    # torch 2.13, torch/multiprocessing/spawn.py: spawn(fn, args=(), nprocs=1, join=True, daemon=False, ...)
    target = arguments.value("fn", 0)
    rest = arguments.value("args", 1)
    count = arguments.get("nprocs", 2) or Argument(Const(1), node)
    index = Index(node, count.value, run.origin(node))
    handed = (index, *rest.values) if isinstance(rest, Items) else (index,)
    opened = rest is not None and not isinstance(rest, Items)
    spawn = Spawn("spawn", run.module, node, count, index)
    run.record("spawn", node, {"nprocs": count}, name="mp.spawn")
    if target is not None:
        run.start(spawn, target, Arguments(tuple(Argument(value, node) for value in handed), {}, opened), node)
    return Unknown("a process context", run.origin(node))


@_models(
    "multiprocessing.Process", "torch.multiprocessing.Process", "multiprocessing.context.Process", "threading.Thread"
)
def _process(run: Run, arguments: Arguments, node: cst.CSTNode) -> Value:
    target = arguments.value("target", 1)
    rest = arguments.value("args", 3)
    named = arguments.value("kwargs", 4)
    handed = rest.values if isinstance(rest, Items) else ()
    opened = rest is not None and not isinstance(rest, Items)
    keyword: dict[str, Argument] = {}
    if isinstance(named, Object) and named.kind == "dict":
        keyword = {key: Argument(value, node) for key, value in named.fields.items() if isinstance(key, str)}
    spawn = _loop_spawn(run, "process", node)
    run.record("spawn", node, {"nprocs": spawn.count} if spawn.count else {}, name="Process")
    if target is not None:
        values = tuple(Argument(value, node) for value in handed)
        run.start(spawn, target, Arguments(values, keyword, opened), node)
    return Unknown("a process", run.origin(node))


def _loop_spawn(run: Run, kind: str, node: cst.CSTNode) -> Spawn:
    """The children that a loop around ``node`` starts, counted by the innermost ``range`` loop."""
    if not run.loops:
        return Spawn(kind, run.module, node, None, None)
    index = run.loops[-1]
    iterable = getattr(index.site, "iter", index.site)
    written = iterable.args[-1].value if isinstance(iterable, cst.Call) and iterable.args else iterable
    return Spawn(kind, run.module, node, Argument(index.count, written), index)


@_models("multiprocessing.get_context", "torch.multiprocessing.get_context")
def _get_context(run: Run, arguments: Arguments, node: cst.CSTNode) -> Value:
    return expressions.external(run, "multiprocessing", run.origin(node))


@_models(
    "subprocess.Popen", "subprocess.run", "subprocess.call", "subprocess.check_call", "subprocess.check_output",
    "os.execvpe", "os.execve",
)  # fmt: skip
def _command(run: Run, arguments: Arguments, node: cst.CSTNode) -> Value:
    environ = arguments.value("env")
    if isinstance(environ, Object) and environ.kind in ("environ", "dict") and "RANK" in environ.fields:
        spawn = _loop_spawn(run, "command", node)
        run.record("command", node, environ=environ, context=(*run.context, spawn), name="subprocess")
    return Unknown("what a child process prints", run.origin(node))


# -- filling configurations -----------------------------------------------------------------------------------------


def _fill(run: Run, name: str, arguments: Arguments, node: cst.CSTNode) -> Value:
    target = arguments.value("config_class", 0) or arguments.value("f", 0)
    if isinstance(target, Class):
        return options.filled_instance(run, target.facts, run.origin(node))
    if isinstance(target, Function):
        library = name.partition(".")[0]
        with run.within(target.scope or run.scope):
            bound = options.parameter_inputs(run, target.facts, library) if library != "absl" else {}
        keyword = {key: Argument(value, node) for key, value in bound.items()}
        return run.invoke(target, Arguments((), keyword), node)
    return Unknown(f"what {name}() fills", run.origin(node))


# -- methods of things that are not project classes -----------------------------------------------------------------


def call_method(run: Run, method: Method, arguments: Arguments, node: cst.CSTNode) -> Value:
    """A call ``owner.name(...)`` where the owner is not an instance of a project class."""
    owner, name = method.owner, method.name
    origin = run.origin(node)
    if isinstance(owner, Object):
        found = _object_method(run, owner, name, arguments, node)
        if found is not None:
            return found
    if name == "format" and isinstance(owner, Const) and isinstance(owner.value, str):
        return _format(run, owner.value, arguments, node)
    if name in arithmetic.STRING_METHODS and (owner.type == "str" or arithmetic.may_be_variable(owner)):
        values = tuple(argument.value for argument in arguments.positional)
        return arithmetic.operation(name, (owner, *values), origin)
    if name == "item" and not arguments.positional:
        return owner
    if name == "getsockname":
        # an address and a port: socket(7); the port is an int
        return Items((Unknown("an address", origin, type="str"), Unknown("a free port", origin, type="int")), origin)
    if name in ("cuda", "to") and not isinstance(owner, (Object, Const)):
        _use_device(run, arguments.get("device", 0), node, name)
        return owner
    if name == "get" and isinstance(owner, Input) and owner.spec is None:
        key = arguments.value(None, 0)
        return run.attribute(owner, str(key.value), origin) if isinstance(key, Const) else Unknown("a field", origin)
    if isinstance(owner, Class) and name == "parse_args":
        return options.filled_instance(run, owner.facts, origin)
    uses = (owner, *(argument.value for argument in (*arguments.positional, *arguments.keyword.values())))
    return Unknown(f"what .{name}() returns", origin, uses=uses)


def _object_method(run: Run, owner: Object, name: str, arguments: Arguments, node: cst.CSTNode) -> Value | None:
    if owner.kind == "parser":
        return options.parser_method(run, owner, name, arguments, node)
    if owner.kind == "environ":
        return _environ_method(run, owner, name, arguments, node)
    if owner.kind in ("config", "namespace") and name == "get":
        key = arguments.value(None, 0)
        if isinstance(key, Const) and isinstance(key.value, str):
            return run.attribute(owner, key.value, run.origin(node))
    if name in ("items", "keys", "values") and owner.kind in ("dict", "instance"):
        pairs = [(Const(key), value) for key, value in owner.fields.items() if isinstance(key, (str, int))]
        origin = run.origin(node)
        if name == "items":
            return Items(tuple(Items(pair) for pair in pairs), origin)
        return Items(tuple(pair[0 if name == "keys" else 1] for pair in pairs), origin)
    if owner.kind != "dict":
        return None
    key = arguments.value(None, 0)
    if name == "update":
        if key is not None:
            expressions.update(run, owner, key, node)
        for word, argument in arguments.keyword.items():
            run.state.write(owner.fields, word, argument.value)
        return NONE
    if name == "copy":
        return Object("dict", run.origin(node), fields=dict(owner.fields))
    if name in ("get", "pop", "setdefault") and isinstance(key, Const):
        found = owner.fields.get(key.value) or owner.fields.get(ANY_KEY)
        default = arguments.value(None, 1) or NONE
        if name == "setdefault" and found is None:
            run.state.write(owner.fields, key.value, default)
        if name == "pop" and found is not None:
            run.state.write(owner.fields, key.value, Unknown("an item that was taken out", run.origin(node)))
        return found or default
    return None


def _copy_environ(run: Run, environ: Object, node: cst.CSTNode) -> Object:
    return Object("environ", run.origin(node), fields=dict(environ.fields))


def _environ_method(run: Run, environ: Object, name: str, arguments: Arguments, node: cst.CSTNode) -> Value | None:
    key = arguments.get("key", 0)
    if name == "get":
        return _environ_get(run, environ, arguments, node)
    if name == "copy":
        return _copy_environ(run, environ, node)
    if name == "update":
        if key is not None:
            expressions.update(run, environ, key.value, key.node)
        for word, argument in arguments.keyword.items():
            run.store_variable(environ, Const(word), argument, argument.node)
        return NONE
    if key is None or not (isinstance(key.value, Const) and isinstance(key.value.value, str)):
        return None
    variable, origin = key.value.value, run.origin(node)
    if name == "setdefault":
        default = arguments.get("value", 1) or Argument(NONE, node)
        has = run.has_variable(environ, variable, origin)
        old = run.read_variable(environ, variable, origin, required=False)
        path = run.state.path
        run.state.path = assume(path, has, False)
        run.record("store", node, {"value": default}, name=variable)
        run.state.path = path
        value = choose(has, old, default.value, origin)
        run.state.write(environ.fields, variable, value)
        return value
    if name == "pop":
        value = run.read_variable(environ, variable, origin, required=False)
        run.state.write(environ.fields, variable, Const(None, origin))
        return value
    return None


def _format(run: Run, pattern: str, arguments: Arguments, node: cst.CSTNode) -> Value:
    """``"tcp://{}:{}".format(host, port)``, by position or by name."""
    pieces = re.split(r"\{([^{}]*)\}", pattern)
    parts: list[Value] = []
    automatic = 0
    for position, piece in enumerate(pieces):
        if position % 2 == 0:
            if piece:
                parts.append(Const(piece, run.origin(node)))
            continue
        field = piece.partition(":")[0].partition("!")[0]
        if field == "":
            value = arguments.value(None, automatic)
            automatic += 1
        elif field.isdigit():
            value = arguments.value(None, int(field))
        else:
            value = arguments.value(field)
        parts.append(value or Unknown(f"the field {{{field}}}", run.origin(node)))
    return expressions.text(run, parts, node)
