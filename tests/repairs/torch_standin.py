"""A stand-in for torch: what a script does with its rank, its processes and its GPUs is noted, and that is all."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

from processes import ENVIRON, here, record, start


def _init_process_group(
    backend: str | None = None,
    init_method: str | None = None,
    timeout: object = None,
    world_size: int = -1,
    rank: int = -1,
    **_: object,
) -> None:
    variables = ENVIRON
    address = (variables.get("MASTER_ADDR"), variables.get("MASTER_PORT"))
    if init_method is not None and init_method.startswith("tcp://"):
        host, _colon, port = init_method.removeprefix("tcp://").partition(":")
        address = (host, port)
        assert min(rank, world_size) >= 0
    rank = int(variables["RANK"]) if rank == -1 else rank
    world_size = int(variables["WORLD_SIZE"]) if world_size == -1 else world_size
    assert (type(rank), type(world_size)) == (int, int)
    assert None not in address, "MASTER_ADDR expected"
    assert here().group is None
    here().group = (rank, world_size)
    record("init", rank, world_size, *address)


def _group() -> tuple[int, int]:
    group = here().group
    assert group is not None, "the process group has not been initialized"
    return group


def _device(*where: object) -> None:
    """Something that names a GPU."""
    last = where[-1]
    found = re.fullmatch(r"cuda:(\d+)", last) if isinstance(last, str) else None
    index = int(found[1]) if found else last
    if isinstance(index, int):
        assert index < here().each, "invalid device ordinal"
        record("device", index)


class Anything:
    """Modules, tensors, models: whatever is done with them gives another one. Devices are written down."""

    def __init__(self, *given: object, **named: object) -> None:
        for device in (*named.get("device_ids", ()), *[named[key] for key in ("output_device",) if key in named]):  # type: ignore[misc]
            _device(device)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return Anything()

    def __call__(self, *given: object, **named: object) -> Any:
        return Anything()

    def to(self, *where: object) -> Anything:
        _device(*where)
        return self

    cuda = to


class Sampler(Anything):
    def __init__(
        self, data: object, num_replicas: int | None = None, rank: int | None = None, shuffle: bool = True
    ) -> None:
        record("sampler", _group()[0] if rank is None else rank, _group()[1] if num_replicas is None else num_replicas)


class Child:
    """``multiprocessing.Process``, forked: it goes on with what its parent has."""

    def __init__(self, target: Callable[..., object], args: Sequence[object] = ()) -> None:
        self.target, self.args = target, args

    def start(self) -> None:
        start(self.target, self.args, len(here().started), anew=False)

    def join(self) -> None:
        pass


def _spawn(
    fn: Callable[..., object],
    args: Sequence[object] = (),
    nprocs: int = 1,
    join: bool = True,
    daemon: bool = False,
    start_method: str = "spawn",
) -> None:
    for index in range(nprocs):
        start(fn, (index, *args), index, anew=True)


class _Module(ModuleType):
    """Names that nobody thought of are there too."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return Anything()


def _module(name: str, **names: object) -> ModuleType:
    module = _Module(name)
    module.__path__ = []
    vars(module).update(names)
    return module


def _made() -> dict[str, ModuleType]:
    device_count = lambda: here().each  # noqa: E731
    cuda = _module("torch.cuda", device_count=device_count, is_available=lambda: True, set_device=_device)
    distributed = _module(
        "torch.distributed",
        init_process_group=_init_process_group,
        get_rank=lambda: _group()[0],
        get_world_size=lambda: _group()[1],
        is_initialized=lambda: here().group is not None,
        destroy_process_group=lambda: setattr(here(), "group", None),
    )
    multiprocessing = _module("torch.multiprocessing", spawn=_spawn, start_processes=_spawn, Process=Child)
    parallel = _module("torch.nn.parallel", DistributedDataParallel=Anything)
    nn = _module("torch.nn", parallel=parallel, Linear=Anything)
    sampler = _module("torch.utils.data.distributed", DistributedSampler=Sampler)
    data = _module("torch.utils.data", distributed=sampler, DistributedSampler=Sampler)
    utils = _module("torch.utils", data=data)
    optim = _module("torch.optim", SGD=lambda parameters, lr: record("learning rate", lr))
    torch = _module(
        "torch",
        cuda=cuda,
        distributed=distributed,
        multiprocessing=multiprocessing,
        nn=nn,
        utils=utils,
        optim=optim,
        zeros=Anything,
        device=_device,
        load=lambda path, map_location: [_device(place) for place in map_location.values()],
        save=lambda *given: record("save"),
        manual_seed=lambda number: record("seed", number),
    )
    modules = (torch, cuda, distributed, multiprocessing, nn, parallel, optim, utils, data, sampler)
    return {module.__name__: module for module in modules}


MODULES = _made()
