"""Rank 0's side: hear all processes on the master port and tell all of them the verdict."""

from __future__ import annotations

import contextlib
import errno
import selectors
import socket
import struct
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from ddplint.runtime.problem import ERROR, Problem
from ddplint.runtime.rollcall import descriptors, verdict, wire
from ddplint.runtime.rollcall.attendance import Attendance, AttendanceError
from ddplint.runtime.rollcall.hearing import Hearing, most_reports
from ddplint.runtime.rollcall.job import Job
from ddplint.runtime.rollcall.verdict import Verdict

# A connection that has not reported by then is a port scanner, or a host that went away.
STRANGER_SECONDS = 10.0
# Reports that have not come in full, all together.
MOST_BUFFERED = 16 << 20
# Accepted in a row before those that are there are heard.
ACCEPTED_AT_ONCE = 64
# After a refused accept for lack of files.
PAUSE = 0.1
# For the verdict to be read; who is stopped in a debugger keeps nobody longer.
FLUSH_SECONDS = 1.5

# SO_LINGER: on, for no time.
_RESET = struct.pack("HH" if sys.platform == "win32" else "ii", 1, 0)
_FULL = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_NO_LISTENER = (errno.EBADF, errno.EINVAL, errno.ENOTSOCK, errno.EOPNOTSUPP)


def answer(
    own: Attendance,
    job: Job,
    listener: socket.socket,
    seconds: float,
    say: Callable[[str], None],
    settle: float = 0.3,
    stay: float = 0.0,
    kept: Callable[[Kept], None] | None = None,
) -> Verdict:
    """Hold the roll-call on a socket that listens already; it is handed back as it was.

    There is a verdict within so many seconds: when all have come and for `settle` seconds nobody more, or soon after
    an error shows. Trouble of the network is a problem of the verdict, and raises nothing.

    Args:
        stay: seconds for which the connections stay open after a good verdict.
        kept: takes them over.
    """
    room: Room | None = None
    try:
        spare = descriptors.spare() if kept is not None else 0
        # Where the limit of open files is restored, the connections are closed already.
        with descriptors.room(most_reports(own.world_size)) as most:
            timeout = listener.gettimeout()
            listener.setblocking(False)
            try:
                room = Room(job, listener, most, Hearing(own, seconds, settle, time.monotonic()))
                result = room.hold(say, stay, spare)
                if kept is not None and room.kept is not None:
                    kept(Kept(own, job, result.present, room.kept, stay))
                return result
            finally:
                if room is not None:
                    room.close()
                listener.settimeout(timeout)
    except (OSError, ValueError) as error:
        return Verdict((own,), (_no_roll_call(error),))


def _no_roll_call(error: Exception) -> Problem:
    return Problem(
        ERROR,
        f"rank 0 cannot hold the roll-call: {error}",
        "rank 0 listens on the master port until all processes have come",
        "give it a socket that listens, and more open files (ulimit -n) if it lacks them",
    )


# Two are the same only if they are the same object.
@dataclass(eq=False)
class Visitor:
    """A connection: a stranger until it has reported with the key of the job."""

    socket: socket.socket
    address: str
    since: float
    nonce: str = field(default_factory=wire.nonce)
    frames: wire.Frames = field(default_factory=lambda: wire.Frames(wire.MOST_REPORT, wire.MAGIC))
    greeted: bool = False
    # Its nonce and its number in the hearing, once it has reported.
    client: str = ""
    number: int | None = None
    unsent: deque[memoryview] = field(default_factory=deque)
    # To be closed as soon as it was told why.
    leaving: bool = False


@dataclass(frozen=True)
class Kept:
    """The connections to the processes of a job that has started, which stay open for so many seconds."""

    own: Attendance
    job: Job
    present: tuple[Attendance, ...]
    visitors: Sequence[Visitor]
    seconds: float

    def close(self) -> None:
        for visitor in self.visitors:
            visitor.socket.close()


class Judge(Protocol):
    """Hears those who report, and says when there is a verdict; see `Hearing`."""

    crowded: int | None

    @property
    def present(self) -> tuple[Attendance, ...]: ...

    @property
    def full(self) -> bool: ...

    def come(self, attendance: Attendance, now: float, patience: float | None = None) -> int | None: ...

    def leave(self, number: int, now: float) -> None: ...

    def stranger(self, who: str) -> None: ...

    def verdict(self, now: float) -> tuple[Problem, ...] | None: ...

    def wait(self, now: float) -> float: ...

    def progress(self, now: float) -> str | None: ...


