"""Start programs on simulated machines, watch them, and say what they did; in the end all of it is killed."""

from __future__ import annotations

import json
import select
import socket
import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from network import Machine, base_environment

# A right launch of four forked processes takes a second, one that imports torch four times takes ten; CI may be busy.
DEADLINE = 60.0
SLOW_DEADLINE = 180.0
# A launch in which nothing has happened for so long hangs. A collective takes a hundredth of a second in here, and
# torch's own limit is half an hour.
PATIENCE = 3.0


@dataclass(frozen=True)
class Command:
    """One program on one machine. With ``fork`` the words are those of Python, without ``python``."""

    machine: Machine
    words: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict)
    fork: bool = True
    # Its processes end with it, whatever sessions they lead. Slurm's daemons and mpirun look after their own.
    contain: bool = True
    # Seconds to end in before it is killed: srun and mpirun take their job along if they are asked, not if killed.
    patience: float = 0.0


@dataclass(frozen=True)
class Outcome:
    """What became of a launch. A status of None: it hung and was killed."""

    machines: tuple[str, ...]
    statuses: tuple[int | None, ...]
    output: str
    events: tuple[dict[str, Any], ...]
    # The models that rank 0 saved, as paths below the folder of the launch.
    written: tuple[str, ...]

    @property
    def hung(self) -> bool:
        return None in self.statuses

    @property
    def succeeded(self) -> bool:
        return all(status == 0 for status in self.statuses)

    def all(self, event: str) -> list[dict[str, Any]]:
        """The events of this kind, in the order of the machines and ranks."""
        found = [entry for entry in self.events if entry["event"] == event]
        return sorted(found, key=lambda entry: (entry["host"], entry.get("rank", entry.get("index"))))

    def ranks(self, event: str) -> list[tuple[str, int, int]]:
        """Host, rank and world size: what the processes claim ("init"), got ("joined"), and trained as ("report")."""
        return [(entry["host"], entry["rank"], entry["world_size"]) for entry in self.all(event)]


def launch(commands: Sequence[Command], folder: Path, claims: int = 0, deadline: float = DEADLINE) -> Outcome:
    """Start all commands at once, each in a folder of its own below ``folder``, and wait for them.

    With ``claims``, it is over as well once nothing has happened for a while, after so many processes have said their
    rank, or after one command has failed: the rest hangs.
    """
    records = folder / "records"
    records.mkdir(parents=True)
    with ExitStack() as stack:
        connections = [stack.enter_context(started(command, number, folder)) for number, command in enumerate(commands)]
        statuses = watch(connections, records, claims, deadline)
    outputs = (
        f"--- {command.machine.name}, status {status}\n" + text(folder / command.machine.name / f"output-{number}")
        for number, (command, status) in enumerate(zip(commands, statuses, strict=True))
    )
    models = sorted(str(path.relative_to(folder)) for path in folder.rglob("*.pt"))
    machines = tuple(command.machine.name for command in commands)
    return Outcome(machines, tuple(statuses), "".join(outputs), tuple(read(records)), tuple(models))


def started(command: Command, number: int, folder: Path) -> socket.socket:
    """The connection that says when it ends, and that kills it by being closed."""
    here = folder / command.machine.name
    (here / "tmp").mkdir(parents=True, exist_ok=True)
    own = {
        "TMPDIR": str(here / "tmp"),
        "STANDIN_RECORDS": str(folder / "records"),
        "STANDIN_FORK": str(int(command.fork)),
    }
    order = {
        "words": command.words,
        "environment": base_environment() | own | command.environment,
        "folder": str(here),
        "fork": command.fork,
        "contain": command.contain,
        "patience": command.patience,
    }
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(str(command.machine.socket))
    with open("/dev/null") as nothing, (here / f"output-{number}").open("w") as output:
        channels = [nothing.fileno(), output.fileno(), output.fileno()]
        socket.send_fds(connection, [json.dumps(order).encode() + b"\n"], channels)
    return connection


def watch(connections: list[socket.socket], records: Path, claims: int, deadline: float) -> list[int | None]:
    """The exit statuses; None for what did not end."""
    statuses: list[int | None] = [None] * len(connections)
    waiting = dict(zip(connections, range(len(connections)), strict=True))
    end = time.monotonic() + deadline
    seen, changed = 0, time.monotonic()
    while waiting and time.monotonic() < end:
        ended, _, _ = select.select(list(waiting), [], [], 0.05)
        for connection in ended:
            statuses[waiting.pop(connection)] = int(connection.recv(64) or b"1")
        events = read(records)
        if ended or len(events) != seen:
            seen, changed = len(events), time.monotonic()
        enough = sum(event["event"] == "init" for event in events) >= claims or any(statuses)
        if claims and enough and time.monotonic() - changed > PATIENCE:
            break
    for connection in waiting:
        kill(connection)
    return statuses


def kill(connection: socket.socket) -> None:
    """End what was started for this connection, and wait until it is gone."""
    connection.shutdown(socket.SHUT_WR)
    connection.recv(64)


def read(records: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for path in sorted(records.iterdir()) for line in whole_lines(path)]


def whole_lines(path: Path) -> Iterable[str]:
    """A process may be writing its last line just now."""
    return (line for line in text(path).splitlines(keepends=True) if line.endswith("\n"))


def text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")
