"""Roll-calls over TCP on the loopback interface: what all processes of a job are told."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import socket
import threading
import time

import pytest
from rollcalls import HOST, JOB, OTHER, call, errors, held, later, listening, one, quiet, told_alike

from ddplint.runtime.rollcall import Verdict, answer, attend, client, hearing, wire


@pytest.fixture(autouse=True)
def little_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Enough for threads that are started already."""
    monkeypatch.setattr(hearing, "GRACE", 0.7)
    monkeypatch.setattr(client, "HELLO_SECONDS", 2.0)


def test_eight_ranks_meet() -> None:
    with listening() as listener:
        listener.settimeout(7.0)
        before = (listener.fileno(), listener.gettimeout(), set(os.listdir("/proc/self/fd")))
        others = [one(rank, 8, f"node{rank // 4}", hosts=("node0", "node1")) for rank in range(1, 8)]
        with call() as made:
            made.listener.close()
            made.listener, made.port = listener, listener.getsockname()[1]
            first = made.rank0(one(0, 8, hosts=("node0", "node1")))
            verdicts = [future.result(30) for future in [first, *map(made.other, others)]]
        assert all(verdict.ok and not verdict.problems for verdict in verdicts)
        assert [one.rank for one in verdicts[0].present] == list(range(8))
        assert verdicts[0].present[1:] == tuple(others)
        assert (listener.fileno(), listener.gettimeout()) == before[:2]
        assert set(os.listdir("/proc/self/fd")) <= before[2]
        # It still listens, for the store.
        with socket.create_connection(listener.getsockname(), timeout=5):
            listener.accept()[0].close()


def _process(rank: int, port: int, results: multiprocessing.SimpleQueue[tuple[int, bool, int]]) -> None:
    verdict = attend(one(rank, 3, pid=os.getpid()), JOB, "localhost", port, 30, quiet)
    results.put((rank, verdict.ok, os.getpid()))


def test_the_port_is_free_again() -> None:
    with call() as made:
        futures = [made.rank0(one(0, 3)), made.other(one(1, 3)), made.other(one(2, 3))]
        with socket.create_connection((HOST, made.port), timeout=10) as stranger:
            assert all(future.result(20).ok for future in futures)
            stranger.settimeout(10)
            with contextlib.suppress(ConnectionResetError):
                assert stranger.recv(1) == b""
        made.listener.close()
        # Without SO_REUSEADDR, so nothing of rank 0 may be left in TIME_WAIT.
        with socket.socket() as again:
            again.bind((HOST, made.port))


def test_processes_meet() -> None:
    context = multiprocessing.get_context("spawn")
    results = context.SimpleQueue()
    with listening() as listener:
        port = listener.getsockname()[1]
        children = [context.Process(target=_process, args=(rank, port, results)) for rank in (1, 2)]
        for child in children:
            child.start()
        verdict = answer(one(0, 3), JOB, listener, 30, quiet)
        said = sorted(results.get() for _ in children)
        for child in children:
            child.join(30)
    assert verdict.ok
    assert said == [(one.rank, True, one.pid) for one in verdict.present[1:]]


def test_one_process_alone() -> None:
    assert held(one(0, 1)) == [Verdict((one(0, 1),))]


def test_rank_0_may_start_later() -> None:
    with socket.create_server((HOST, 0)) as listener:
        port = listener.getsockname()[1]
    found: list[Verdict] = []
    early = threading.Thread(target=lambda: found.append(attend(one(1, 2), JOB, HOST, port, 20, quiet)))
    early.start()
    time.sleep(1.0)
    with socket.create_server((HOST, port)) as listener:
        assert answer(one(0, 2), JOB, listener, 20, quiet).ok
    early.join(20)
    assert found[0].ok


def test_another_rank_may_start_later() -> None:
    with call() as made:
        first = made.rank0(one(0, 2))
        time.sleep(1.0)
        assert not first.done()
        assert made.other(one(1, 2)).result(20).ok
        assert first.result(20).ok


