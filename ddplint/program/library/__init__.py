"""What calls into Python's standard library and torch mean for the process group.

One short function a call, found by its full dotted name. Anything not listed returns an unknown value and changes
nothing. Signatures are those of torch 2.13 and Python 3.11.
"""

from __future__ import annotations

import builtins
import sys
from typing import TYPE_CHECKING

import libcst as cst

from ddplint.program import expressions, following, options
from ddplint.program.events import Argument, Arguments
from ddplint.program.library import calls, devices, environment, feeds, process_group, python, starting, wrapping
from ddplint.program.library.devices import device_index, place, use_device
from ddplint.program.library.methods import MAY_MEET, call_method
from ddplint.program.library.models import MODELS
from ddplint.program.values import Class, Const, Function, Input, Made, Object, OptionSpec, Unknown, Value

if TYPE_CHECKING:
    from ddplint.program.run import Run

# The modules are named because importing them is what fills the table.
__all__ = [
    "call",
    "call_method",
    "device_index",
    "devices",
    "environment",
    "knows",
    "process_group",
    "python",
    "starting",
    "wrapping",
]


def call(run: Run, name: str, arguments: Arguments, node: cst.CSTNode) -> Value:
    """The result and effects of a library call."""
    event = calls.record(run, name, arguments, node)
    model = MODELS.get(name)
    if model is not None:
        return model(run, arguments, node)
    if name in options.PARSERS:
        return options.new_parser(run, arguments, node)
    if name in options.FILLERS:
        return fill(run, name, arguments, node)
    if options.is_absl_definition(name):
        return options.absl_flag(run, name, arguments, node)
    if name in _MANAGERS or name.startswith(_MANAGING):
        run.record("managed", node, name=name)
    if name.startswith("torch."):
        device = arguments.get("device")
        if device is not None:
            place(run, device, node, "device")
            use_device(run, device, node, "device")
    if arguments.keyword and name.endswith(_RECORDS):
        return _record(run, name, arguments, node)
    uses = tuple(argument.value for argument in (*arguments.positional, *arguments.keyword.values()))
    for used in uses:
        if isinstance(used, Object) and used.kind == "parser":
            return used  # it adds options of its own and hands the parser back
    if _may_meet(name):
        run.mark("opaque", node)
    made = Made(name, arguments, run.origin(node))
    if event is not None and name in feeds.FEEDS:
        run.feeds[made.id] = event
    elif run.feeds and not feeds.is_passing(name):
        following.hand_over(run, name, arguments, node)
    return made


def _may_meet(name: str) -> bool:
    """Whether a function that the model does not know may hold a collective of the script's processes."""
    if name.startswith("torch.distributed."):
        return name not in calls.PARAMETERS and MAY_MEET.search(name.rpartition(".")[2]) is not None
    return name.partition(".")[0] not in _QUIET


def knows(name: str) -> bool:
    """Whether the model knows a library function by this dotted name."""
    return expressions.canonical(name) in MODELS


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


# Packages whose functions and classes take part in no collective of the script's, besides those that the model knows.
_QUIET = (
    sys.stdlib_module_names
    | frozenset(
        "absl cv2 einops h5py hydra IPython jax librosa loguru matplotlib mlflow numpy omegaconf openai "
        "pandas PIL plotly psutil pynvml requests rich safetensors scipy seaborn skimage sklearn soundfile "
        "tensorboard tensorboardX termcolor tiktoken timm tokenizers torch torchaudio torchvision tqdm wandb "
        "yaml zarr".split()
    )
    | frozenset(vars(builtins))
)

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


def fill(run: Run, name: str, arguments: Arguments, node: cst.CSTNode) -> Value:
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
