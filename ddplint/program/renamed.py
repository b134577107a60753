"""Environment variables that torch has renamed: who sets the old name relies on a fallback."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from ddplint.program.events import Event
from ddplint.program.program import Program

# torch 2.13, torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp: these have two names there, the old one is deprecated.
# NCCL's own variables (NCCL_DEBUG, NCCL_SOCKET_IFNAME, NCCL_IB_...) keep theirs.
RENAMED: Mapping[str, str] = {
    f"NCCL_{name}": f"TORCH_NCCL_{name}"
    for name in ("ASYNC_ERROR_HANDLING", "BLOCKING_WAIT", "DESYNC_DEBUG", "ENABLE_TIMING")
}


def renamed(program: Program) -> Iterator[Event]:
    """Writes to ``os.environ`` under an old name, each once."""
    seen: set[int] = set()
    target = program.project.settings.target_torch
    if target is not None and tuple(map(int, re.findall(r"\d+", target)[:2])) < (2, 2):
        return  # it knows the old names only
    for event in program.events("store"):
        if event.name in RENAMED and id(event.node) not in seen:
            seen.add(id(event.node))
            yield event
