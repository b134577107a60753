"""The roll-call through a store, as torchrun's agents keep one."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from rollcalls import errors, one, quiet, told_alike

from ddplint.runtime.rollcall import Attendance, Verdict, agent_store, attend_store, hearing


@pytest.fixture(autouse=True)
def little_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Enough for threads that are started already."""
    monkeypatch.setattr(hearing, "GRACE", 0.7)


class Store:
    """Behaves like torch's; a get of what is not there would wait for the store's timeout."""

    def __init__(self, slow: float = 0.0) -> None:
        self.slow = slow
        self.lock = threading.Lock()
        self.values: dict[str, bytes] = {}
        self.gets = 0
        self.verdicts = 0

    def set(self, key: str, value: str) -> None:
        if key.endswith("/present"):
            # Long enough for any other that would judge.
            time.sleep(self.slow)
        with self.lock:
            self.verdicts += key.endswith("/verdict")
            self.values[key] = value.encode()

    def get(self, key: str) -> bytes:
        with self.lock:
            self.gets += 1
            assert key in self.values, f"a get of {key} would block"
            return self.values[key]

    def add(self, key: str, number: int) -> int:
        with self.lock:
            total = int(self.values.get(key, b"0")) + number
            self.values[key] = str(total).encode()
            return total

    def check(self, keys: list[str]) -> bool:
        with self.lock:
            return all(key in self.values for key in keys)


def held(*all_: Attendance, seconds: float = 20, store: Store | None = None, prefix: str = "p/0") -> list[Verdict]:
    kept = store or Store()
    with ThreadPoolExecutor(64) as pool:
        return list(pool.map(lambda own: attend_store(own, kept, prefix, seconds, quiet), all_))


def test_all_come_and_all_know_who() -> None:
    hosts = ("node0", "node1")
    everyone = tuple(one(rank, 8, f"node{rank // 4}", hosts=hosts if rank == 0 else ()) for rank in range(8))
    verdicts = held(*reversed(everyone))
    assert all(verdict.ok and not verdict.problems for verdict in verdicts)
    assert {verdict.present for verdict in verdicts if verdict.present != everyone} == set()


def test_a_restart_has_another_prefix() -> None:
    store = Store()
    assert not held(one(0, 2), one(0, 2, pid=5), store=store, prefix="p/0")[0].ok
    assert all(verdict.ok for verdict in held(one(0, 2), one(1, 2), store=store, prefix="p/1"))


def test_a_rank_is_missing() -> None:
    assert "rank 2 of 3 did not come within 1" in told_alike(held(one(0, 3), one(1, 3), seconds=1))


def test_a_rank_comes_twice() -> None:
    text = told_alike(held(one(0, 3), one(1, 3, pid=5), one(1, 3, pid=6)))
    assert "rank 1 is claimed twice: by node0 pid 5 (RANK) and node0 pid 6 (RANK)" in text


def test_there_is_one_verdict_when_rank_0_comes_twice() -> None:
    store = Store(slow=0.6)
    text = told_alike(held(one(0, 2, pid=5), one(0, 2, pid=6), one(0, 2, pid=7), store=store))
    assert "rank 0 is claimed 3 times" in text
    assert "rank 1 of 2 did not come" in text
    assert store.verdicts == 1


def test_without_rank_0_another_judges() -> None:
    store = Store(slow=0.6)
    text = told_alike(held(*(one(rank, 8) for rank in range(1, 8)), seconds=0.5, store=store))
    assert "rank 0 of 8 did not come" in text
    assert store.verdicts == 1
    # One reads all reports, and each the verdict.
    assert store.gets <= 6 + 2 * 7


def test_what_others_wrote_is_not_believed() -> None:
    store = Store()
    for number, junk in enumerate(("x", "[" * 100_000, "{}", "9" * 70_000), 1):
        store.add("p/0/arrived", 1)
        store.set(f"p/0/report/{number}", junk)
    # Announced, and never written.
    store.add("p/0/arrived", 1)
    assert all(verdict.ok for verdict in held(one(0, 2), one(1, 2), store=store))


def test_presence_that_cannot_be_read_is_left_out() -> None:
    store = Store()
    store.set("p/0/present", "zz")
    store.set("p/0/verdict", "[]")
    assert held(one(1, 2), store=store) == [Verdict()]


@pytest.mark.parametrize("junk", ["", "00", "78", "[]", "\xff" * 9])
def test_packed_reports(junk: str) -> None:
    everyone = (one(0, 2, hosts=("a",)), one(1, 2, problems=("x\ny",)))
    assert agent_store._unpacked(agent_store._packed(everyone).encode()) == everyone
    assert agent_store._unpacked(junk.encode()) == ()


def test_a_store_that_is_gone() -> None:
    class Gone(Store):
        def check(self, keys: list[str]) -> bool:
            raise RuntimeError("Broken pipe")

    (verdict,) = held(one(1, 2), store=Gone())
    assert "the store of the agent failed: Broken pipe" in errors(verdict)


def test_nobody_judges(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent_store, "MARGIN", 0.5)
    started = time.monotonic()
    (verdict,) = held(one(1, 2), seconds=0.5)
    assert time.monotonic() - started < 5.5
    assert "no verdict in the store of the agent within 0.5 s" in errors(verdict)


def test_the_reports_of_all_are_short() -> None:
    store = Store()
    everyone = [one(rank, 40, f"node{rank // 4}") for rank in range(40)]
    verdicts = held(*everyone, store=store)
    assert all(verdict.ok for verdict in verdicts)
    assert len(store.values["p/0/present"]) < 20_000
