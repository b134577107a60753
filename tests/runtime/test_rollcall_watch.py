"""After the start of a job that nothing names: who ends it by coming late, and who does not."""

from __future__ import annotations

import contextlib
import random
import socket
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from rollcalls import HOST, JOB, OTHER, call, one, quiet

from ddplint.runtime.problem import Problem
from ddplint.runtime.rollcall import (
    Attendance,
    AtTheDoor,
    Inside,
    Job,
    Verdict,
    attend,
    client,
    descriptors,
    knock,
    naming,
)
from ddplint.runtime.rollcall.watch import GRACE, MOST_VISITORS, Latecomers

COMMAND = "train.py --epochs 3"


def mine(rank: int, size: int = 3, host: str = "node0", **more: Any) -> Attendance:
    return one(rank, size, host, **{"command": COMMAND, **more})


class Started:
    """A job that has started, whose processes wait for late ones."""

    def __init__(self, watches: Sequence[AtTheDoor | Inside], port: int) -> None:
        self.watches = watches
        self.port = port
        self.over = False
        self.told: list[list[Problem]] = [[] for _ in watches]
        self.threads = [
            threading.Thread(target=watch.stand, args=(told.extend, lambda: self.over))
            for watch, told in zip(watches, self.told, strict=True)
        ]
        for thread in self.threads:
            thread.start()

    def comes(self, own: Attendance, job: Job = JOB) -> Verdict | None:
        return knock(own, job, HOST, self.port, 5)

    def end(self) -> list[list[Problem]]:
        """What each was told, after all have stopped waiting."""
        for thread in self.threads:
            thread.join(10)
            assert not thread.is_alive()
        return self.told

    def goes_on(self) -> bool:
        return all(thread.is_alive() for thread in self.threads) and not any(self.told)

    def leave(self) -> None:
        for watch in self.watches[1:]:
            watch.close()


def meeting(size: int, stay: float) -> list[AtTheDoor | Inside]:
    """The roll-call of a job; rank 0 is the first."""
    doors: list[AtTheDoor] = []
    insides: list[Inside] = []
    with call() as made:
        first = made.rank0(mine(0, size), stay=stay, kept=lambda kept: doors.append(AtTheDoor(kept)))
        others = [
            made.pool.submit(
                attend, mine(rank, size), JOB, HOST, made.port, 20, quiet, lambda kept: insides.append(Inside(kept))
            )
            for rank in range(1, size)
        ]
        assert all(future.result(20).ok for future in (first, *others))
    return [*doors, *insides]


@contextlib.contextmanager
def started(size: int = 3, stay: float = 20.0) -> Iterator[Started]:
    watches = meeting(size, stay)
    assert len(watches) == size
    assert isinstance(watches[0], AtTheDoor)
    job = Started(watches, watches[0].open())
    try:
        yield job
    finally:
        job.leave()
        job.end()


def test_a_late_one_ends_all() -> None:
    with started() as job:
        verdict = job.comes(mine(1, host="node7", pid=77))
        told = job.end()
    assert verdict is not None
    assert not verdict.ok
    assert [list(verdict.problems)] * 3 == told
    text = str(verdict.problems[0])
    assert "rank 1 on node7 pid 77 came 0." in text
    assert "in which rank 1 is node0 pid 1001" in text
    assert "DDPLINT_JOB_TOKEN" in text


def test_all_that_are_late_are_named() -> None:
    with started() as job, ThreadPoolExecutor(8) as pool:
        late = [mine(rank, host="node7", pid=70 + rank) for rank in range(3)]
        found: list[Future[Verdict | None]] = [pool.submit(job.comes, own) for own in late]
        verdicts = [future.result(20) for future in found]
        job.end()
    for verdict in verdicts:
        assert verdict is not None
        assert all(f"rank {own.rank} on node7 pid {own.pid}" in str(verdict.problems) for own in late)


def test_nobody_comes() -> None:
    with started(stay=0.5) as job:
        assert job.end() == [[], [], []]
        assert job.comes(mine(1)) is None


def test_who_comes_after_one_has_left_may_be_its_successor() -> None:
    with started() as job:
        job.watches[1].close()
        assert job.end() == [[], [], []]
        assert job.comes(mine(1, pid=77)) is None


