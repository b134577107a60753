"""What the tests of ``ddplint run`` share: the environment of a process, and how it ended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

# A process of two, by hand: rank 1, the second of its node.
SECOND_OF_TWO = {
    "RANK": "1",
    "WORLD_SIZE": "2",
    "LOCAL_RANK": "1",
    "LOCAL_WORLD_SIZE": "2",
    "MASTER_ADDR": "node0",
    "MASTER_PORT": "29511",
}


@dataclass(frozen=True)
class Done:
    """What a script printed, and how it ended."""

    code: int
    out: str
    err: str


Run = Callable[..., Done]
