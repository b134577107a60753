"""What a process has to compute with, as far as the others must know it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Equipment:
    """The devices that a process sees, the one that it uses, and the versions of what it runs."""

    # None: nobody has looked.
    count: int | None = None
    # UUIDs, which are the same in every process of a host, whatever CUDA_VISIBLE_DEVICES hides.
    ids: tuple[str, ...] = ()
    id: str | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