def test_a_rank_is_missing() -> None:
    # torch: "Timed out after 9 seconds waiting for clients. 2/3 clients joined."
    hosts = {"hosts": ("node0", "node1"), "hosts_source": "SLURM_STEP_NODELIST", "launcher": "slurm"}
    text = told_alike(held(one(0, 3, **hosts), one(1, 3, **hosts), seconds=1.5))
    assert "rank 2 of 3 did not come within 1.5 s; nothing was heard from node1 (SLURM_STEP_NODELIST)" in text


def test_a_rank_comes_twice_and_another_never() -> None:
    # torch: "wait timeout"; the duplicate is never mentioned.
    text = told_alike(held(one(0, 3), one(1, 3, "node0", 11), one(1, 3, "node1", 9)))
    assert "rank 1 is claimed twice: by node0 pid 11 (RANK) and node1 pid 9 (RANK)" in text
    assert "rank 2 of 3 did not come" in text


def test_rank_0_comes_twice() -> None:
    # The second one found the port taken, and so knows that it has to report to the first.
    text = told_alike(held(one(0, 2, pid=5), one(0, 2, pid=6)))
    assert "rank 0 is claimed twice: by node0 pid 5 (RANK) and node0 pid 6 (RANK)" in text


@pytest.mark.parametrize(("mine", "theirs"), [(2, 3), (3, 2)])
def test_the_world_has_two_sizes(mine: int, theirs: int) -> None:
    # torch: rank 0 of 2 starts, and dies in its first all_reduce.
    text = told_alike(held(one(0, mine), one(1, theirs)))
    assert "the processes disagree about the world size" in text
    assert f"{mine} (WORLD_SIZE) says rank 0 on node0 pid 1000" in text
    assert f"{theirs} (WORLD_SIZE) says rank 1 on node0 pid 1001" in text


def test_a_rank_beyond_the_world() -> None:
    text = told_alike(held(one(0, 2), one(2, 2)))
    assert "rank 2 on node0 pid 1002 (RANK) with a world size of 2 (WORLD_SIZE)" in text
    assert "rank 1 of 2 did not come" in text


def test_one_process_too_many() -> None:
    # torch: two of them train and end well, and the third fails later.
    text = told_alike(held(one(0, 2), one(1, 2, pid=5), one(1, 2, pid=6)))
    assert "rank 1 is claimed twice" in text
    assert "3 processes came, and the world size is 2" in text


def test_one_that_cannot_start_tells_the_others() -> None:
    text = told_alike(held(one(0, 2), one(1, 2, problems=("Detected: no GPU\nRequirement: one\nFix: get it",))))
    assert "rank 1 on node0 pid 1001 cannot start: no GPU" in text


def test_two_jobs_with_one_key_and_other_commands() -> None:
    # torch: rank 0 of one and rank 1 of the other train together.
    text = told_alike(held(one(0, 2, command="train.py --lr 0.1"), one(1, 2, pid=9, command="train.py --lr 0.2")))
    assert "rank 1 on node0 pid 9 runs `train.py --lr 0.2`, rank 0 runs `train.py --lr 0.1`: two jobs on one" in text


def test_two_jobs_with_different_keys() -> None:
    with call() as made:
        first = made.rank0(one(0, 2))
        intruder = made.other(one(1, 2, pid=9), OTHER, seconds=2).result(20)
        assert not first.done()
        assert made.other(one(1, 2)).result(20).ok
        verdict = first.result(20)
    assert verdict.ok
    assert "rank 1 on node0 pid 9 of job two from 127.0.0.1" in str(verdict.problems[0])
    assert "belongs to another job: job one; this one is job two" in errors(intruder)
    assert f"{HOST}:{made.port}" in errors(intruder)


def test_an_old_job_may_be_ending() -> None:
    with listening() as listener:
        port = listener.getsockname()[1]
        found: list[Verdict] = []
        waiting = threading.Thread(target=lambda: found.append(attend(one(1, 2), JOB, HOST, port, 20, quiet)))
        waiting.start()
        assert not answer(one(0, 2), OTHER, listener, 1.0, quiet).ok
        assert answer(one(0, 2), JOB, listener, 20, quiet).ok
        waiting.join(20)
    assert found[0].ok


