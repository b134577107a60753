"""When the verdict is given: the one course of a roll-call, whatever carries the reports."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from ddplint.runtime.problem import ERROR, Problem
from ddplint.runtime.rollcall import naming
from ddplint.runtime.rollcall.attendance import Attendance
from ddplint.runtime.rollcall.judgement import Notes, contradictions, incomplete_hosts, judge, whereabouts

# After the first sign of an error the others get this long, so that they are heard as well and hear why.
GRACE = 2.0
FIRST_PROGRESS, NEXT_PROGRESS = 5.0, 10.0
# Strangers that are named in a verdict.
MOST_STRANGERS = 8
# Looking at all reports may take at most a part of the time.
LOOK_EVERY, LOOK_SHARE = 0.1, 10


class Hearing:
    """Collects reports, and says when there is enough for a verdict; the caller owns the clock."""

    def __init__(self, own: Attendance, seconds: float, settle: float, now: float) -> None:
        self._own = own
        self._settle = settle
        self._start = now
        self._deadline = now + seconds
        self._reports: dict[int, Attendance] = {}
        self._left: set[int] = set()
        self._strangers: dict[str, None] = {}
        self.crowded: int | None = None
        self._count = 0
        self._news = now
        self._unseen = True
        self._next_look = now
        self._evidence: float | None = None
        self._complete = False
        self._progress = now + FIRST_PROGRESS
        self.come(own, now)

    @property
    def present(self) -> tuple[Attendance, ...]:
        """All reports, by rank."""
        return tuple(sorted(self._reports.values(), key=lambda one: one.rank))

    @property
    def full(self) -> bool:
        """Whether more came than any job sends by mistake; the verdict does not need the rest."""
        return len(self._reports) >= most_reports(self._own.world_size)

    def come(self, attendance: Attendance, now: float, patience: float | None = None) -> int:
        """Somebody reports, and will wait for so many seconds; the number is for `leave`."""
        for number in [number for number in self._left if self._reports[number].rank == attendance.rank]:
            # A process that was started again, or that came back: nobody is missing.
            self._forget(number)
        if attendance.hosts == self._own.hosts:
            # One list of a thousand hosts, not a thousand of them.
            attendance = replace(attendance, hosts=self._own.hosts)
        self._count += 1
        self._reports[self._count] = attendance
        self._touch(now)
        if patience is not None:
            self._deadline = min(self._deadline, now + patience)
        return self._count

    def leave(self, number: int, now: float) -> None:
        """A process closed its connection before there was a verdict."""
        gone = self._reports.get(number)
        if gone is None:
            return
        self._left.add(number)
        if any(one.rank == gone.rank for other, one in self._reports.items() if other not in self._left):
            self._forget(number)
        self._touch(now)

    def stranger(self, who: str) -> None:
        """A process of another job knocked."""
        if len(self._strangers) < MOST_STRANGERS:
            self._strangers[who] = None

    def _forget(self, number: int) -> None:
        del self._reports[number]
        self._left.discard(number)

    def _touch(self, now: float) -> None:
        self._news = now
        self._unseen = True

    def _notes(self) -> Notes:
        left = tuple(self._reports[number] for number in sorted(self._left))
        return Notes(left, tuple(self._strangers), self.crowded)

    def _look(self, now: float) -> None:
        started = time.perf_counter()
        reports = tuple(self._reports.values())
        self._complete = not naming.gaps((one.rank for one in reports), self._own.world_size)
        wrong = any(problem.severity == ERROR for problem in contradictions(reports, self._notes()))
        if not wrong:
            self._evidence = None
        elif self._evidence is None:
            self._evidence = now
        self._unseen = False
        self._next_look = now + max(LOOK_EVERY, LOOK_SHARE * (time.perf_counter() - started))

    def verdict(self, now: float) -> tuple[Problem, ...] | None:
        """The problems, once it is time; none of them if the job may start."""
        over = now >= self._deadline
        if self._unseen and (over or now >= self._next_look):
            self._look(now)
        if not over and (self._unseen or now < self._due()):
            return None
        return judge(self.present, self._notes(), seconds=min(now, self._deadline) - self._start)

    def _due(self) -> float:
        if self._evidence is not None:
            return min(self._deadline, self._evidence + GRACE)
        return min(self._deadline, self._news + self._settle) if self._complete else self._deadline

    def wait(self, now: float) -> float:
        """Seconds until there is something to do, if nobody comes."""
        due = min(self._next_look, self._deadline) if self._unseen else self._due()
        return max(0.0, min(due, self._progress) - now)

    def progress(self, now: float) -> str | None:
        """From time to time: who is still missing."""
        if now < self._progress:
            return None
        while self._progress <= now:
            self._progress += NEXT_PROGRESS
        text = progress(self.present, self._own.world_size, now - self._start)
        return text + ("; processes of another job were turned away" if self._strangers else "")


def most_reports(world_size: int) -> int:
    """All ranks twice, and some: what more there is tells nothing new."""
    return 2 * world_size + 128


def progress(present: Sequence[Attendance], size: int, seconds: float) -> str:
    """``12/16 present after 20 s; missing 8-11 = node2``."""
    spans = naming.gaps((one.rank for one in present), size)
    came = size - sum(last - first + 1 for first, last in spans)
    text = f"{came}/{size} present after {seconds:.0f} s"
    if not spans:
        return text
    text += f"; missing {naming.spelt(spans)}"
    where = whereabouts(present)
    if not where:
        return text
    known = all(one.local_world_size is not None for one in present)
    # They are those of the silent hosts only if the others have come in full.
    return text + (f" = {where}" if known and not incomplete_hosts(present) else f"; nothing from {where}")
