"""Who does what: rank 0 alone, the first process of a node, or one before the others."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch.distributed as dist

from ddplint.runtime.detection import detect
from ddplint.runtime.files import file_text
from ddplint.runtime.launchers import torchelastic
from ddplint.runtime.process_group import group
from ddplint.runtime.process_group.stores import default_store


def local_rank() -> int:
    """The index of this process on its node: 0 where nothing was launched."""
    if (process := group.current()) is not None:
        return process.local_rank
    return detect(os.environ, file_text).local_rank.value or 0


def is_main_process(local: bool = False) -> bool:
    """Whether this is rank 0; with ``local``, the first process of its node."""
    if local:
        return _index_on_node() == 0
    if dist.is_available() and dist.is_initialized():
        return bool(dist.get_rank() == 0)
    return detect(os.environ, file_text).rank.value in (0, None)


def _index_on_node() -> int:
    """The local rank, also under ``torchrun --virtual-local-rank``, where LOCAL_RANK is 0 everywhere."""
    process = group.current()
    topology = detect(os.environ, file_text) if process is None else process.topology
    rank, node, size = topology.rank.value, topology.node_rank.value, topology.local_world_size.value
    nodes, world = topology.nnodes.value, topology.world_size.value
    if topology.local_rank.value:
        return topology.local_rank.value
    if topology.launcher != torchelastic.NAME or rank is None or node is None or size is None or nodes is None:
        return 0
    # Of nodes with different numbers of processes the first rank is not known.
    if world == nodes * size:
        index = rank - node * size
        return index if 0 <= index < size else 0
    return 0


def print_on_main(*values: object, **options: Any) -> None:
    """``print`` in rank 0 only."""
    if is_main_process():
        print(*values, **{"flush": True, **options})


_turns = 0


@contextmanager
def main_process_first(local: bool = False, timeout: timedelta | None = None) -> Iterator[None]:
    """Rank 0 goes through the block first, the others after it: for downloads and caches.

    No collective is used, so a block that takes long hurts nobody's watchdog. If rank 0 fails in the block the others
    stop with an error.

    Args:
        local: the first process of every node, for what is stored on the node's own disk.
        timeout: how long the others wait; default: torch's for collectives.
    """
    global _turns
    if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1:
        yield
        return
    _turns += 1
    store = default_store()
    process = group.current()
    node = process.topology.node_rank.value if process is not None and local else None
    where = f"/{socket.gethostname()}" if local and node is None else f"/{node}" if local else ""
    name = f"ddplint/main_process_first/{_turns}{where}"
    if is_main_process(local):
        outcome = "failed"
        try:
            yield
            outcome = "done"
        finally:
            store.set(name, outcome)
        return
    store.wait([name], timeout or (group.default_timeout(str(dist.get_backend()))))
    if store.get(name) != b"done":
        raise RuntimeError("the main process failed in a block of main_process_first")
    yield