def reporting(port: int, rank: int = 1, size: int = 2, host: str = "node1") -> socket.socket:
    """A connection that has reported, and was heard."""
    connection = socket.create_connection((HOST, port), timeout=10)
    line = client.Line(connection)
    line.send(wire.MAGIC, time.monotonic() + 10)
    hello = line.next(time.monotonic() + 10)
    assert hello is not None
    server, own = wire.read_hello(hello), wire.nonce()
    line.send(wire.report(JOB, one(rank, size, host, 9), 60, server, own), time.monotonic() + 10)
    heard = line.next(time.monotonic() + 10)
    assert heard is not None
    assert wire.read_reply(JOB, heard, server, own) == {"kind": "heard"}
    return connection


def test_one_that_leaves_while_it_waits() -> None:
    with call() as made:
        first, second = made.rank0(one(0, 3)), made.other(one(2, 3))
        reporting(made.port, 1, 3).close()
        text = told_alike([first.result(20), second.result(20)])
    assert "rank 1 on node1 pid 9 left while waiting" in text
    assert "did not come" not in text


def test_one_that_is_stopped_keeps_nobody() -> None:
    with call() as made:
        first = made.rank0(one(0, 2))
        with reporting(made.port):
            assert first.result(20).ok


def test_rank_0_leaves() -> None:
    with listening() as listener:

        def gone() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(10)
                frames = wire.Frames(wire.MOST_REPORT, wire.MAGIC)
                server = wire.nonce()
                while not frames.opened:
                    frames.feed(connection.recv(4096))
                connection.sendall(wire.hello(JOB, server))
                message = None
                while message is None:
                    frames.feed(connection.recv(4096))
                    message = next(iter(frames), None)
                read = wire.read_report(JOB, message, server)
                assert read is not None
                connection.sendall(b"".join(wire.reply_parts(JOB, b'{"kind":"heard"}', server, read[2])))

        thread = threading.Thread(target=gone)
        thread.start()
        verdict = attend(one(1, 2), JOB, HOST, listener.getsockname()[1], 20, quiet)
        thread.join(10)
    assert "left before the verdict" in errors(verdict)


def test_progress_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hearing, "FIRST_PROGRESS", 0.2)
    with call(seconds=1) as made:
        first, second = made.rank0(one(0, 3)), made.other(one(1, 3))
        assert not first.result(20).ok
        assert not second.result(20).ok
    assert made.said[0].endswith("/3 present after 0 s; missing 2") or "missing 1-2" in made.said[0]


def attended(address: str, port: int, seconds: float = 1.0, **more: object) -> str:
    sources = {"master_addr": "MASTER_ADDR", "master_port": "MASTER_PORT"}
    started = time.monotonic()
    verdict = attend(one(1, 2, sources=sources, **more), JOB, address, port, seconds, quiet)
    assert time.monotonic() - started < seconds + 5
    assert not verdict.ok
    assert verdict.present == ()
    return errors(verdict)


@pytest.fixture
def free_port() -> int:
    with socket.create_server((HOST, 0)) as listener:
        return int(listener.getsockname()[1])


def test_a_name_that_does_not_resolve() -> None:
    text = attended("rank0.invalid", 29500)
    assert "rank0.invalid of rank0.invalid:29500 (MASTER_ADDR, MASTER_PORT) did not resolve within 1 s" in text


@pytest.mark.parametrize("name", ["", "a" * 300, "x..y", "\0", "ü" * 80])
def test_names_that_are_none(name: str, free_port: int) -> None:
    attended(name, free_port, 0.3)


def test_a_name_service_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    stop = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *given, **named: stop.wait(30) and [])
    try:
        assert "the name service does not answer" in attended("node0", 29500, 0.5)
    finally:
        stop.set()


def test_a_name_that_resolves_late(monkeypatch: pytest.MonkeyPatch) -> None:
    resolve, late = socket.getaddrinfo, time.monotonic() + 0.7

    def slow(host: str, *given: object, **named: object) -> object:
        if time.monotonic() < late:
            raise socket.gaierror(-2, "Name or service not known")
        return resolve(HOST, *given, **named)  # type: ignore[arg-type]

    with call() as made:
        first = made.rank0(one(0, 2))
        monkeypatch.setattr(socket, "getaddrinfo", slow)
        assert attend(one(1, 2), JOB, "node0", made.port, 20, quiet).ok
        assert first.result(20).ok


