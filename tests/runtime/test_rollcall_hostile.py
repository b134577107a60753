"""Whoever can reach the port of rank 0: none of them stops the job, or takes memory or files without a bound."""

from __future__ import annotations

import contextlib
import errno
import os
import random
import selectors
import socket
import struct
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any, NoReturn

import pytest
from rollcalls import HOST, JOB, OTHER, Call, call, errors, listening, one, quiet

from ddplint.runtime.rollcall import Attendance, Verdict, answer, client, descriptors, server, wire

if sys.platform != "win32":
    import resource

MIB = 1 << 20


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def knock(port: int) -> socket.socket:
    return socket.create_connection((HOST, port), timeout=20)


def closed_by_rank_0(connection: socket.socket) -> bool:
    """Whether it is closed; what comes before that is read."""
    connection.settimeout(15)
    try:
        while connection.recv(4096):
            pass
    except ConnectionError:
        pass
    except TimeoutError:
        return False
    return True


@contextlib.contextmanager
def waiting() -> Iterator[tuple[Call, Future[Verdict]]]:
    """A rank 0 that waits for rank 1, which comes at the end; then the job has to start."""
    with call(seconds=60) as made:
        first = made.rank0(one(0, 2))
        yield made, first
        assert not first.done()
        assert made.other(one(1, 2)).result(30).ok
        assert first.result(30).ok


def test_random_bytes() -> None:
    chance = random.Random(7)
    with waiting() as (made, _):
        for _ in range(100):
            with knock(made.port) as connection:
                opening = wire.MAGIC if chance.random() < 0.5 else b""
                with contextlib.suppress(ConnectionError):
                    connection.sendall(opening + chance.randbytes(chance.randrange(1, 2000)))
                    connection.sendall(chance.randbytes(200))


def test_garbage_is_answered_with_nothing() -> None:
    with waiting() as (made, _), knock(made.port) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: node0\r\n\r\n")
        connection.settimeout(10)
        with contextlib.suppress(ConnectionResetError):
            assert connection.recv(4096) == b""


def test_a_gigabyte_is_announced() -> None:
    with waiting() as (made, _):
        tracemalloc.start()
        try:
            with knock(made.port) as connection:
                connection.sendall(wire.MAGIC + struct.pack(">I", 1 << 30) + b"{" * 100)
                assert closed_by_rank_0(connection)
            assert tracemalloc.get_traced_memory()[1] < MIB
        finally:
            tracemalloc.stop()


def test_connections_that_say_nothing_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "STRANGER_SECONDS", 0.5)
    with waiting() as (made, _), knock(made.port) as silent, knock(made.port) as half:
        half.sendall(wire.MAGIC + struct.pack(">I", 100) + b'{"rep')
        assert closed_by_rank_0(silent)
        assert closed_by_rank_0(half)


def test_ten_thousand_connections() -> None:
    with waiting() as (made, _):
        before = open_files()
        held: list[socket.socket] = []
        tracemalloc.start()
        try:
            for number in range(10_000):
                held.append(knock(made.port))
                if number % 2:
                    held[-1].sendall(wire.MAGIC)
                if len(held) == 500:
                    # 500 of this end, and those that rank 0 holds.
                    assert open_files() - before < 500 + 2 * 2 + 128 + 20
                    for connection in held[:400]:
                        connection.close()
                    del held[:400]
            assert tracemalloc.get_traced_memory()[1] < 16 * MIB
            # It is told among a hundred that stay.
            assert len(held) >= 100
        finally:
            tracemalloc.stop()
            for connection in held[:-50]:
                connection.close()


def test_rank_1_comes_in_the_midst_of_them() -> None:
    with call(seconds=60) as made:
        first = made.rank0(one(0, 2))
        stop = threading.Event()

        def flood() -> None:
            held: list[socket.socket] = []
            while not stop.is_set():
                with contextlib.suppress(OSError):
                    held.append(knock(made.port))
                if len(held) == 400:
                    held.pop(0).close()
            for connection in held:
                connection.close()

        thread = threading.Thread(target=flood)
        thread.start()
        try:
            time.sleep(0.3)
            assert made.other(one(1, 2)).result(40).ok
            assert first.result(40).ok
        finally:
            stop.set()
            thread.join(20)


