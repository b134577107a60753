"""A stand-in for two GPUs, so that scripts written for CUDA run on a machine that has none. Import it first.

**Neither CUDA nor NCCL is exercised.** Tensors stay on the CPU and "nccl" becomes gloo. What is real: the processes,
the rendezvous, the ranks, the collectives, DistributedDataParallel and what it computes. What is made up: how many
GPUs there are (``STANDIN_GPUS``, 2 by default), and that a process which asks for one beyond that is refused as CUDA
would refuse it. Which GPU a process asks for is written down.

Every process writes what happens to it, one JSON object a line, to a file of its own in ``STANDIN_RECORDS``:

- ``init``: it calls ``init_process_group`` and claims this rank of this world size, at this address;
- ``joined``: the call came back;
- ``device``: ``set_device``; ``tensor``: something was moved to this GPU, the first time;
- ``report``: it has trained. The script calls ``standin.report(model, loss)`` itself.

With ``STANDIN_FORK=1`` the script is itself forked from a process that had imported torch (``machine.py``), and
``mp.spawn`` forks too.

Where it is imported before the script (``STANDIN_PRELOAD=1``, for scripts that do not know of it), it writes the
``report`` itself, of the last model that was wrapped in DDP, when the group is destroyed.

``destroy_process_group`` does nothing, and a process that has called it leaves without taking itself apart. If the
group goes before the DDP object does, as in nearly every script, processes of torch 2.13 with gloo now and then hang or
abort there ("terminate called without an active exception": 2 of 13 jobs of four). By then all is trained.
"""

from __future__ import annotations

import atexit
import functools
import hashlib
import json
import os
import socket
import struct
import sys
from types import SimpleNamespace
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing
from torch.nn.parallel import DistributedDataParallel

GPUS = int(os.environ.get("STANDIN_GPUS", "2"))
FORK = os.environ.get("STANDIN_FORK") == "1"
PRELOAD = os.environ.get("STANDIN_PRELOAD") == "1"
# The GPUs of this machine that the process sees.
VISIBLE = (os.environ.get("CUDA_VISIBLE_DEVICES") or ",".join(map(str, range(GPUS)))).split(",")
CPU = torch.device("cpu")


def record(event: str, **facts: Any) -> None:
    folder = os.environ.get("STANDIN_RECORDS")
    if not folder:
        return
    host, pid = socket.gethostname(), os.getpid()
    line = json.dumps({"event": event, "host": host, "pid": pid, **facts}) + "\n"
    with open(os.path.join(folder, f"{host}-{pid}.jsonl"), "a", encoding="utf-8") as file:
        file.write(line)


def report(model: torch.nn.Module, loss: torch.Tensor) -> None:
    """Write down what this process trained: its rank, the loss of its last batch, and every parameter."""
    joined = dist.is_initialized()
    values = torch.cat([parameter.detach().flatten() for parameter in model.parameters()]).tolist()
    record(
        "report",
        rank=dist.get_rank() if joined else 0,
        world_size=dist.get_world_size() if joined else 1,
        loss=loss.item(),
        parameters=values,
        digest=hashlib.sha256(struct.pack(f"{len(values)}f", *values)).hexdigest(),
    )


def gpu(device: Any) -> int | None:
    """The index of the GPU that this asks for; None: it asks for none. Refused if this machine has no such GPU."""
    if isinstance(device, str) and device.startswith("cuda"):
        device = torch.device(device)
    if isinstance(device, torch.device):
        if device.type != "cuda":
            return None
        device = current if device.index is None else device.index
    if isinstance(device, bool) or not isinstance(device, int):
        return None
    if not 0 <= device < GPUS:
        raise RuntimeError(f"CUDA error: invalid device ordinal (GPU {device} of {GPUS})")
    return device


current = 0
used: set[int] = set()


def use(index: int | None) -> None:
    """A tensor or a model went to this GPU."""
    if index is not None and index not in used:
        used.add(index)
        record("tensor", index=index)


def set_device(device: Any) -> None:
    global current
    index = gpu(device)
    if index is None:
        raise ValueError(f"no GPU: {device!r}")
    current = index
    record("device", index=index)


