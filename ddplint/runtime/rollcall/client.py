"""Every other rank's side: find rank 0, report, and hear the verdict; or say why there was none."""

from __future__ import annotations

import contextlib
import queue
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

from ddplint.runtime.problem import ERROR, Problem
from ddplint.runtime.rollcall import naming, verdict, wire
from ddplint.runtime.rollcall.attendance import Attendance, AttendanceError
from ddplint.runtime.rollcall.job import Job
from ddplint.runtime.rollcall.verdict import Verdict
from ddplint.runtime.validation import is_loopback

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


class _Stage(IntEnum):
    """How far an attempt came."""

    UNRESOLVED = 0
    UNREACHABLE = 1
    REFUSED = 2
    SILENT = 3
    FOREIGN = 4
    OTHER_JOB = 5
    LOST_EARLY = 6
    NO_VERDICT = 7
    LOST = 8


class _Failure(Exception):
    """An attempt that led to no verdict."""

    def __init__(self, stage: _Stage, detail: str = "") -> None:
        super().__init__(detail)
        self.stage = stage
        self.detail = detail


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
class _Call:
    """What one process wants of rank 0, and until when."""

    own: Attendance
    job: Job
    address: str
    port: int
    seconds: float
    deadline: float
    kept: Callable[[Kept], None] | None = None
    started: Callable[[str, int], Verdict | None] = lambda address, port: None

    def ask(self) -> None:
        """Raise what the job says that has started there, if there is one."""
        said = self.started(self.address, self.port)
        if said is not None:
            raise _Told(said)

    @property
    def left(self) -> float:
        return self.deadline - time.monotonic()

    @property
    def where(self) -> str:
        """The address and the port, with the variables that they came from."""
        names = [self.own.sources[name] for name in ("master_addr", "master_port") if name in self.own.sources]
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{host}:{self.port}" + (f" ({', '.join(dict.fromkeys(names))})" if names else "")