def test_unfinished_reports_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "MOST_BUFFERED", MIB)
    # Without the bound rank 0 would keep all of them.
    monkeypatch.setattr(server, "most_reports", lambda world_size: 400)
    unfinished = wire.MAGIC + struct.pack(">I", wire.MOST_REPORT) + b" " * 64_000
    with waiting() as (made, _), contextlib.ExitStack() as held, selectors.DefaultSelector() as open_ones:
        tracemalloc.start()
        try:
            for _ in range(320):
                connection = held.enter_context(knock(made.port))
                with contextlib.suppress(ConnectionError):
                    connection.sendall(unfinished)
                open_ones.register(connection, selectors.EVENT_READ)
            # One MiB is 16 of them; that the others were closed shows that all have been read.
            end = time.monotonic() + 20
            while len(open_ones.get_map()) > 20 and time.monotonic() < end:
                for key, _ in open_ones.select(0.5):
                    if hung_up(key.fileobj):
                        open_ones.unregister(key.fileobj)
            most = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        # 20 MB were sent; beside the MiB there is what 320 connections take.
        assert most < 6 * MIB
        assert len(open_ones.get_map()) <= 20


def hung_up(connection: Any) -> bool:
    """Whether what there is to read is the end."""
    try:
        return not connection.recv(4096)
    except ConnectionError:
        return True


def greeted(connection: socket.socket) -> tuple[client.Line, str]:
    line = client.Line(connection)
    line.send(wire.MAGIC, time.monotonic() + 10)
    hello = line.next(time.monotonic() + 10)
    assert hello is not None
    return line, wire.read_hello(hello)


def test_wrong_tokens() -> None:
    with call(seconds=60) as made:
        first = made.rank0(one(0, 2))
        for number in range(30):
            with knock(made.port) as connection:
                line, nonce = greeted(connection)
                line.send(wire.report(OTHER, one(1, 2, pid=number), 60, nonce, wire.nonce()), time.monotonic() + 10)
                answered = line.next(time.monotonic() + 10)
                assert answered is not None
                assert wire.read_refusal(answered) == "job one"
        assert made.other(one(1, 2)).result(30).ok
        verdict = first.result(30)
    assert verdict.ok
    assert "rank 1 on node0 pid 0 of job two from 127.0.0.1" in str(verdict.problems[0])
    assert len(str(verdict.problems[0])) < 1500


class Tap:
    """Passes one connection on to rank 0 and keeps what the client sent."""

    def __init__(self, port: int) -> None:
        self.listener = socket.create_server((HOST, 0))
        self.port = self.listener.getsockname()[1]
        self.target = port
        self.sent = bytearray()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self) -> None:
        with (
            self.listener,
            self.listener.accept()[0] as inside,
            knock(self.target) as outside,
            selectors.DefaultSelector() as selector,
        ):
            selector.register(inside, selectors.EVENT_READ, outside)
            selector.register(outside, selectors.EVENT_READ, inside)
            while True:
                for key, _ in selector.select(20):
                    data = key.fileobj.recv(4096)  # type: ignore[union-attr]
                    if not data:
                        return
                    if key.fileobj is inside:
                        self.sent += data
                    key.data.sendall(data)


def test_a_report_that_was_overheard() -> None:
    with call(seconds=60) as made:
        first = made.rank0(one(0, 3))
        tap = Tap(made.port)
        second = made.pool.submit(client.attend, one(1, 3), JOB, HOST, tap.port, 60, quiet)
        frames = wire.Frames(wire.MOST_REPORT, wire.MAGIC)
        deadline = time.monotonic() + 20
        while not list(frames):
            assert time.monotonic() < deadline
            time.sleep(0.05)
            frames = wire.Frames(wire.MOST_REPORT, wire.MAGIC)
            frames.feed(bytes(tap.sent))
        with knock(made.port) as connection:
            connection.sendall(bytes(tap.sent))
            line = client.Line(connection)
            assert wire.read_hello(line.next(time.monotonic() + 10) or {})
            assert wire.read_refusal(line.next(time.monotonic() + 10) or {}) == "job one"
        assert made.other(one(2, 3)).result(30).ok
        assert second.result(30).ok
        assert first.result(30).ok
        tap.thread.join(10)


def test_a_report_of_the_job_that_makes_no_sense() -> None:
    with waiting() as (made, _), knock(made.port) as connection:
        line, nonce = greeted(connection)
        own = wire.nonce()
        body: dict[str, Any] = {"attendance": {**one(1, 2).to_json(), "rank": [1]}, "patience": 1000}
        mac = wire._mac(JOB.key, wire.REPORT, nonce, own, wire.canonical(body))
        line.send(wire.pack(wire.canonical({"report": body, "nonce": own, "mac": mac}), 1 << 16), time.monotonic() + 9)
        assert closed_by_rank_0(connection)