@pytest.mark.parametrize(
    ("own", "job"),
    [
        (mine(1), OTHER),
        (mine(1, command="evaluate.py"), JOB),
        (mine(1, 4), JOB),
        (mine(3), JOB),
        # The script starts itself again, with the environment of its rank.
        (mine(1, pid=77, spawner=1002), JOB),
    ],
    ids=["another job", "another command", "another world size", "no rank of it", "a child of it"],
)
def test_it_is_no_other_half(own: Attendance, job: Job) -> None:
    with started() as running:
        assert running.comes(own, job) is None
        assert running.goes_on()


def test_the_training_is_over() -> None:
    with started() as job:
        job.over = True
        assert job.comes(mine(1, pid=77)) is None
        assert job.goes_on()


def test_the_parent_of_all_is_not_one_of_them() -> None:
    """Two programs that spawn their processes cross as well."""
    with started() as job:
        verdict = job.comes(mine(1, pid=77, spawner=900))
        assert verdict is not None
        assert not verdict.ok


def test_strangers_at_the_door() -> None:
    chance = random.Random(3)
    with started() as job, contextlib.ExitStack() as open_ones:
        for number in range(3 * MOST_VISITORS):
            connection = open_ones.enter_context(socket.create_connection((HOST, job.port), timeout=10))
            with contextlib.suppress(ConnectionError):
                connection.sendall((b"", chance.randbytes(300), b"GET / HTTP/1.1\r\n\r\n")[number % 3])
        for number in range(20):
            job.comes(mine(1, pid=number), OTHER)
        assert job.goes_on()
        verdict = job.comes(mine(2, pid=77))
        assert verdict is not None
        assert "pid 77" in str(verdict.problems[0])
        assert all(job.end())


def test_a_job_that_has_few_files_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(descriptors, "spare", lambda: 1)
    watches = meeting(4, 20)
    # Rank 0 and one more; when they end, the others cannot go on.
    assert [type(watch) for watch in watches] == [AtTheDoor, Inside]
    assert isinstance(watches[0], AtTheDoor)
    job = Started(watches, watches[0].open())
    assert job.comes(mine(3, 4, pid=77)) is not None
    assert all(job.end())


def test_a_job_with_a_name_keeps_no_connection() -> None:
    assert meeting(2, 0.0) == []


def test_more_late_ones_than_it_needs() -> None:
    late = Latecomers([mine(rank) for rank in range(3)], 2, 20, 0.0, lambda: False)
    numbers = [late.come(mine(1, pid=pid), 1.0) for pid in range(MOST_VISITORS)]
    assert numbers == list(range(2, 2 + MOST_VISITORS))
    assert late.full
    assert late.verdict(1.0) is None
    assert late.wait(1.0) == GRACE
    problems = late.verdict(1.0 + GRACE)
    assert problems is not None
    assert len(str(problems[0])) < 1500
    assert f"and {MOST_VISITORS - naming.MOST_NAMED} more" in str(problems[0])
    assert "rank 1 on node0 pid 0 came 1 s after the start" in str(problems[0])


@pytest.mark.parametrize("greeting", [None, b"", b"220 ready\r\n"])
def test_the_job_is_asked_where_no_roll_call_answers(greeting: bytes | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Torch's store says nothing to those who do not ask, or closes the connection."""
    monkeypatch.setattr(client, "FIRST_HELLO", 0.1)
    said = Verdict((mine(1),))
    asked: list[tuple[str, int]] = []

    def answered(address: str, port: int) -> Verdict | None:
        asked.append((address, port))
        # It has not started yet when it is asked first.
        return said if len(asked) > 1 else None

    with socket.create_server((HOST, 0)) as listener, contextlib.ExitStack() as open_ones:

        def serve() -> None:
            # One that gets no answer stays and asks elsewhere; one that is sent away comes again.
            for _ in range(1 if greeting is None else 2):
                connection = open_ones.enter_context(listener.accept()[0])
                if greeting is not None:
                    connection.sendall(greeting)
                    connection.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        port = listener.getsockname()[1]
        assert attend(mine(1), JOB, HOST, port, 10, quiet, started=answered) is said
        thread.join(10)
        assert not thread.is_alive()
    assert asked == [(HOST, port)] * 2
