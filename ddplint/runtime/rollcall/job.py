"""What tells one job from another on the same port."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Job:
    """The secret that all processes of one job share, and a public name of it: ``Slurm job 12 step 0``."""

    # It authenticates every message, so no text ever shows it.
    key: bytes = field(repr=False)
    label: str
