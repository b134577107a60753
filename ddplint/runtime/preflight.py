"""``ddplint preflight``: the roll-call alone, under the job's own launcher."""

from __future__ import annotations

import argparse
import os
import socket
import sys
from collections.abc import Callable, Sequence

from ddplint.runtime.detection import detect
from ddplint.runtime.equipment import Equipment
from ddplint.runtime.files import file_text
from ddplint.runtime.launchers import BY_NAME
from ddplint.runtime.meeting import Reported, attendance, check_place, located, meet, own_problems, seconds
from ddplint.runtime.problem import Problem, StartError
from ddplint.runtime.rollcall import Attendance
from ddplint.runtime.topology import DetectionError, Topology


def add_arguments(command: argparse.ArgumentParser) -> None:
    """The options of ``ddplint preflight``."""
    command.add_argument("--launcher", choices=BY_NAME, metavar="NAME", help=f"believe this one: {', '.join(BY_NAME)}")


Show = Callable[[Sequence[Attendance], Sequence[Problem]], None]


def main(launcher: str | None, show: Show) -> int:
    """Call the roll; rank 0 shows who is there, every process says what is wrong. 1 if a start would fail."""
    try:
        topology = detect(os.environ, file_text, launcher)
        check_place(topology, os.environ)
        present, warnings = _called(topology)
    except (DetectionError, StartError) as error:
        print(f"ddplint preflight: {error}", file=sys.stderr, flush=True)
        return 1
    if topology.rank.value == 0:
        show(present, warnings)
    rank, world = topology.rank.value, topology.world_size.value
    print(f"ddplint preflight: rank {rank} of {world} on {socket.gethostname()}: all {world} are there", flush=True)
    return 0


def _called(topology: Topology) -> tuple[Sequence[Attendance], Sequence[Problem]]:
    limit = seconds(os.environ)
    reported = _reported(topology)
    if topology.world_size.value == 1 and topology.rank.value == 0:
        own = attendance(topology, os.environ, reported)
        wrong = list(own_problems(topology, os.environ, reported))
        if wrong:
            raise StartError(wrong)
        return [own], []
    found = located(topology, os.environ, limit)
    try:
        from ddplint.runtime import process_group
    except ImportError:
        # Without torch nobody else can listen at the port either.
        pass
    else:
        verdict = process_group.agent_roll_call(found, reported, limit)
        if verdict is not None:
            return verdict.present, verdict.problems
    meeting = meet(found, os.environ, reported, limit, lambda text: print(f"ddplint: {text}", file=sys.stderr))
    if meeting.listener is not None:
        meeting.listener.close()
    return meeting.verdict.present, meeting.verdict.problems


def _reported(topology: Topology) -> Reported:
    """What this process has, and why it cannot use it; without torch, its Python alone."""
    try:
        from ddplint.runtime import process_group
    except ImportError:
        return Reported(Equipment(versions={"python": ".".join(map(str, sys.version_info[:3]))}))
    device, wrong = process_group.pinned(topology, None)
    backend = process_group.default_backend(device)
    return Reported(process_group.equipment(device, backend), problems=wrong)
