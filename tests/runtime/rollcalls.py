"""Roll-calls on the loopback interface: processes played by threads."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from ddplint.runtime.problem import ERROR
from ddplint.runtime.rollcall import Attendance, Job, Verdict, answer, attend

JOB = Job(b"k" * 32, "job one")
OTHER = Job(b"o" * 32, "job two")
HOST = "127.0.0.1"


def one(rank: int, size: int, host: str = "node0", pid: int | None = None, **more: Any) -> Attendance:
    more.setdefault("sources", {"rank": "RANK", "world_size": "WORLD_SIZE"})
    more.setdefault("launcher", "environment")
    return Attendance(rank=rank, world_size=size, host=host, pid=1000 + rank if pid is None else pid, **more)


def quiet(text: str) -> None:
    """Nobody reads the progress."""


@contextmanager
def listening(backlog: int = 1024) -> Iterator[socket.socket]:
    with socket.create_server((HOST, 0), backlog=backlog) as listener:
        yield listener


class Call:
    """One roll-call: rank 0 and the others, each in a thread of its own."""

    def __init__(self, listener: socket.socket, job: Job = JOB, seconds: float = 20.0) -> None:
        self.listener = listener
        self.port = listener.getsockname()[1]
        self.job = job
        self.seconds = seconds
        self.pool = ThreadPoolExecutor(64)
        self.said: list[str] = []

    def rank0(self, own: Attendance, **more: Any) -> Future[Verdict]:
        return self.pool.submit(answer, own, self.job, self.listener, self.seconds, self.said.append, **more)

    def other(self, own: Attendance, job: Job | None = None, seconds: float | None = None) -> Future[Verdict]:
        return self.pool.submit(attend, own, job or self.job, HOST, self.port, seconds or self.seconds, quiet)


@contextmanager
def call(seconds: float = 20.0, job: Job = JOB) -> Iterator[Call]:
    with listening() as listener:
        made = Call(listener, job, seconds)
        try:
            yield made
        finally:
            made.pool.shutdown(wait=True)


def held(first: Attendance, *others: Attendance, seconds: float = 20.0) -> list[Verdict]:
    """The verdicts that all processes of a roll-call get, rank 0's first."""
    with call(seconds) as made:
        futures = [made.rank0(first), *map(made.other, others)]
        return [future.result(60) for future in futures]


def errors(verdict: Verdict) -> str:
    return "\n\n".join(str(problem) for problem in verdict.problems if problem.severity == ERROR)


def told_alike(verdicts: list[Verdict]) -> str:
    """The errors, which are the same for all."""
    assert not any(verdict.ok for verdict in verdicts)
    (text,) = {errors(verdict) for verdict in verdicts}
    return text


def later(seconds: float, do: Callable[[], object]) -> threading.Timer:
    timer = threading.Timer(seconds, do)
    timer.start()
    return timer
