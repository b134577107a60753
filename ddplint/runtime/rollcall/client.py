"""Every other rank's side: find rank 0, report, and hear the verdict; or say why there was none."""

from __future__ import annotations

import contextlib
import queue
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from ddplint.runtime.problem import ERROR, Problem
from ddplint.runtime.rollcall import diagnosis, naming, verdict, wire
from ddplint.runtime.rollcall.attendance import Attendance, AttendanceError
from ddplint.runtime.rollcall.diagnosis import Aim, Failure, Stage
from ddplint.runtime.rollcall.job import Job
from ddplint.runtime.rollcall.verdict import Verdict

# Rank 0 gives its verdict this long after the deadline of the most impatient, so that its own comes first.
LENIENCE = 2.0
# How long after its deadline a process that was heard still waits.
MARGIN = 3.5
CONNECT_SECONDS = 5.0
HELLO_SECONDS = 5.0
# A roll-call says hello at once; torch's store, which gets the port after it, says nothing to those who do not ask.
FIRST_HELLO, NEXT_HELLO = 0.4, 1.0
# An old job that is ending, or a store that has not closed yet, may have the port for a moment.
OTHER_JOB_SECONDS = 5.0
FOREIGN_SECONDS = 10.0
FIRST_PAUSE, LAST_PAUSE = 0.05, 1.0
FIRST_TROUBLE, NEXT_TROUBLE = 5.0, 10.0


# Asked at an address and a port: what the job says that has started there without this process.
Started = Callable[[str, int], Verdict | None]


def nobody(address: str, port: int) -> Verdict | None:
    """No job has started there."""
    return None


