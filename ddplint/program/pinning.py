"""Whether the processes of a job choose a GPU each before NCCL needs one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ddplint.program import launchers
from ddplint.program.events import Event
from ddplint.program.launchers import Role
from ddplint.program.placing import Place, place_of
from ddplint.program.program import Program
from ddplint.program.values import Const, EnvVar, Index, Input, Object, Op, Value

# torch 2.13, torch/distributed/distributed_c10d.py, _get_object_coll_device: the tensors that carry the objects go
# to torch.cuda.current_device().
_OBJECTS = frozenset(
    f"torch.distributed.{name}"
    for name in "all_gather_object broadcast_object_list gather_object scatter_object_list".split()
)

# Words that show that somebody may choose a device after all, in a way that is not followed.
_CHOOSES = re.compile(
    r"set_device|CUDA_VISIBLE_DEVICES|cuda\.device\(|device_index\(|set_default_tensor_type|set_default_device|"
    r"accelerate|deepspeed|HIP_VISIBLE_DEVICES"
)
_LAUNCH_CHOOSES = re.compile(r"CUDA_VISIBLE_DEVICES|--gpus-per-task|--gpu-bind|--ntasks-per-node[= ]1\b")


@dataclass(frozen=True, slots=True)
class Unpinned:
    """A group of NCCL that ``start`` starts, and ``need``: what puts all processes of a node on GPU 0.

    ``local_rank`` is how the code at the start says the local rank, where it knows it.
    """

    start: Event
    need: Event
    local_rank: str | None


def unpinned(program: Program) -> Iterator[Unpinned]:
    """Starts of NCCL groups whose processes all stay on GPU 0, each once."""
    if program.evidence.test or program.events("managed", "rpc"):
        return
    starts = [event for event in program.entry_run.events if event.kind == "init" and _is_nccl(event)]
    if not starts or any(_CHOOSES.search(module.source.text) for module in program.modules):
        return
    if any(_LAUNCH_CHOOSES.search(text) for text in program.launch_files()):
        return
    seen: set[int] = set()
    for start in starts:
        if id(start.node) in seen or not (start.context or program.evidence.torchrun):
            continue
        need = _need(program, start)
        if need is not None:
            seen.add(id(start.node))
            yield Unpinned(start, need, _local_rank(start))


def _is_nccl(event: Event) -> bool:
    if event.arguments.keys() & {"open", "device_id"} or event.name != "init_process_group":
        return False
    backend = event.arguments.get("backend")
    value = backend.value if backend is not None else None
    if isinstance(value, Input) and value.spec is not None:
        value = value.spec.default
    return isinstance(value, Const) and value.value == "nccl"


def _need(program: Program, start: Event) -> Event | None:
    """The first thing that certainly happens on GPU 0 in every process."""
    events = [event for event in program.entry_run.events if event.context == start.context]
    placed = [event for event in events if event.kind == "placed"]
    for event in events:
        objects = event.kind == "call" and event.name in _OBJECTS and not event.arguments.keys() & {"device", "group"}
        if objects and event.order > start.order and program.worlds.reach(event).other is True:
            return event
    # devices that are named everywhere: torch is told, and no tensor goes to GPU 0 by itself
    if any(event.kind == "device" for event in events):
        return None
    places = [place_of(event) for event in placed]
    if Place.INDEXED in places or Place.UNKNOWN in places:
        return None
    wrapped = any(event.kind == "wrap" for event in events)
    current = [event for event, where in zip(placed, places, strict=True) if where is Place.CURRENT]
    reached = [event for event in current if program.worlds.reach(event).other is True]
    return reached[0] if reached and wrapped else None


def _local_rank(start: Event) -> str | None:
    if not start.frames:
        return None
    frame = start.frames[-1]
    for name, value in frame.names.items():
        if _is_local(value, start) and isinstance(name, str):
            return name
    for name, value in frame.names.items():
        if isinstance(value, Object) and isinstance(name, str):
            fields = frame.fields.get(value.id, {})
            for key, field in fields.items():
                if isinstance(key, str) and value.kind != "dict" and _is_local(field, start):
                    return f"{name}.{key}"
    return None


def _is_local(value: Value, start: Event) -> bool:
    """Whether a value is certainly the local rank, as a number."""
    if isinstance(value, Index):
        spawn = start.context[-1] if start.context else None
        return spawn is not None and value is spawn.index and value.start is None and len(start.context) == 1
    if isinstance(value, Op) and value.name == "int" and len(value.args) == 1:
        read = value.args[0]
        return isinstance(read, EnvVar) and launchers.meaning(read.name) is Role.LOCAL_RANK
    return False
