"""Who a process is in its job: every number with the variable that it came from, or with why nobody says it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any, Generic, TypeVar

T = TypeVar("T")

NOT_SAID = "the launcher does not say it"


class DetectionError(ValueError):
    """The environment does not say in one voice who this process is."""


@dataclass(frozen=True)
class Claim(Generic[T]):
    """What one variable says."""

    source: str
    value: T


@dataclass(frozen=True)
class Field(Generic[T]):
    """A value, the variable it came from and what other variables say; or no value, and the reason."""

    value: T | None = None
    source: str | None = None
    others: tuple[Claim[T], ...] = ()
    reason: str | None = None

    def __post_init__(self) -> None:
        if (self.value is None) != (self.source is None) or (self.value is None) != (self.reason is not None):
            raise ValueError(f"a field has a value with its source, or else a reason: {self}")

    @property
    def claims(self) -> tuple[Claim[T], ...]:
        """What all variables say, the one that counts first."""
        own = () if self.value is None or self.source is None else (Claim(self.source, self.value),)
        return own + self.others

    @property
    def disputed(self) -> bool:
        """Whether some variable says something else."""
        return any(claim.value != self.value for claim in self.others)


def said(source: str, value: T, *others: Claim[T]) -> Field[T]:
    return Field(value, source, others)


def unsaid(reason: str = NOT_SAID, *others: Claim[T]) -> Field[T]:
    return Field(None, None, others, reason)


@dataclass(frozen=True)
class Topology:
    """The place of one process among all of its job."""

    launcher: str
    rank: Field[int] = Field(reason=NOT_SAID)
    local_rank: Field[int] = Field(reason=NOT_SAID)
    node_rank: Field[int] = Field(reason=NOT_SAID)
    world_size: Field[int] = Field(reason=NOT_SAID)
    local_world_size: Field[int] = Field(reason=NOT_SAID)
    nnodes: Field[int] = Field(reason=NOT_SAID)
    # In the order of the node ranks, so that rank 0 is on the first.
    hosts: Field[tuple[str, ...]] = Field(reason=NOT_SAID)
    master_addr: Field[str] = Field(reason=NOT_SAID)
    master_port: Field[int] = Field(reason=NOT_SAID)
    # Launchers that started the program that started this process: torchrun under srun.
    inside: tuple[str, ...] = ()
    # What stands in the environment and yet does not count, and why: a batch script's SLURM_PROCID.
    notes: tuple[str, ...] = ()

    def fields(self) -> Iterator[tuple[str, Field[Any]]]:
        """The nine fields with their names."""
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, Field):
                yield field.name, value


def several_nodes(topology: Topology) -> bool:
    """Whether the processes are on more than one node, as far as the launcher says."""
    if topology.nnodes.value is not None:
        return topology.nnodes.value > 1
    here, world = topology.local_world_size.value, topology.world_size.value
    return here is not None and world is not None and here < world
