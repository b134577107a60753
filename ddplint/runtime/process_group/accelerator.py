"""The device of a process, and what the others are to know of it."""

from __future__ import annotations

import os
import sys

import torch
import torch.distributed as dist

from ddplint.runtime.devices import NoDevice, device_index
from ddplint.runtime.equipment import Equipment
from ddplint.runtime.problem import Problem
from ddplint.runtime.topology import Topology


def pin(topology: Topology) -> torch.device:
    """Make the device of this process the current one, before anything allocates on another, and return it.

    Raises:
        NoDevice: there is no such device.
    """
    if not torch.cuda.is_available():
        return torch.device("cpu")
    index = device_index(topology, torch.cuda.device_count())
    torch.cuda.set_device(index)
    return torch.device("cuda", index)


def pinned(topology: Topology) -> tuple[torch.device, tuple[Problem, ...]]:
    """The device of this process, made the current one; else the CPU, and why. The others are to hear of it."""
    try:
        return pin(topology), ()
    except NoDevice as error:
        return torch.device("cpu"), (error.problem,)


def equipment(device: torch.device) -> Equipment:
    """What the others are to know about devices and versions."""
    versions = {"torch": version(), "python": ".".join(map(str, sys.version_info[:3]))}
    if device.type != "cuda":
        return Equipment(0, versions=versions)
    versions["cuda"] = torch.version.cuda or torch.version.hip or "?"
    if dist.is_nccl_available():
        versions["nccl"] = ".".join(map(str, torch.cuda.nccl.version()))
    ids = tuple(_id(index) for index in range(torch.cuda.device_count()))
    return Equipment(len(ids), ids, ids[device.index], versions)


def _id(index: int) -> str:
    # `uuid` came in torch 2.2; without it two processes on one device are found by NCCL only.
    uuid = getattr(torch.cuda.get_device_properties(index), "uuid", None)
    return f"GPU-{uuid}" if uuid is not None else f"{index} of {os.environ.get('CUDA_VISIBLE_DEVICES', 'all')}"


def version() -> str:
    """torch's."""
    return str(torch.__version__)


def default_backend(device: torch.device) -> str:
    """NCCL for CUDA devices, gloo without."""
    return "nccl" if device.type == "cuda" and dist.is_nccl_available() else "gloo"


def binds(device: torch.device, backend: str) -> bool:
    """Whether ``device_id`` is given to torch, so that NCCL starts at once and barriers know their device.

    It came with 2.3. In 2.6.0 and 2.7.0 it hangs now and then (pytorch issue 153960). With several backends it may
    drop the one for the CPU, and TORCH_DISTRIBUTED_DEBUG=DETAIL ignores it (pytorch issue 178977).
    """
    release = tuple(int(part) for part in torch.__version__.split("+")[0].split(".")[:2] if part.isdigit())
    patch = torch.__version__.split("+")[0].split(".")[2:3]
    hangs = release == (2, 6) or (release == (2, 7) and patch == ["0"])
    return device.type == "cuda" and backend == "nccl" and release >= (2, 3) and not hangs