class _Told(Exception):
    """The job that has started there has answered."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__()
        self.verdict = verdict


@dataclass(frozen=True)
class Kept:
    """The connection to rank 0 after a good verdict, which stays open for so many seconds."""

    line: Line
    job: Job
    server: str
    client: str
    seconds: float

    def close(self) -> None:
        self.line.close()


@dataclass(frozen=True)
class _Call(Aim):
    """What one process wants of rank 0, and until when."""

    deadline: float
    kept: Callable[[Kept], None] | None = None
    started: Started = nobody

    def ask(self) -> None:
        """Raise what the job says that has started there, if there is one."""
        said = self.started(self.address, self.port)
        if said is not None:
            raise _Told(said)

    @property
    def left(self) -> float:
        return self.deadline - time.monotonic()


def attend(
    own: Attendance,
    job: Job,
    address: str,
    port: int,
    seconds: float,
    say: Callable[[str], None],
    kept: Callable[[Kept], None] | None = None,
    started: Started = nobody,
) -> Verdict:
    """Report to rank 0 at this address and wait for its verdict.

    It ends within so many seconds, and a few more to hear rank 0, which knows better why. Trouble of the network is
    a problem of the verdict, and raises nothing.

    Args:
        kept: takes the connection, if rank 0 wants it to stay open after a good verdict.
        started: asked where something else than a roll-call answers: what the job says that has started there.
    """
    call = _Call(own, job, address, port, seconds, time.monotonic() + seconds, kept, started)
    unfit = _unfit(own)
    if unfit is not None:
        return Verdict(problems=(unfit,))
    try:
        return _until_answered(call, say)
    except _Told as told:
        return told.verdict
    except Failure as failure:
        return Verdict(problems=(diagnosis.diagnose(call, failure),))


def _unfit(own: Attendance) -> Problem | None:
    """Numbers that rank 0 would not read: a negative rank."""
    try:
        Attendance.from_json(own.to_json())
    except AttendanceError as error:
        return Problem(
            ERROR,
            f"{naming.process(own)} cannot report: {error}",
            "ranks and sizes are small numbers that are not negative",
            "correct the variable that the number came from",
        )
    return None


def knock(own: Attendance, job: Job, address: str, port: int, seconds: float) -> Verdict | None:
    """What a job that has started says to one that comes late; None if it says nothing, or is another one."""
    call = _Call(own, job, address, port, seconds, time.monotonic() + seconds)
    try:
        return _attempt(call, _Resolver(address, port))
    except Failure as failure:
        # Once it has heard of this one it ends.
        return Verdict((own,), (diagnosis.diagnose(call, failure),)) if failure.stage >= Stage.NO_VERDICT else None


def _until_answered(call: _Call, say: Callable[[str], None]) -> Verdict:
    resolver = _Resolver(call.address, call.port)
    start = time.monotonic()
    trouble = start + FIRST_TROUBLE
    pause = FIRST_PAUSE
    unwelcome_since: dict[Stage, float] = {}
    furthest: Failure | None = None
    while True:
        try:
            return _attempt(call, resolver)
        except Failure as error:
            failure = error
        if failure.stage is Stage.FOREIGN:
            call.ask()
        now = time.monotonic()
        if furthest is None or failure.stage >= furthest.stage:
            # Who had the port is worth more than that it is closed by now.
            furthest = failure
        unwelcome_since = {stage: since for stage, since in unwelcome_since.items() if stage is failure.stage}
        since = unwelcome_since.setdefault(failure.stage, now)
        if _final(failure.stage, now - since) or call.left <= pause:
            raise furthest
        if now >= trouble:
            trouble = now + NEXT_TROUBLE
            why = diagnosis.short(failure)
            say(f"rank {call.own.rank} has not reached {call.where} after {now - start:.0f} s: {why}")
        time.sleep(pause)
        pause = min(LAST_PAUSE, pause * 2)


def _final(stage: Stage, lasted: float) -> bool:
    """Whether to try no more; before rank 0 has started, most failures may pass."""
    if stage is Stage.OTHER_JOB:
        return lasted >= OTHER_JOB_SECONDS
    if stage is Stage.FOREIGN:
        return lasted >= FOREIGN_SECONDS
    return stage >= Stage.NO_VERDICT


class _Resolver:
    """Resolves a name, in a thread: a name service that does not answer may take longer than the deadline."""

    def __init__(self, address: str, port: int) -> None:
        self._address = address
        self._port = port
        self._answers: queue.SimpleQueue[list[tuple[int, tuple[object, ...]]] | OSError | ValueError] | None = None

    def addresses(self, seconds: float) -> list[tuple[int, tuple[object, ...]]]:
        """Families and socket addresses, each once."""
        if self._answers is None:
            self._answers = queue.SimpleQueue()
            threading.Thread(target=self._ask, args=(self._answers,), daemon=True).start()
        try:
            answer = self._answers.get(timeout=max(0.0, seconds))
        except queue.Empty:
            raise Failure(Stage.UNRESOLVED, "the name service does not answer") from None
        self._answers = None
        if isinstance(answer, Exception):
            raise Failure(Stage.UNRESOLVED, str(answer))
        return answer

    def _ask(self, answers: queue.SimpleQueue[list[tuple[int, tuple[object, ...]]] | OSError | ValueError]) -> None:
        try:
            found = socket.getaddrinfo(self._address.strip("[]"), self._port, type=socket.SOCK_STREAM)
            answers.put(list(dict.fromkeys((int(family), sockaddr) for family, _, _, _, sockaddr in found)))
        # A name that IDNA cannot spell is a UnicodeError.
        except (OSError, ValueError) as error:
            answers.put(error)
        except OverflowError as error:
            answers.put(ValueError(str(error)))


def _attempt(call: _Call, resolver: _Resolver) -> Verdict:
    """Try all addresses once; of several failures the one that came furthest says most."""
    failures: list[Failure] = []
    for family, address in resolver.addresses(call.left):
        try:
            return _meet(call, family, address)
        except Failure as failure:
            failures.append(failure)
            if failure.stage >= Stage.OTHER_JOB:
                break
    raise max(failures, key=lambda failure: failure.stage, default=Failure(Stage.UNRESOLVED, "no address"))


def _meet(call: _Call, family: int, address: tuple[object, ...]) -> Verdict:
    try:
        connection = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise Failure(Stage.UNREACHABLE, _text(error)) from error
    # That of a connection which is kept has been taken out of it.
    with connection:
        connection.settimeout(max(0.05, min(CONNECT_SECONDS, call.left)))
        try:
            connection.connect(address)
            with contextlib.suppress(OSError):
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except ConnectionRefusedError as error:
            raise Failure(Stage.REFUSED, _text(error), str(address[0])) from error
        except OSError as error:
            raise Failure(Stage.UNREACHABLE, _text(error), str(address[0])) from error
        if connection.getsockname() == connection.getpeername():
            # In the range of ephemeral ports a connection to nobody may meet itself.
            raise Failure(Stage.REFUSED, "Connection refused", str(address[0]))
        return _converse(call, Line(connection))


class Line:
    """Frames of one connection, each awaited until a deadline."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._frames = wire.Frames(wire.MOST_VERDICT)

    def take(self) -> None:
        """Keep the connection open, whoever closes the socket that was given."""
        self._connection = socket.socket(fileno=self._connection.detach())

    def close(self) -> None:
        # Also for those who have inherited it.
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
        self._connection.close()

    def send(self, data: bytes, until: float) -> None:
        self._connection.settimeout(max(0.05, until - time.monotonic()))
        self._connection.sendall(data)

    def next(self, until: float) -> dict[str, object] | None:
        """The next frame, None at the end of the connection; TimeoutError at the deadline."""
        while True:
            for message in self._frames:
                return message
            left = until - time.monotonic()
            if left <= 0:
                raise TimeoutError("no answer")
            self._connection.settimeout(left)
            try:
                data = self._connection.recv(1 << 16)
            except TimeoutError:
                raise TimeoutError("no answer") from None
            if not data:
                return None
            self._frames.feed(data)