def attend(
    own: Attendance,
    job: Job,
    address: str,
    port: int,
    seconds: float,
    say: Callable[[str], None],
    kept: Callable[[Kept], None] | None = None,
    started: Callable[[str, int], Verdict | None] = lambda address, port: None,
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
    except _Failure as failure:
        return Verdict(problems=(_diagnosis(call, failure),))


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
    except _Failure as failure:
        # Once it has heard of this one it ends.
        return Verdict((own,), (_diagnosis(call, failure),)) if failure.stage >= _Stage.NO_VERDICT else None


def _until_answered(call: _Call, say: Callable[[str], None]) -> Verdict:
    resolver = _Resolver(call.address, call.port)
    start = time.monotonic()
    trouble = start + FIRST_TROUBLE
    pause = FIRST_PAUSE
    unwelcome_since: dict[_Stage, float] = {}
    furthest: _Failure | None = None
    while True:
        try:
            return _attempt(call, resolver)
        except _Failure as error:
            failure = error
        if failure.stage is _Stage.FOREIGN:
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
            say(f"rank {call.own.rank} has not reached {call.where} after {now - start:.0f} s: {_short(failure)}")
        time.sleep(pause)
        pause = min(LAST_PAUSE, pause * 2)


def _final(stage: _Stage, lasted: float) -> bool:
    """Whether to try no more; before rank 0 has started, most failures may pass."""
    if stage is _Stage.OTHER_JOB:
        return lasted >= OTHER_JOB_SECONDS
    if stage is _Stage.FOREIGN:
        return lasted >= FOREIGN_SECONDS
    return stage >= _Stage.NO_VERDICT


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
            raise _Failure(_Stage.UNRESOLVED, "the name service does not answer") from None
        self._answers = None
        if isinstance(answer, Exception):
            raise _Failure(_Stage.UNRESOLVED, str(answer))
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
    failures: list[_Failure] = []
    for family, address in resolver.addresses(call.left):
        try:
            return _meet(call, family, address)
        except _Failure as failure:
            failures.append(failure)
            if failure.stage >= _Stage.OTHER_JOB:
                break
    raise max(failures, key=lambda failure: failure.stage, default=_Failure(_Stage.UNRESOLVED, "no address"))


def _meet(call: _Call, family: int, address: tuple[object, ...]) -> Verdict:
    try:
        connection = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise _Failure(_Stage.UNREACHABLE, _text(error)) from error
    # That of a connection which is kept has been taken out of it.
    with connection:
        connection.settimeout(max(0.05, min(CONNECT_SECONDS, call.left)))
        try:
            connection.connect(address)
            with contextlib.suppress(OSError):
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except ConnectionRefusedError as error:
            raise _Failure(_Stage.REFUSED, f"{address[0]}: {_text(error)}") from error
        except OSError as error:
            raise _Failure(_Stage.UNREACHABLE, f"{address[0]}: {_text(error)}") from error
        if connection.getsockname() == connection.getpeername():
            # In the range of ephemeral ports a connection to nobody may meet itself.
            raise _Failure(_Stage.REFUSED, f"{address[0]}: Connection refused")
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
                raise _Failure(_Stage.LOST if heard else _Stage.LOST_EARLY, "the connection was closed")
            refusal = None if heard else wire.read_refusal(message)
            if refusal is not None:
                raise _Failure(_Stage.OTHER_JOB, refusal)
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
        raise _Failure(_Stage.NO_VERDICT, last) from None
    except OSError as error:
        raise _Failure(_Stage.LOST if heard else _Stage.LOST_EARLY, _text(error)) from error
    except (wire.WireError, AttendanceError) as error:
        raise _Failure(_Stage.FOREIGN, str(error)) from error


def _greet(call: _Call, line: Line) -> str:
    until = min(time.monotonic() + HELLO_SECONDS, call.deadline + MARGIN)
    try:
        line.send(wire.MAGIC, until)
        message = _hello(call, line, until)
        if message is None:
            raise _Failure(_Stage.FOREIGN, "it closed the connection")
        return wire.read_hello(message)
    except TimeoutError:
        raise _Failure(_Stage.SILENT, "it says nothing") from None
    except OSError as error:
        raise _Failure(_Stage.FOREIGN, _text(error)) from error
    except wire.WireError as error:
        raise _Failure(_Stage.FOREIGN, f"it speaks another protocol: {error}") from error


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


_REQUIREMENT = "every process reports to rank 0 before the process group starts"


def _short(failure: _Failure) -> str:
    names = {
        _Stage.UNRESOLVED: "the name does not resolve",
        _Stage.UNREACHABLE: "no connection",
        _Stage.REFUSED: "nothing listens there yet",
        _Stage.SILENT: "something listens there and says nothing",
        _Stage.FOREIGN: "no roll-call answers there",
        _Stage.OTHER_JOB: "the port belongs to another job",
    }
    return f"{names.get(failure.stage, 'the connection was lost')} ({failure.detail})"


def _diagnosis(call: _Call, failure: _Failure) -> Problem:
    """Why there was no verdict, from how far the last attempt came."""
    detected, fix = _found(call, failure)
    return Problem(ERROR, f"{naming.process(call.own)}: {detected}", _REQUIREMENT, fix)


def _found(call: _Call, failure: _Failure) -> tuple[str, str]:
    where, detail, seconds = call.where, failure.detail, naming.number(call.seconds)
    home = call.own.hosts[0] if call.own.hosts else "the host of rank 0"
    loop = _several_hosts(call.own) and is_loopback(detail.rsplit(": ", 1)[0])
    if failure.stage is _Stage.UNRESOLVED:
        return (
            f"{call.address} of {where} did not resolve within {seconds} s: {detail}",
            f"set MASTER_ADDR to a name or an address of {home} that this host knows (getent hosts {call.address})",
        )
    if loop and failure.stage in (_Stage.REFUSED, _Stage.UNREACHABLE):
        return (
            f"{call.address} of {where} leads to {detail.rsplit(': ', 1)[0]}, to this host itself, and there are "
            "several hosts; nothing listens there",
            f"set MASTER_ADDR to an address of {home}, or correct /etc/hosts on this host",
        )
    if failure.stage is _Stage.REFUSED:
        return (
            f"nothing listens at {where}: refused for {seconds} s ({detail})",
            f"look at the output of rank 0, which was not started or ended early; or it is not on {call.address}",
        )
    if failure.stage is _Stage.UNREACHABLE:
        return (
            f"no connection to {where} within {seconds} s ({detail})",
            "a firewall between the hosts, or an address of another network: try another port or address of "
            f"{home} (nc -vz {call.address} {call.port})",
        )
    if failure.stage in (_Stage.SILENT, _Stage.FOREIGN):
        return (
            f"what listens at {where} is no roll-call: {detail}",
            "another program has the port: choose another MASTER_PORT; or the job has started already, and this "
            "process is one too many"
            + ("; or rank 0 hangs before its roll-call" if failure.stage is _Stage.SILENT else ""),
        )
    if failure.stage is _Stage.OTHER_JOB:
        other = detail if detail and detail != call.job.label else f"{detail or 'unnamed'}, with another key"
        return (
            f"the port at {where} belongs to another job: {other}; this one is {call.job.label}",
            "give each job a MASTER_PORT of its own, or wait for the other one to end",
        )
    if failure.stage is _Stage.NO_VERDICT:
        last = f"; last it said: {detail}" if detail else ""
        return (
            f"rank 0 at {where} gave no verdict within {seconds} s{last}",
            "look at the output of rank 0; if it starts late, give the roll-call more seconds",
        )
    return (
        f"rank 0 at {where} left before the verdict ({detail})",
        "look at the output of rank 0: it was ended, or failed while it waited",
    )


def _several_hosts(own: Attendance) -> bool:
    if own.nnodes is not None:
        return own.nnodes > 1
    if own.hosts:
        return len({naming.label(host) for host in own.hosts}) > 1
    return own.local_world_size is not None and own.local_world_size < own.world_size
