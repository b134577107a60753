"""The same roll-call through the store of torchrun's agent, which all workers can reach already."""

from __future__ import annotations

import json
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

from ddplint.runtime.problem import ERROR, Problem
from ddplint.runtime.rollcall import naming, verdict, wire
from ddplint.runtime.rollcall.attendance import Attendance, AttendanceError, without_lists
from ddplint.runtime.rollcall.hearing import Hearing, most_reports
from ddplint.runtime.rollcall.verdict import Verdict

FIRST_POLL, LAST_POLL = 0.02, 0.25
SETTLE = 0.3
# Without a rank 0 that judges, another does; so long after the deadline.
DEPUTY_SECONDS = 1.5
MARGIN = 4.0
# The reports of all ranks for all ranks, packed and not.
MOST_PACKED, MOST_UNPACKED = 4 << 20, 64 << 20


class Store(Protocol):
    """What is used of a store of torch.distributed."""

    def set(self, key: str, value: str, /) -> object: ...

    def get(self, key: str, /) -> bytes: ...

    def add(self, key: str, number: int, /) -> int: ...

    def check(self, keys: list[str], /) -> bool: ...


def attend_store(own: Attendance, store: Store, prefix: str, seconds: float, say: Callable[[str], None]) -> Verdict:
    """Report through the store and hear the verdict; rank 0 judges, or for want of it another rank.

    The prefix is of this start only: a store outlives the workers that are restarted. Trouble with the store is a
    problem of the verdict, and raises nothing.
    """
    try:
        return _Assembly(own, store, prefix, seconds).hold(say)
    # Torch's stores raise RuntimeErrors of several kinds, and whatever it is, the others need not be harmed by it.
    except Exception as error:
        return Verdict(
            (own,),
            (
                Problem(
                    ERROR,
                    f"{naming.process(own)}: the store of the agent failed: {str(error)[:500]}",
                    "the agents of all nodes keep a store for their workers",
                    "look at the output of torchrun on the node of rank 0: its agent has ended, or cannot be reached",
                ),
            ),
        )


class _Assembly:
    """One process in front of the store."""

    def __init__(self, own: Attendance, store: Store, prefix: str, seconds: float) -> None:
        self._own = own
        self._store = store
        self._prefix = prefix
        self._seconds = seconds
        self._start = time.monotonic()
        self._hearing = Hearing(own, seconds, SETTLE, self._start)
        # Numbers of reports that are announced and not read.
        self._awaited: set[int] = set()
        self._announced = 0
        self._number = 0

    def _key(self, *names: object) -> str:
        return "/".join([self._prefix, *map(str, names)])

    def hold(self, say: Callable[[str], None]) -> Verdict:
        self._number = self._store.add(self._key("arrived"), 1)
        self._store.set(self._key("report", self._number), _spelt(self._own))
        judging, deputy = self._own.rank == 0, False
        poll = FIRST_POLL
        while True:
            now = time.monotonic()
            late = now - self._start - self._seconds
            if self._store.check([self._key("present"), self._key("verdict")]):
                return self._told()
            if late > MARGIN:
                return Verdict((self._own,), (self._silence(),))
            # By now rank 0 has judged, if it has come. Only one in its place reads the thousand reports.
            if not deputy and self._own.rank != 0 and late > DEPUTY_SECONDS:
                deputy, judging = True, self._chosen()
            if judging:
                self._read(now)
                problems = self._hearing.verdict(now)
                if problems is not None and (deputy or self._chosen()):
                    return self._give(problems)
                # Else another judges: there is to be one verdict.
                judging = problems is None
                text = self._hearing.progress(now) if self._own.rank == 0 else None
                if text is not None:
                    say(text)
            time.sleep(poll)
            poll = min(LAST_POLL, poll * 1.2)

    def _chosen(self) -> bool:
        """Whether this process is the first that wants to judge."""
        return self._store.add(self._key("judging"), 1) == 1

    def _read(self, now: float) -> None:
        arrived = min(self._store.add(self._key("arrived"), 0), most_reports(self._own.world_size))
        self._awaited.update(set(range(self._announced + 1, arrived + 1)) - {self._number})
        self._announced = max(self._announced, arrived)
        for number in sorted(self._awaited):
            if self._store.check([self._key("report", number)]):
                self._awaited.discard(number)
                try:
                    self._hearing.come(_read(self._store.get(self._key("report", number))), now)
                except (wire.WireError, AttendanceError):
                    # Not written by this package: then its process is missing.
                    continue

    def _give(self, problems: Sequence[Problem]) -> Verdict:
        present = self._hearing.present
        self._store.set(self._key("present"), _packed(present))
        self._store.set(self._key("verdict"), wire.canonical(verdict.to_json(problems)).decode())
        return Verdict(present, tuple(problems))

    def _told(self) -> Verdict:
        text = self._store.get(self._key("verdict"))
        if len(text) > wire.MOST_VERDICT:
            raise wire.WireError("a verdict that is too long")
        problems = verdict.from_json(json.loads(text))
        return Verdict(_unpacked(self._store.get(self._key("present"))), problems)

    def _silence(self) -> Problem:
        return Problem(
            ERROR,
            f"{naming.process(self._own)}: no verdict in the store of the agent within "
            f"{naming.number(self._seconds)} s",
            "rank 0 reads the reports of all workers from the store, and judges",
            "look at the output of rank 0",
        )


def _spelt(attendance: Attendance) -> str:
    text = wire.canonical(attendance.to_json())
    if len(text) > wire.MOST_REPORT:
        text = wire.canonical(without_lists(attendance).to_json())
    return text.decode()


def _read(text: bytes) -> Attendance:
    if len(text) > wire.MOST_REPORT:
        raise wire.WireError("a report that is too long")
    return Attendance.from_json(wire.unpack(bytes(text)))


def _packed(present: Sequence[Attendance]) -> str:
    """All reports in one value, the list of hosts only once; nothing if they are too many."""
    rows = [replace(one, hosts=() if number else one.hosts).to_json() for number, one in enumerate(present)]
    # Digits, because not every store takes bytes.
    packed = zlib.compress(wire.canonical(rows), 6).hex()
    return packed if len(packed) <= MOST_PACKED else ""


def _unpacked(text: bytes) -> tuple[Attendance, ...]:
    if not text or len(text) > MOST_PACKED:
        return ()
    try:
        rows = json.loads(zlib.decompressobj().decompress(bytes.fromhex(text.decode("ascii")), MOST_UNPACKED))
        return tuple(map(Attendance.from_json, rows)) if isinstance(rows, list) else ()
    except (ValueError, zlib.error, RecursionError):
        return ()