def _converse(call: _Call, line: Line) -> Verdict:
    client = wire.nonce()
    server = _greet(call, line)
    until = call.deadline + MARGIN
    heard = False
    last = ""
    try:
        line.send(wire.report(call.job, call.own, call.left + LENIENCE, server, client), until)
        while True:
            message = line.next(until)
            if message is None:
                raise Failure(Stage.LOST if heard else Stage.LOST_EARLY, "the connection was closed")
            refusal = None if heard else wire.read_refusal(message)
            if refusal is not None:
                raise Failure(Stage.OTHER_JOB, refusal)
            body = wire.read_reply(call.job, message, server, client)
            if body.get("kind") == "verdict":
                problems = verdict.from_json(body.get("problems"))
                stay = body.get("stay")
                if call.kept is not None and type(stay) is int and 0 < stay < 1 << 40:
                    line.take()
                    call.kept(Kept(line, call.job, server, client, stay / 1000))
                return Verdict((call.own,), problems)
            heard = True
            if body.get("kind") == "progress":
                last = str(body.get("text"))[:1000]
    except TimeoutError:
        raise Failure(Stage.NO_VERDICT, last) from None
    except OSError as error:
        raise Failure(Stage.LOST if heard else Stage.LOST_EARLY, _text(error)) from error
    except (wire.WireError, AttendanceError) as error:
        raise Failure(Stage.FOREIGN, str(error)) from error


def _greet(call: _Call, line: Line) -> str:
    until = min(time.monotonic() + HELLO_SECONDS, call.deadline + MARGIN)
    try:
        line.send(wire.MAGIC, until)
        message = _hello(call, line, until)
        if message is None:
            raise Failure(Stage.FOREIGN, "it closed the connection")
        return wire.read_hello(message)
    except TimeoutError:
        raise Failure(Stage.SILENT, "it says nothing") from None
    except OSError as error:
        raise Failure(Stage.FOREIGN, _text(error)) from error
    except wire.WireError as error:
        raise Failure(Stage.FOREIGN, f"it speaks another protocol: {error}") from error


def _hello(call: _Call, line: Line, until: float) -> dict[str, object] | None:
    wait = FIRST_HELLO
    while True:
        end = min(until, time.monotonic() + wait)
        try:
            return line.next(end)
        except TimeoutError:
            if end >= until:
                raise
            call.ask()
            wait = NEXT_HELLO


def _text(error: OSError) -> str:
    return error.strerror or str(error)
