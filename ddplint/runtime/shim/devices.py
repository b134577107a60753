"""``set_device`` with the global rank, which is no device of this node; and the uses of it that follow."""

from __future__ import annotations

import functools
from typing import Any

from ddplint.runtime.devices import NoDevice, device_index
from ddplint.runtime.shim.session import Session, current

_FACTORIES = ("tensor", "as_tensor", "zeros", "ones", "empty", "full", "rand", "randn", "randint", "arange", "linspace")


def patch(torch: Any) -> None:
    """Correct what makes a device the current one."""
    for module, name in ((torch.cuda, "set_device"), (getattr(torch, "accelerator", None), "set_device_index")):
        original = getattr(module, name, None)
        if original is not None:
            setattr(module, name, _choosing(torch, original))


def _choosing(torch: Any, original: Any) -> Any:
    @functools.wraps(original)
    def set_device(device: Any) -> None:
        session = current()
        index = _index(torch, device)
        if session is None or not session.launched or index is None:
            original(device)
            return
        own = _own(session, torch.cuda.device_count(), index)
        if own != index and session.overrule(
            f"set_device({index}) is not this process's device, which is {own} of {torch.cuda.device_count()}",
            "DDP109",
        ):
            if not session.believed:
                _translate_from_now_on(torch)
            session.believed[index] = own
            device = own
        session.device_chosen = True
        original(device)

    return set_device


def _index(torch: Any, device: Any) -> int | None:
    """The CUDA device that is meant; None: the current one, or none at all."""
    if isinstance(device, str):
        try:
            device = torch.device(device)
        except RuntimeError:
            return None
    if isinstance(device, int) and not isinstance(device, bool):
        return device if device >= 0 else None
    return device.index if isinstance(device, torch.device) and device.type == "cuda" else None


def _own(session: Session, visible: int, wanted: int) -> int:
    """The device that counts: any that exists; a script may visit them all."""
    if 0 <= wanted < visible:
        return wanted
    try:
        return device_index(session.topology, visible)
    except NoDevice:
        return wanted


def _translate_from_now_on(torch: Any) -> None:
    """The script takes a wrong number for its device, and will use it elsewhere: correct that as well.

    Only from the first wrong `set_device` on, so that no right script pays for it.
    """
    for owner, name in (
        (torch.Tensor, "to"),
        (torch.Tensor, "cuda"),
        (torch.nn.Module, "to"),
        (torch.nn.Module, "cuda"),
        *((torch, factory) for factory in _FACTORIES),
    ):
        setattr(owner, name, _translating(torch, getattr(owner, name)))
    wrapped = torch.nn.parallel.DistributedDataParallel
    init = wrapped.__init__

    @functools.wraps(init)
    def __init__(self: Any, module: Any, device_ids: Any = None, output_device: Any = None, **kwargs: Any) -> None:
        ids = None if device_ids is None else [_right(torch, device) for device in device_ids]
        init(self, module, device_ids=ids, output_device=_right(torch, output_device), **kwargs)

    wrapped.__init__ = __init__


def _translating(torch: Any, original: Any) -> Any:
    # `to`, `cuda`: the device comes first, after the object; elsewhere it is a keyword.
    first = 1 if original.__name__ in ("to", "cuda") else None

    @functools.wraps(original)
    def call(*args: Any, **kwargs: Any) -> Any:
        if first is not None and len(args) > first:
            args = (*args[:first], _right(torch, args[first]), *args[first + 1 :])
        if "device" in kwargs:
            kwargs["device"] = _right(torch, kwargs["device"])
        return original(*args, **kwargs)

    return call


def _right(torch: Any, device: Any) -> Any:
    session = current()
    if session is None or not isinstance(device, (int, str, torch.device)):
        return device
    index = _index(torch, device)
    own = session.believed.get(index) if index is not None else None
    return device if own is None else torch.device("cuda", own)
