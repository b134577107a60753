"""The device of a process, and what the others are to know of it."""

from __future__ import annotations

import sys

import torch
import torch.distributed as dist

from ddplint.runtime.devices import NoDevice, device_index
from ddplint.runtime.equipment import Equipment
from ddplint.runtime.problem import Problem
from ddplint.runtime.topology import Topology


def visible_devices() -> int:
    """How many CUDA devices this process sees."""
    return int(torch.cuda.device_count()) if torch.cuda.is_available() else 0


def pin(topology: Topology) -> torch.device:
    """Make the device of this process the current one, before anything allocates on another, and return it.

    Raises:
        NoDevice: there is no such device.
    """
    visible = visible_devices()
    if not visible:
        return torch.device("cpu")
    index = device_index(topology, visible)
    torch.cuda.set_device(index)
    return torch.device("cuda", index)


def pinned(topology: Topology, backend: str | None) -> tuple[torch.device, tuple[Problem, ...]]:
    """The device of this process, made the current one; else the CPU, and why. The others are to hear of it.

    Only NCCL needs a device; with gloo a process without one trains on the CPU.
    """
    try:
        return pin(topology), ()
    except NoDevice as error:
        return torch.device("cpu"), ((error.problem,) if "nccl" in (backend or "nccl") else ())


def equipment(device: torch.device, backend: str) -> Equipment:
    """What the others are to know about devices and versions; two processes of gloo may well share a device."""
    versions = {"torch": version(), "python": ".".join(map(str, sys.version_info[:3]))}
    if device.type != "cuda" or "nccl" not in backend:
        return Equipment(0, versions=versions)
    versions["cuda"] = torch.version.cuda or torch.version.hip or "?"
    if dist.is_nccl_available():
        versions["nccl"] = ".".join(map(str, torch.cuda.nccl.version()))
    ids = tuple(_id(index) for index in range(torch.cuda.device_count()))
    known = tuple(one for one in ids if one is not None)
    return Equipment(len(ids), known, ids[device.index], versions)


def _id(index: int) -> str | None:
    # Older torch has no `uuid`; then two processes on one device are found by NCCL only.
    uuid = getattr(torch.cuda.get_device_properties(index), "uuid", None)
    return None if uuid is None else f"GPU-{uuid}"


def version() -> str:
    """torch's."""
    return str(torch.__version__)


def default_backend(device: torch.device) -> str:
    """NCCL for CUDA devices, gloo without."""
    return "nccl" if device.type == "cuda" and dist.is_nccl_available() else "gloo"


def may_bind(device: torch.device, backend: str) -> bool:
    """Whether ``device_id`` is given to torch, so that NCCL starts at once and barriers know their device.

    It came with 2.3. In 2.6.0 and 2.7.0 it hangs now and then (pytorch issue 153960). With several backends it may
    drop the one for the CPU, and TORCH_DISTRIBUTED_DEBUG=DETAIL ignores it (pytorch issue 178977).
    """
    release = tuple(int(part) for part in torch.__version__.split("+")[0].split(".")[:2] if part.isdigit())
    patch = torch.__version__.split("+")[0].split(".")[2:3]
    hangs = release == (2, 6) or (release == (2, 7) and patch == ["0"])
    return device.type == "cuda" and backend == "nccl" and release >= (2, 3) and not hangs
