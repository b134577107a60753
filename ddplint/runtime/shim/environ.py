"""``os.environ`` that keeps what the launcher said, whatever the script writes over it."""

from __future__ import annotations

import os

from ddplint.runtime.meeting import AGREED, TORCH_NAMES, exported, loopback, same_host
from ddplint.runtime.shim.session import Session, current
from ddplint.runtime.topology import several_nodes

RULES = {
    "RANK": "DDP101",
    "WORLD_SIZE": "DDP102",
    "LOCAL_RANK": "DDP109",
    "LOCAL_WORLD_SIZE": "DDP105",
    "MASTER_ADDR": "DDP103",
    "MASTER_PORT": "DDP107",
}


class Watched(os._Environ):  # type: ignore[type-arg]
    """The class that ``os.environ`` gets while a script runs; only assignment differs."""

    def __setitem__(self, key: str, value: str) -> None:
        session = current()
        if session is None or not session.launched or key not in RULES or _counts(session, key, value):
            super().__setitem__(key, value)


def _counts(session: Session, key: str, value: str) -> bool:
    """Whether the script's value is stored: it is the launcher's, or the launcher has none."""
    known = exported(session.topology).get(key)
    if value == known or type(value) is not str:
        return True
    if known is None:
        if key == "MASTER_ADDR" and several_nodes(session.topology) and loopback(value):
            return not session.overrule(f"MASTER_ADDR={value} leads every node to itself", "DDP103")
        return True
    source = dict(session.topology.fields())[TORCH_NAMES[key]].source
    if key == "MASTER_ADDR" and (same_host(value, known) or not (is_variable(source) or loopback(value))):
        # Where no variable says an address, the script's is better than the first host of a list.
        return True
    if key == "LOCAL_RANK" and value == "0" and len(os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")) == 1:
        return "CUDA_VISIBLE_DEVICES" in os.environ
    if source == AGREED:
        # Nobody has chosen a port before: the script's is as good, but need not be the same in every process.
        return not session.options.correct
    return not session.overrule(f"{key}={value} is overruled by {known} ({source})", RULES[key])


def is_variable(source: str | None) -> bool:
    """Whether a value comes from a variable as it is, and not from something that was worked out."""
    return bool(source) and str(source).isidentifier()


def watch() -> None:
    """Watch assignments to ``os.environ`` from here on."""
    os.environ.__class__ = Watched