class NoFiles:
    """A listener of a process that has no files left for a while."""

    def __init__(self, listener: socket.socket, times: int) -> None:
        self.listener = listener
        self.times = times

    def __getattr__(self, name: str) -> Any:
        return getattr(self.listener, name)

    def accept(self) -> tuple[socket.socket, Any]:
        if self.times:
            self.times -= 1
            raise OSError(errno.EMFILE, "Too many open files")
        return self.listener.accept()


def test_no_files_are_left_for_a_while() -> None:
    with call(seconds=30) as made:
        scarce: Any = NoFiles(made.listener, 3)
        started = time.thread_time()
        first = made.pool.submit(answer, one(0, 2), JOB, scarce, 30, quiet)
        assert made.other(one(1, 2)).result(30).ok
        verdict = first.result(30)
        assert time.thread_time() - started < 5
    assert verdict.ok
    assert scarce.times == 0
    assert "connections at once" in str(verdict.problems[0])


@pytest.mark.skipif(sys.platform == "win32", reason="no limits of that kind")
def test_the_limit_of_open_files_is_restored() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    if before[1] < 900:
        pytest.skip("the hard limit is too low")
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(before[0], 400), before[1]))
    try:
        low = resource.getrlimit(resource.RLIMIT_NOFILE)
        with descriptors.room(700) as most:
            assert most > low[0]
            assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] >= most
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == low
        with descriptors.room(1 << 30) as most:
            assert most <= before[1]
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == low
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


class Crowd:
    """Many ranks in one thread; each reports, and keeps what it is told."""

    def __init__(self, port: int, everyone: list[Attendance]) -> None:
        self.port = port
        self.everyone = iter(everyone)
        self.left = len(everyone)
        self.selector = selectors.DefaultSelector()
        self.verdicts: list[Any] = []

    def run(self, until: float) -> None:
        for own in self.everyone:
            connection = knock(self.port)
            connection.sendall(wire.MAGIC)
            connection.setblocking(False)
            self.selector.register(connection, selectors.EVENT_READ, [own, wire.Frames(wire.MOST_VERDICT), "", ""])
            self.turn(0)
        while self.left and time.monotonic() < until:
            self.turn(0.5)
        self.selector.close()

    def turn(self, seconds: float) -> None:
        for key, _ in self.selector.select(seconds):
            connection: Any = key.fileobj
            data = connection.recv(1 << 16)
            own, frames, nonce, mine = key.data
            frames.feed(data)
            for message in frames:
                if not nonce:
                    key.data[2] = nonce = wire.read_hello(message)
                    key.data[3] = mine = wire.nonce()
                    connection.sendall(wire.report(JOB, own, 60, nonce, mine))
                    continue
                body = wire.read_reply(JOB, message, nonce, mine)
                if body["kind"] == "verdict":
                    self.verdicts.append(body["problems"])
                    data = b""
            if not data:
                self.left -= 1
                self.selector.unregister(connection)
                connection.close()


@pytest.fixture
def many_files(unavailable: Callable[[str], NoReturn]) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 3000:
        unavailable("a limit of open files of less than 3000")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 3000), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("wrong", [False, True])
def test_a_thousand_ranks(wrong: bool, many_files: None) -> None:
    size = 1024
    hosts = tuple(f"node{number:03}" for number in range(size // 8))
    everyone = [
        one(
            rank, size, hosts[rank // 8], local_rank=rank % 8, local_world_size=8, hosts=hosts, command="train.py",
            device=f"GPU-{rank % 8}", devices=tuple(f"GPU-{n}" for n in range(8)), versions={"torch": "2.4.1"},
            resolved=("10.0.0.1",), hosts_source="SLURM_STEP_NODELIST",
        )
        for rank in range(size)
    ]  # fmt: skip
    if wrong:
        everyone[1000:1008] = []
    result: list[tuple[Verdict, float]] = []
    with listening() as listener:

        def first() -> None:
            started = time.thread_time()
            verdict = answer(everyone[0], JOB, listener, 60 if not wrong else 6, quiet)
            result.append((verdict, time.thread_time() - started))

        thread = threading.Thread(target=first)
        thread.start()
        crowd = Crowd(listener.getsockname()[1], everyone[1:])
        crowd.run(time.monotonic() + 60)
        thread.join(70)
    ((verdict, cpu),) = result
    print(f"CPU time of rank 0: {cpu:.2f} s")
    assert cpu < 5
    assert len(verdict.present) == len(everyone)
    assert verdict.ok != wrong
    assert len(crowd.verdicts) == len(everyone) - 1
    assert all(problems == crowd.verdicts[0] for problems in crowd.verdicts)
    if wrong:
        assert "ranks 1000-1007 of 1024 did not come within 6 s; nothing was heard from node125" in errors(verdict)