def moved(original: Any) -> Any:
    """``to`` of a tensor or a module, for which a GPU is the CPU."""

    @functools.wraps(original)
    def to(self: Any, *args: Any, **kwargs: Any) -> Any:
        wanted = [*args, kwargs.get("device")]
        for index in map(gpu, wanted):
            use(index)
        if gpu(kwargs.get("device")) is not None:
            kwargs["device"] = CPU
        return original(self, *(arg if gpu(arg) is None else CPU for arg in args), **kwargs)

    return to


def made(original: Any) -> Any:
    """``torch.zeros`` and the like, which make on the CPU what is wanted on a GPU."""

    @functools.wraps(original)
    def make(*args: Any, device: Any = None, **kwargs: Any) -> torch.Tensor:
        use(gpu(device))
        return original(*args, device=device if gpu(device) is None else CPU, **kwargs)

    return make


def to_gpu(self: torch.Tensor, device: Any = None, *args: Any, **kwargs: Any) -> torch.Tensor:
    use(gpu(current if device is None else device))
    return self


def joining(original: Any) -> Any:
    """``init_process_group`` that says what this process claims, and uses gloo."""

    @functools.wraps(original)
    def init_process_group(backend: str | None = None, init_method: str | None = None, **kwargs: Any) -> None:
        environment = {"RANK": "-1", "WORLD_SIZE": "-1", "MASTER_ADDR": "", "MASTER_PORT": "", **os.environ}
        rank, world_size = kwargs.get("rank", -1), kwargs.get("world_size", -1)
        record(
            "init",
            rank=int(environment["RANK"]) if rank == -1 else rank,
            world_size=int(environment["WORLD_SIZE"]) if world_size == -1 else world_size,
            address=init_method or "{MASTER_ADDR}:{MASTER_PORT}".format_map(environment),
        )
        kwargs.pop("device_id", None)
        original("gloo", init_method, **kwargs)
        record("joined", rank=dist.get_rank(), world_size=dist.get_world_size())

    return init_process_group


def wrapping(original: Any) -> Any:
    """``DistributedDataParallel`` on the CPU: it refuses ``device_ids`` there, so they are only looked at."""

    @functools.wraps(original)
    def init(self: Any, module: torch.nn.Module, device_ids: Any = None, output_device: Any = None, **kw: Any) -> None:
        for device in device_ids or ():
            use(gpu(device))
        original(self, module, **kw)
        wrapped.append(self)

    return init


wrapped: list[torch.nn.Module] = []


def destroy_process_group(group: Any = None) -> None:
    if PRELOAD and wrapped:
        report(wrapped.pop(), torch.zeros(()))
    atexit.register(leave)


def forked(original: Any) -> Any:
    @functools.wraps(original)
    def start_processes(*args: Any, **kwargs: Any) -> Any:
        # The last of the positional parameters is the start method.
        return original(*args[:5], **kwargs | {"start_method": "fork"})

    return start_processes


def leave() -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def install() -> None:
    torch.cuda.device_count = lambda: GPUS
    torch.cuda.is_available = lambda: GPUS > 0
    torch.cuda.current_device = lambda: current
    torch.cuda.set_device = set_device
    # A name that no other host has; nothing else of it is asked for.
    torch.cuda.get_device_properties = lambda index: SimpleNamespace(uuid=f"{socket.gethostname()}-{VISIBLE[index]}")
    torch.Tensor.to = moved(torch.Tensor.to)
    torch.nn.Module.to = moved(torch.nn.Module.to)
    torch.Tensor.cuda = to_gpu
    for name in ("tensor", "zeros", "ones", "empty", "full", "rand", "randn", "randint", "arange"):
        setattr(torch, name, made(getattr(torch, name)))
    init = joining(dist.init_process_group)
    dist.init_process_group = dist.distributed_c10d.init_process_group = init
    DistributedDataParallel.__init__ = wrapping(DistributedDataParallel.__init__)
    dist.destroy_process_group = dist.distributed_c10d.destroy_process_group = destroy_process_group
    if FORK:
        # `torch.multiprocessing.spawn` is a function; the module of that name is found here only.
        module = sys.modules["torch.multiprocessing.spawn"]
        module.start_processes = torch.multiprocessing.start_processes = forked(module.start_processes)


install()