class Room:
    """The connections of one roll-call."""

    def __init__(self, job: Job, listener: socket.socket, most: int, hearing: Judge) -> None:
        self._job = job
        self._listener = listener
        self._most = most
        self._hearing = hearing
        # Who stays after a good verdict; None: nobody is to.
        self.kept: list[Visitor] | None = None
        self._selector = selectors.DefaultSelector()
        # Oldest first.
        self._strangers: dict[Visitor, None] = {}
        self._heard: dict[Visitor, None] = {}
        self._buffered = 0
        self._paused_until: float | None = None
        try:
            self._selector.register(listener, selectors.EVENT_READ)
        except BaseException:
            self._selector.close()
            raise

    def adopt(self, members: Sequence[Visitor]) -> None:
        """Take over those whom another room has kept; their numbers are their places."""
        for number, member in enumerate(members):
            member.number = number
            self._selector.register(member.socket, _events(member), member)
            self._heard[member] = None

    def hold(
        self,
        say: Callable[[str], None],
        stay: float = 0.0,
        spare: int = 0,
        first: Callable[[tuple[Problem, ...]], None] = lambda problems: None,
    ) -> Verdict:
        """Hear everybody, and tell them the verdict.

        Args:
            stay: after a good one, connections stay open for so many seconds, in `kept`.
            spare: at most so many of them.
            first: hears the verdict before the others do.
        """
        while True:
            now = time.monotonic()
            problems = self._hearing.verdict(now)
            if problems is not None:
                break
            text = self._hearing.progress(now)
            if text is not None:
                say(text)
                self._tell({"kind": "progress", "text": text}, list(self._heard))
            self._expire(now)
            for key, events in self._selector.select(self._wait(now)):
                if key.fileobj is self._listener:
                    self._accept()
                else:
                    self._serve(key.data, events)
        result = Verdict(self._hearing.present, problems)
        first(problems)
        self._dismiss(problems, list(self._heard)[:spare] if stay and result.ok else [], stay)
        return result

    def close(self) -> None:
        for visitor in [*self._strangers, *self._heard]:
            self._drop(visitor)
        self._selector.close()

    def _wait(self, now: float) -> float:
        wait = self._hearing.wait(now)
        if self._strangers:
            wait = min(wait, next(iter(self._strangers)).since + STRANGER_SECONDS - now)
        if self._paused_until is not None:
            wait = min(wait, self._paused_until - now)
        return max(0.0, wait)

    def _expire(self, now: float) -> None:
        while self._strangers:
            oldest = next(iter(self._strangers))
            if now < oldest.since + STRANGER_SECONDS:
                break
            self._drop(oldest)
        if self._paused_until is not None and now >= self._paused_until:
            self._paused_until = None
            self._selector.register(self._listener, selectors.EVENT_READ)

    def _accept(self) -> None:
        for _ in range(ACCEPTED_AT_ONCE):
            try:
                connection, address = self._listener.accept()
            except OSError as error:
                if error.errno in _FULL:
                    self._make_room()
                elif error.errno in _NO_LISTENER:
                    raise
                # Nobody is left, or somebody went before being let in.
                return
            if len(self._strangers) + len(self._heard) >= self._most and not self._evict():
                self._hearing.crowded = self._most
                connection.close()
                continue
            self._admit(connection, str(address[0]) if isinstance(address, tuple) else "")

    def _make_room(self) -> None:
        if not self._evict():
            # The selector would report the listener again and again.
            self._hearing.crowded = len(self._heard)
            self._selector.unregister(self._listener)
            self._paused_until = time.monotonic() + PAUSE

    def _evict(self) -> bool:
        """Close the stranger that has been here longest; one of this job comes back."""
        if not self._strangers:
            return False
        self._drop(next(iter(self._strangers)))
        return True

    def _admit(self, connection: socket.socket, address: str) -> None:
        try:
            connection.setblocking(False)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            visitor = Visitor(connection, address, time.monotonic())
            self._selector.register(connection, selectors.EVENT_READ, visitor)
        except OSError:
            connection.close()
            return
        self._strangers[visitor] = None

    def _serve(self, visitor: Visitor, events: int) -> None:
        # An event of a connection that was closed for another one in the same round.
        if visitor not in self._strangers and visitor not in self._heard:
            return
        if events & selectors.EVENT_WRITE:
            self._send(visitor)
        if events & selectors.EVENT_READ and visitor.socket.fileno() >= 0:
            self._receive(visitor)

    def _receive(self, visitor: Visitor) -> None:
        try:
            data = visitor.socket.recv(1 << 14)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if not data:
            if visitor.number is not None:
                self._hearing.leave(visitor.number, time.monotonic())
            self._drop(visitor)
        # Who has reported, or was refused, has nothing more to say.
        elif visitor.number is None and not visitor.leaving:
            self._listen(visitor, data)

    def _listen(self, visitor: Visitor, data: bytes) -> None:
        before = visitor.frames.size
        try:
            visitor.frames.feed(data)
            if visitor.frames.opened and not visitor.greeted:
                visitor.greeted = True
                self._queue(visitor, wire.hello(self._job, visitor.nonce))
            message = next(iter(visitor.frames), None)
            reported = None if message is None else wire.read_report(self._job, message, visitor.nonce)
        except (wire.WireError, AttendanceError):
            self._buffered -= before
            visitor.frames = wire.Frames(0)
            self._drop(visitor)
            return
        self._buffered += visitor.frames.size - before
        if reported is not None:
            self._hear(visitor, *reported)
        elif message is not None:
            self._hearing.stranger(f"{wire.claimed(message)} from {visitor.address}".strip())
            self._refuse(visitor)
        while self._buffered > MOST_BUFFERED and self._strangers:
            self._drop(max(self._strangers, key=lambda other: other.frames.size))

    def _hear(self, visitor: Visitor, attendance: Attendance, patience: float, client: str) -> None:
        if self._hearing.full:
            self._drop(visitor)
            return
        self._buffered -= visitor.frames.size
        visitor.frames = wire.Frames(0)
        number = self._hearing.come(attendance, time.monotonic(), patience)
        if number is None:
            self._refuse(visitor)
            return
        self._strangers.pop(visitor, None)
        self._heard[visitor] = None
        visitor.client, visitor.number = client, number
        self._queue(visitor, *wire.reply_parts(self._job, wire.canonical({"kind": "heard"}), visitor.nonce, client))

    def _refuse(self, visitor: Visitor) -> None:
        visitor.leaving = True
        self._queue(visitor, wire.refusal(self._job))

    def _tell(self, body: object, whom: Sequence[Visitor], whatever: bool = False) -> None:
        """Say something to those that have reported; what is not a verdict may be left out."""
        spelt = wire.canonical(body)
        for visitor in whom:
            if whatever or not visitor.unsent:
                self._queue(visitor, *wire.reply_parts(self._job, spelt, visitor.nonce, visitor.client))

    def _queue(self, visitor: Visitor, *parts: bytes) -> None:
        visitor.unsent.extend(map(memoryview, parts))
        self._send(visitor)

    def _send(self, visitor: Visitor) -> None:
        try:
            while visitor.unsent:
                part = visitor.unsent[0]
                sent = visitor.socket.send(part)
                if sent == len(part):
                    visitor.unsent.popleft()
                else:
                    visitor.unsent[0] = part[sent:]
        except (BlockingIOError, InterruptedError):
            pass
        except OSError:
            # That it left shows when it is read.
            visitor.unsent.clear()
        if visitor.leaving and not visitor.unsent:
            # With data of theirs unread, closing at once could take the refusal away from them.
            self._shut(visitor)
        if visitor.socket.fileno() >= 0:
            events = _events(visitor)
            if self._selector.get_key(visitor.socket).events != events:
                self._selector.modify(visitor.socket, events, visitor)

    def _shut(self, visitor: Visitor) -> None:
        try:
            visitor.socket.shutdown(socket.SHUT_WR)
        except OSError:
            self._drop(visitor)

    def _dismiss(self, problems: Sequence[Problem], staying: Sequence[Visitor], stay: float) -> None:
        """Send the verdict, and wait until they have closed: so no address of rank 0 stays taken behind them."""
        body: dict[str, object] = {"kind": "verdict", "problems": verdict.to_json(problems)}
        stays = set(staying)
        self._tell(body, [visitor for visitor in self._heard if visitor not in stays], whatever=True)
        self._tell(body | {"stay": round(stay * 1000)}, staying, whatever=True)
        if self._paused_until is None:
            self._selector.unregister(self._listener)
        for visitor in list(self._strangers):
            self._drop(visitor)
        until = time.monotonic() + FLUSH_SECONDS
        while (left := until - time.monotonic()) > 0:
            if not any(visitor not in stays or visitor.unsent for visitor in self._heard):
                break
            for key, events in self._selector.select(left):
                self._serve(key.data, events)
        # One that has left already will be started again, or was never to stay.
        if stays and stays <= self._heard.keys():
            self.kept = list(staying)
            for visitor in staying:
                del self._heard[visitor]
                self._selector.unregister(visitor.socket)

    def _drop(self, visitor: Visitor) -> None:
        known = visitor in self._strangers or visitor in self._heard
        self._strangers.pop(visitor, None)
        self._heard.pop(visitor, None)
        if known:
            self._buffered -= visitor.frames.size
            self._selector.unregister(visitor.socket)
            if visitor.number is None and not visitor.leaving:
                # A reset: closed in order, thousands of them would keep the port taken for a minute.
                with contextlib.suppress(OSError):
                    visitor.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            visitor.socket.close()


def _events(visitor: Visitor) -> int:
    """What is waited for on a connection: that something comes, and that what is left can be sent."""
    return selectors.EVENT_READ | (selectors.EVENT_WRITE if visitor.unsent else 0)
