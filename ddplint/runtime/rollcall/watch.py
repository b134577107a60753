"""After the start of a job that nothing names: whoever comes late with one of its ranks ends it.

Two such jobs with one command, address and port are one for the roll-call. If rank 0 of one and rank 1 of the other are
the first, and alone for a moment, they start. But the rest of both is on its way, because both jobs are being started,
and finds the ranks taken. So for as long as a process waits for the others, all that have started keep the connection
on which they heard the verdict, and rank 0 listens at a second port, which the late ones learn from its store.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Sequence

from ddplint.runtime.ports import listen
from ddplint.runtime.problem import ERROR, Problem
from ddplint.runtime.rollcall import client, naming, server, verdict, wire
from ddplint.runtime.rollcall.attendance import Attendance, AttendanceError

# After the first others that are late get this long, so that they are named and hear why.
GRACE = 0.5
# For a verdict that is on its way when the time is over.
MARGIN = 5.0
# Connections of late ones and of strangers.
MOST_VISITORS = 64

Announce = Callable[[tuple[Problem, ...]], None]
Over = Callable[[], bool]


class AtTheDoor:
    """Rank 0's side."""

    def __init__(self, kept: server.Kept) -> None:
        self._kept = kept
        self._door: socket.socket | None = None

    def open(self) -> int:
        """Listen for those who come late; the port.

        Raises:
            OSError: no port or no file is left.
        """
        self._door = listen(0)
        self._door.setblocking(False)
        return int(self._door.getsockname()[1])

    def close(self) -> None:
        """Wait for nobody."""
        self._kept.close()
        if self._door is not None:
            self._door.close()

    def stand(self, announce: Announce, over: Over) -> None:
        """Wait for those who come late, and tell all processes of the job, this one first.

        It ends when its time is over, or when a process of the job has ended: who comes then may be its successor.
        Who comes when the training is over ends nothing.
        """
        room = None
        try:
            if self._door is not None:
                visitors = self._kept.visitors
                late = Latecomers(self._kept.present, len(visitors), self._kept.seconds, time.monotonic(), over)
                room = server.Room(self._kept.job, self._door, len(visitors) + MOST_VISITORS, late)
                room.adopt(visitors)
                room.hold(lambda text: None, first=announce)
        except (OSError, ValueError):
            # The network's, and no reason to stop a training.
            pass
        finally:
            if room is not None:
                room.close()
            self.close()


class Inside:
    """The side of all others."""

    def __init__(self, kept: client.Kept) -> None:
        self._kept = kept

    def close(self) -> None:
        """Rank 0 then waits for nobody."""
        self._kept.close()

    def stand(self, announce: Announce, over: Over) -> None:
        """Wait until rank 0 says that somebody came late, or that its time is over, or nothing any more."""
        kept = self._kept
        try:
            message = kept.line.next(time.monotonic() + kept.seconds + MARGIN)
            if message is not None:
                reply = wire.read_reply(kept.job, message, kept.server, kept.client)
                announce(verdict.from_json(reply.get("problems")))
        except (OSError, wire.WireError, AttendanceError):
            pass
        finally:
            self.close()


class Latecomers:
    """Collects those who come late, and says when the job is to end; the caller owns the clock."""

    def __init__(self, members: Sequence[Attendance], connected: int, seconds: float, now: float, over: Over) -> None:
        self._members = members
        self._connected = connected
        self._start = now
        self._until = now + seconds
        self._late: list[tuple[Attendance, float]] = []
        self._left = False
        self._over = over
        self.crowded: int | None = None

    @property
    def present(self) -> tuple[Attendance, ...]:
        """Those who came late."""
        return tuple(one for one, _ in self._late)

    @property
    def full(self) -> bool:
        return len(self._late) >= MOST_VISITORS

    def come(self, attendance: Attendance, now: float, patience: float | None = None) -> int | None:
        """The number of one that has a rank of this job; None for one of another job, or that a member has started."""
        first = self._members[0]
        if (attendance.world_size, attendance.command) != (first.world_size, first.command):
            return None
        if attendance.rank >= first.world_size or self._is_a_child(attendance) or self._over():
            return None
        self._late.append((attendance, now))
        return self._connected + len(self._late) - 1

    def _is_a_child(self, attendance: Attendance) -> bool:
        return any((one.host, one.pid) == (attendance.host, attendance.spawner) for one in self._members)

    def leave(self, number: int, now: float) -> None:
        """Somebody closed its connection."""
        self._left = self._left or number < self._connected

    def stranger(self, who: str) -> None:
        """Of another job; no matter."""

    def verdict(self, now: float) -> tuple[Problem, ...] | None:
        """The problem once it is time, nothing where nobody came late."""
        if self._late:
            return (self._problem(),) if now >= self._late[0][1] + GRACE else None
        return () if self._left or now >= self._until else None

    def wait(self, now: float) -> float:
        """Seconds until there is something to do, if nobody comes."""
        return max(0.0, (self._late[0][1] + GRACE if self._late else self._until) - now)

    def progress(self, now: float) -> str | None:
        """Nobody is waited for."""
        return None

    def _problem(self) -> Problem:
        places = {one.rank: naming.place(one) for one in reversed(self._members)}
        came = [
            f"{naming.process(one)} came {naming.number(max(0.1, at - self._start))} s after the start, in which rank "
            f"{one.rank} is {places.get(one.rank, 'another process')}"
            for one, at in self._late
        ]
        more = len(came) - naming.MOST_NAMED
        return Problem(
            ERROR,
            "; ".join(came[: naming.MOST_NAMED] + [f"and {more} more"] * (more > 0)),
            "nothing names this job, so a process too many may belong to a second one with the same command, and the "
            "processes that came first may be of both, which would train as one",
            "give each job a DDPLINT_JOB_TOKEN of its own, the same word in all its processes, or a MASTER_PORT of its "
            "own, and start them again; if there is one job, start each rank once",
        )
