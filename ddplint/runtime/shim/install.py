"""All corrections, put in place: before torch is imported, or after."""

from __future__ import annotations

import sys
from typing import Any

from ddplint.runtime.shim import arguments, environ
from ddplint.runtime.shim.importing import after_import

_installed = False


def install() -> None:
    """Correct what this process does from here on; doing so twice changes nothing."""
    global _installed
    if _installed:
        return
    _installed = True
    environ.watch()
    arguments.patch()
    after_import("torch.utils.data.distributed", _patch_sampler)
    imported = "torch" in sys.modules
    after_import("torch", _patch_torch)
    if imported:
        _rebind()


_replaced: dict[int, Any] = {}


def _patch_torch() -> None:
    from ddplint.runtime.shim import devices, joining, spawning

    torch: Any = sys.modules["torch"]
    spawn = sys.modules["torch.multiprocessing.spawn"]
    before = _names(torch, spawn)
    devices.patch(torch)
    spawning.patch(spawn, torch.multiprocessing)
    if torch.distributed.is_available():
        joining.patch(torch.distributed)
    for old, new in zip(before, _names(torch, spawn), strict=True):
        if old is not new:
            _replaced[id(old)] = new


def _patch_sampler() -> None:
    from ddplint.runtime.shim import sampling

    sampling.patch(sys.modules["torch.utils.data.distributed"])


def _names(torch: Any, spawn: Any) -> list[Any]:
    found = [torch.cuda.set_device, spawn.start_processes]
    if torch.distributed.is_available():
        found.append(torch.distributed.init_process_group)
    return found


def _rebind() -> None:
    """A spawned process has imported the script before this: its ``from torch.distributed import ...`` must follow."""
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in ("torch", "ddplint") or not hasattr(module, "__dict__"):
            continue
        for key, value in list(vars(module).items()):
            new = _replaced.get(id(value))
            if new is not None:
                setattr(module, key, new)
