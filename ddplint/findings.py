"""What a rule reports: plain frozen data, with no behaviour beyond their own."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from ddplint.severity import Severity


class Applicability(enum.Enum):
    """Whether a fix may be applied without a look (``safe``), with one (``unsafe``), or never (``display``)."""

    SAFE = "safe"
    UNSAFE = "unsafe"
    DISPLAY = "display"


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A place in a file. ``line`` and ``column`` are 1-based; columns count characters, not bytes."""

    line: int
    column: int


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A stretch of a file; ``end`` is the first position that is no longer part of it."""

    start: Position
    end: Position


@dataclass(frozen=True, slots=True)
class Note:
    """A second place that explains a finding, such as where its value came from."""

    message: str
    path: str
    line: int


@dataclass(frozen=True, slots=True)
class Process:
    """One process of a counterexample, and what the script gives it (None: not known or not asked)."""

    node: int
    local_rank: int
    rank: int | None = None
    world_size: int | None = None
    device: int | None = None
    master_addr: str | None = None
    trouble: str | None = None


@dataclass(frozen=True, slots=True)
class Counterexample:
    """The first topology (``nnodes`` machines, ``nproc_per_node`` processes on each) on which a script fails."""

    nnodes: int
    nproc_per_node: int
    processes: tuple[Process, ...]
    summary: str


@dataclass(frozen=True, slots=True)
class Edit:
    """Replace the text of ``span`` by ``text``; an empty span inserts. ``path`` None: in the file of the finding."""

    span: Span
    text: str
    path: str | None = None


@dataclass(frozen=True, slots=True)
class Fix:
    """A repair: edits that are applied together or not at all."""

    applicability: Applicability
    title: str
    edits: tuple[Edit, ...]


@dataclass(frozen=True, slots=True)
class Finding:
    """One problem at one place.

    ``message`` is one sentence that names the value at fault and the consequence; ``help`` is the line
    that says what to write instead. ``path`` is relative to the working directory, with ``/``.
    """

    code: str
    name: str
    severity: Severity
    message: str
    path: str
    span: Span
    help: str | None = None
    notes: tuple[Note, ...] = ()
    counterexample: Counterexample | None = None
    fix: Fix | None = None
    cell: int | None = None
    suppressed: bool = False


@dataclass(frozen=True, slots=True)
class InternalError:
    """A fault of ddplint's own: which file, which rule (``DDPnnn``, None outside the rules), and the traceback."""

    path: str
    rule: str | None
    error: str
    traceback: str = field(repr=False, default="")


__all__ = [
    "Applicability",
    "Counterexample",
    "Edit",
    "Finding",
    "Fix",
    "InternalError",
    "Note",
    "Position",
    "Process",
    "Severity",
    "Span",
]
