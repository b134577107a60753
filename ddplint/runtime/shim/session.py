"""One run of a script under ``ddplint run``: who this process is, what may be corrected, and what was."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ddplint.runtime.detection import detect
from ddplint.runtime.files import file_text
from ddplint.runtime.launchers import plain
from ddplint.runtime.meeting import AGREED, agreed_port, exported
from ddplint.runtime.problem import ERROR, Problem
from ddplint.runtime.shim.corrections import Correction, place
from ddplint.runtime.topology import Topology


@dataclass(frozen=True)
class Options:
    """What the user asked of ``ddplint run``."""

    correct: bool = True
    roll_call: bool = True
    launcher: str | None = None


@dataclass
class Session:
    """The state of a run in this process; one exists while a script runs."""

    topology: Topology
    options: Options
    command: Sequence[str]
    # A fork of this process that is no worker of ours speaks for itself.
    pid: int = field(default_factory=os.getpid)
    corrections: list[Correction] = field(default_factory=list)
    # Once the group is formed: where all processes can see what was logged already.
    store: Any = None
    # What the script gave to init_process_group and does not count.
    claims: dict[str, int] = field(default_factory=dict)
    # Devices that the script takes for its own, and the one it has.
    believed: dict[int, int] = field(default_factory=dict)
    device_chosen: bool = False

    @property
    def launched(self) -> bool:
        """Whether a launcher says who this process is, so that there is something to correct."""
        return self.topology.launcher != plain.NAME and os.getpid() == self.pid

    def overrule(self, text: str, rule: str, where: str | None = None) -> bool:
        """Note that a value of the script does not count; whether it is to be replaced.

        Where the script is only checked the note becomes a reason not to start.
        """
        correction = Correction(where or place(), text, rule)
        if correction not in self.corrections:
            self.corrections.append(correction)
            if self.store is not None:
                self._tell_late(correction)
        return self.options.correct

    def problems(self) -> tuple[Problem, ...]:
        """Why a script that is only checked cannot start."""
        if self.options.correct:
            return ()
        return tuple(
            Problem(
                ERROR,
                f"{one.place}: {one.text}",
                "what the launcher says counts",
                f"correct the line (ddplint rule {one.rule}), or let ddplint run correct it: leave --no-correct out",
            )
            for one in self.corrections
        )

    def tell(self, store: Any, rank: int, world_size: int) -> None:
        """Log the corrections of all processes, each once, in rank 0. Called in every process when the group stands."""
        self.store = store
        mine = json.dumps([one.as_json() for one in self.corrections])
        store.set(f"ddplint/corrections/{rank}", mine)
        if rank == 0:
            told: set[tuple[str, str]] = set()
            for other in range(world_size):
                for entry in json.loads(store.get(f"ddplint/corrections/{other}")):
                    correction = Correction(**entry)
                    if (correction.place, correction.rule) not in told:
                        told.add((correction.place, correction.rule))
                        log(correction, other)
                        store.add(_told(correction), 1)

    def _tell_late(self, correction: Correction) -> None:
        """After the start the first process that sees it says it."""
        try:
            first = self.store.add(_told(correction), 1) == 1
        except RuntimeError:
            # Rank 0 has ended, and its store with it.
            self.store, first = None, True
        if first:
            log(correction, self.topology.rank.value or 0)


def _told(correction: Correction) -> str:
    return f"ddplint/told/{correction.place}/{correction.rule}"


def log(correction: Correction, rank: int) -> None:
    who = f"rank {rank}: " if rank else ""
    print(f"ddplint run: {who}{correction}", file=sys.stderr, flush=True)


_session: Session | None = None


def current() -> Session | None:
    """The session of this process, if a script runs in it."""
    return _session


def begin(options: Options, command: Sequence[str], topology: Topology | None = None) -> Session:
    """Start the session of this process: find out who it is, and give the script the names of torch.

    Raises:
        DetectionError: the environment contradicts itself.
    """
    global _session
    found = topology or with_port(detect(os.environ, file_text, options.launcher))
    _session = Session(found, options, command)
    if _session.launched and options.correct:
        os.environ.update(exported(found))
    return _session


def with_port(topology: Topology) -> Topology:
    """The topology with the port that all processes can work out, where nobody has chosen one."""
    if topology.master_port.value is None and topology.launcher != plain.NAME:
        port = agreed_port(topology, os.environ)
        if port.source == AGREED:
            return replace(topology, master_port=port)
    return topology