def test_nothing_listens(free_port: int) -> None:
    text = attended(HOST, free_port)
    assert f"nothing listens at {HOST}:{free_port} (MASTER_ADDR, MASTER_PORT): refused for 1 s" in text


def test_every_node_is_led_to_itself(free_port: int) -> None:
    text = attended("localhost", free_port, nnodes=2, hosts=("node0", "node1"))
    assert f"localhost of localhost:{free_port} (MASTER_ADDR, MASTER_PORT) leads to" in text
    assert "to this host itself" in text
    assert "an address of node0" in text


def test_no_route(monkeypatch: pytest.MonkeyPatch) -> None:
    def connect(self: socket.socket, address: object) -> None:
        raise OSError(113, "No route to host")

    class Cut(socket.socket):
        pass

    Cut.connect = connect  # type: ignore[method-assign,assignment]
    monkeypatch.setattr(socket, "socket", Cut)
    text = attended(HOST, 29500, 0.5)
    assert (
        f"no connection to {HOST}:29500 (MASTER_ADDR, MASTER_PORT) within 0.5 s (127.0.0.1: No route to host)" in text
    )


def test_trouble_is_said_meanwhile(monkeypatch: pytest.MonkeyPatch, free_port: int) -> None:
    monkeypatch.setattr(client, "FIRST_TROUBLE", 0.1)
    said: list[str] = []
    attend(one(1, 2), JOB, HOST, free_port, 1, said.append)
    assert len(said) == 1
    assert f"rank 1 has not reached {HOST}:{free_port} after 0 s: nothing listens there yet" in said[0]


def serve(listener: socket.socket, reply: bytes, stop: threading.Event) -> None:
    """A foreign server, which answers everybody with the same; with nothing, it stays silent."""
    listener.settimeout(0.1)
    kept = []
    while not stop.is_set():
        try:
            connection, _ = listener.accept()
        except TimeoutError:
            continue
        kept.append(connection)
        if reply:
            connection.recv(4096)
            connection.sendall(reply)
            connection.close()
    for connection in kept:
        connection.close()


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", "no roll-call: it speaks another protocol"),
        (b"\x40\x00\x00\x00", "no roll-call: it speaks another protocol"),
        (wire.pack(b'{"fine":1}', 100), "no roll-call: it speaks another protocol: no hello"),
        (
            wire.hello(OTHER, "0" * 32) + wire.pack(b'{"body":{"kind":"verdict","problems":[]},"mac":"00"}', 100),
            "no roll-call: not signed by this job",
        ),
        (b"", "no roll-call: it says nothing"),
    ],
)
def test_foreign_servers(reply: bytes, words: str) -> None:
    stop = threading.Event()
    with listening() as listener:
        thread = threading.Thread(target=serve, args=(listener, reply, stop))
        thread.start()
        try:
            text = attended(HOST, listener.getsockname()[1], 0.8)
        finally:
            stop.set()
            thread.join(10)
    assert words in text
    assert f"what listens at {HOST}:" in text


def test_a_foreign_server_is_not_asked_forever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "FOREIGN_SECONDS", 0.5)
    stop = threading.Event()
    with listening() as listener:
        thread = threading.Thread(target=serve, args=(listener, b"SSH-2.0-OpenSSH_9.2\r\n", stop))
        thread.start()
        timer = later(20, stop.set)
        try:
            assert "SSH" not in errors(attend(one(1, 2), JOB, HOST, listener.getsockname()[1], 60, quiet))
            assert not stop.is_set()
        finally:
            timer.cancel()
            stop.set()
            thread.join(10)


def test_numbers_that_cannot_be_reported(free_port: int) -> None:
    assert "rank -1 on node0 pid 999 cannot report" in errors(attend(one(-1, 2), JOB, HOST, free_port, 1, quiet))


def test_a_socket_that_does_not_listen() -> None:
    with socket.socket() as closed:
        pass
    assert "cannot hold the roll-call" in errors(answer(one(0, 2), JOB, closed, 1, quiet))
    with socket.socket() as unbound:
        assert not answer(one(0, 2), JOB, unbound, 0.2, quiet).ok
