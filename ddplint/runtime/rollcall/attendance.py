"""What one process says of itself, and the strict reading of it: a report comes from the network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

MOST_RANK = 1 << 24
MOST_PID = 1 << 32
MOST_NAME = 256
MOST_COMMAND = 2048
MOST_PROBLEM = 4096
MOST_PROBLEMS = 8
MOST_HOSTS = 1 << 14
MOST_DEVICES = 256
MOST_ADDRESSES = 64
MOST_ENTRIES = 16
# What a text of several lines may have beside printable signs.
BREAKS = "\n\t"


class AttendanceError(ValueError):
    """A report that no process of this package writes."""


def plain(text: str, most: int, breaks: str = "") -> str:
    """At most so many characters of a text, without what could steer a terminal or cannot be printed."""
    if len(text) > most:
        text = text[: max(0, most - 3)] + "..."[: max(0, most)]
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() or sign in breaks else "?" for sign in text)


@dataclass(frozen=True)
class Attendance:
    """What one process says of itself."""

    rank: int
    world_size: int
    host: str
    pid: int
    launcher: str
    local_rank: int | None = None
    node_rank: int | None = None
    local_world_size: int | None = None
    nnodes: int | None = None
    # The variable that each number came from: "rank" -> "SLURM_PROCID".
    sources: Mapping[str, str] = field(default_factory=dict)
    # The launcher's list, the host of rank 0 first.
    hosts: tuple[str, ...] = ()
    hosts_source: str | None = None
    # Ids of the visible GPUs, and the one that this process will use.
    devices: tuple[str, ...] = ()
    device: str | None = None
    # Of "torch", "nccl", "cuda" and "python".
    versions: Mapping[str, str] = field(default_factory=dict)
    # The master address as written, and what it resolves to in this process.
    master: str = ""
    resolved: tuple[str, ...] = ()
    # The script and its arguments, without what differs between ranks.
    command: str = ""
    # The process that spawned this one with multiprocessing.
    spawner: int | None = None
    # Why this process cannot start, whatever the others say: texts of three lines.
    problems: tuple[str, ...] = ()

    def to_json(self) -> dict[str, object]:
        """The form that `from_json` accepts; longer texts and lists are cut, numbers stand as they are."""
        return {
            "rank": self.rank,
            "world_size": self.world_size,
            "host": plain(self.host, MOST_NAME),
            "pid": self.pid,
            "launcher": plain(self.launcher, MOST_NAME),
            "local_rank": self.local_rank,
            "node_rank": self.node_rank,
            "local_world_size": self.local_world_size,
            "nnodes": self.nnodes,
            "sources": _cut_entries(self.sources),
            "hosts": _cut(self.hosts, MOST_HOSTS),
            "hosts_source": None if self.hosts_source is None else plain(self.hosts_source, MOST_NAME),
            "devices": _cut(self.devices, MOST_DEVICES),
            "device": None if self.device is None else plain(self.device, MOST_NAME),
            "versions": _cut_entries(self.versions),
            "master": plain(self.master, MOST_NAME),
            "resolved": _cut(self.resolved, MOST_ADDRESSES),
            "command": plain(self.command, MOST_COMMAND),
            "spawner": self.spawner,
            "problems": _cut(self.problems, MOST_PROBLEMS, MOST_PROBLEM, BREAKS),
        }

    @classmethod
    def from_json(cls, data: object) -> Attendance:
        """Read a report; anything but what `to_json` writes is an `AttendanceError`, unknown keys are left out."""
        if not isinstance(data, Mapping):
            raise AttendanceError("a report is an object")
        return cls(
            rank=_number(data, "rank"),
            world_size=_number(data, "world_size"),
            host=_text(data, "host"),
            pid=_number(data, "pid", MOST_PID),
            launcher=_text(data, "launcher"),
            local_rank=_number_or_none(data, "local_rank"),
            node_rank=_number_or_none(data, "node_rank"),
            local_world_size=_number_or_none(data, "local_world_size"),
            nnodes=_number_or_none(data, "nnodes"),
            sources=_entries(data, "sources"),
            hosts=_texts(data, "hosts", MOST_HOSTS),
            hosts_source=_text_or_none(data, "hosts_source"),
            devices=_texts(data, "devices", MOST_DEVICES),
            device=_text_or_none(data, "device"),
            versions=_entries(data, "versions"),
            master=_text(data, "master", default=""),
            resolved=_texts(data, "resolved", MOST_ADDRESSES),
            command=_text(data, "command", MOST_COMMAND, default=""),
            spawner=_number_or_none(data, "spawner", MOST_PID),
            problems=_texts(data, "problems", MOST_PROBLEMS, MOST_PROBLEM, BREAKS),
        )


def without_lists(attendance: Attendance) -> Attendance:
    """A report that fits into a frame whatever it says: rank 0 has the launcher's list of hosts as well."""
    return replace(
        attendance,
        hosts=(),
        sources={plain(name, 64): plain(source, 64) for name, source in attendance.sources.items()},
        versions={plain(name, 64): plain(version, 64) for name, version in attendance.versions.items()},
        devices=attendance.devices[:8],
        resolved=attendance.resolved[:8],
        command=plain(attendance.command, 512),
        problems=tuple(plain(text, 1024, BREAKS) for text in attendance.problems[:4]),
    )


def _cut(texts: tuple[str, ...], most: int, length: int = MOST_NAME, breaks: str = "") -> list[str]:
    return [plain(text, length, breaks) for text in texts[:most]]


def _cut_entries(entries: Mapping[str, str]) -> dict[str, str]:
    return {plain(key, MOST_NAME): plain(entries[key], MOST_NAME) for key in list(entries)[:MOST_ENTRIES]}


def _number(data: Mapping[object, object], name: str, most: int = MOST_RANK) -> int:
    value = data.get(name)
    # True is an int as well, and no rank.
    if type(value) is not int or not 0 <= value < most:
        raise AttendanceError(f"{name} is a number from 0 to {most - 1}")
    return value


def _number_or_none(data: Mapping[object, object], name: str, most: int = MOST_RANK) -> int | None:
    return None if data.get(name) is None else _number(data, name, most)


def _checked(value: object, name: str, most: int, breaks: str = "") -> str:
    if not isinstance(value, str) or len(value) > most:
        raise AttendanceError(f"{name} is a text of at most {most} characters")
    return plain(value, most, breaks)


def _text(data: Mapping[object, object], name: str, most: int = MOST_NAME, default: str | None = None) -> str:
    return _checked(data.get(name, default), name, most)


def _text_or_none(data: Mapping[object, object], name: str) -> str | None:
    return None if data.get(name) is None else _text(data, name)


def _texts(
    data: Mapping[object, object], name: str, most: int, length: int = MOST_NAME, breaks: str = ""
) -> tuple[str, ...]:
    value = data.get(name, [])
    if not isinstance(value, list) or len(value) > most:
        raise AttendanceError(f"{name} is a list of at most {most} texts")
    return tuple(_checked(item, name, length, breaks) for item in value)


def _entries(data: Mapping[object, object], name: str) -> dict[str, str]:
    value = data.get(name, {})
    if not isinstance(value, Mapping) or len(value) > MOST_ENTRIES:
        raise AttendanceError(f"{name} are at most {MOST_ENTRIES} texts with names")
    return {_checked(key, name, MOST_NAME): _checked(item, name, MOST_NAME) for key, item in value.items()}
