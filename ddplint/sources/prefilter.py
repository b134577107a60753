"""Which files can hold a distributed problem: a few searches over the raw bytes.

It decides the price of a run over a tree without distributed code, where every needle costs about a tenth of reading
the tree, and a compiled alternation of all of them ten times as much. So the list for files that never say "torch" is
as short as it can be; files that do say it are rarer and are asked generously. A wrong yes costs one parse; a wrong no
loses findings. A helper module that is skipped here is still read when a script that is not skipped imports it.
"""

from __future__ import annotations

import re

# Without torch in the file: what configures torch from outside (options, launch wrappers, the environment), and
# comments that suppress findings, which must be seen to be called unused.
_WITHOUT_TORCH = (
    b"ddplint",
    b"MASTER_",
    b"WORLD_SIZE",
    b"local_rank",
)

# "distributed" by itself is in the Apache licence header of every second file, hence its neighbours.
_WITH_TORCH = (
    b"torch.distributed",
    b"rank",
    b"RANK",
    b"world_size",
    b"DataParallel",
    b"Distributed",
    b"import distributed",
    b", distributed",
    b"_distributed",
    b"distributed_",
    b"distributed.",
    b".distributed",
    b"process_group",
    b"multiprocessing",
    b"spawn",
    b"set_device",
    b"device_index",
    b"ddp",
    b"fsdp",
    b"FSDP",
    b"fully_shard",
    b"NCCL_",
    b"nccl",
    b"SLURM_",
    b"CUDA_VISIBLE_DEVICES",
    b"ccelerat",
    b"deepspeed",
    b"horovod",
)


_SUPPRESSION = re.compile("ddplint|noqa", re.IGNORECASE)


def mentions_distributed(data: bytes) -> bool:
    """Whether a file has anything to do with ddplint. Generous: a yes only means that it is worth parsing.

    Also yes for bytes that the searches cannot see into (a NUL: binary, or UTF-16), so that they are reported.
    """
    if b"torch" in data:
        return any(needle in data for needle in _WITH_TORCH) or _beyond_torch(data)
    return _beyond_torch(data)


def may_suppress(text: str) -> bool:
    """Whether a text can hold a comment that suppresses findings; most files have none."""
    return _SUPPRESSION.search(text) is not None


def _beyond_torch(data: bytes) -> bool:
    for needle in _WITHOUT_TORCH:
        if needle in data:
            return True
    # b"DDP" is for "noqa: DDP101"; the NUL search is nearly free.
    return b"DDP" in data or b"\0" in data
