"""What all processes of a job are told, and its form on the wire."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ddplint.runtime.problem import ERROR, WARNING, Problem
from ddplint.runtime.rollcall.attendance import BREAKS, Attendance, AttendanceError, plain

MOST_PROBLEMS = 64
MOST_TEXT = 16384
# All texts of one verdict together, in characters of at most four bytes: it has to fit into one frame.
MOST_TEXTS = 200_000
_TEXTS = ("detected", "requirement", "fix")


@dataclass(frozen=True)
class Verdict:
    """Who came, as far as this process knows, and what is wrong; warnings are among the problems."""

    present: tuple[Attendance, ...] = ()
    problems: tuple[Problem, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether the job may start."""
        return not any(problem.severity == ERROR for problem in self.problems)


def to_json(problems: Sequence[Problem]) -> list[dict[str, str]]:
    """Problems in the form that `from_json` accepts; texts are cut where they are longer than that."""
    rows: list[dict[str, str]] = []
    room = MOST_TEXTS
    # Errors first: a verdict that was cut may not turn into a good one.
    for problem in sorted(problems, key=lambda problem: problem.severity != ERROR)[:MOST_PROBLEMS]:
        row = {"severity": problem.severity}
        for name in _TEXTS:
            row[name] = plain(getattr(problem, name), min(MOST_TEXT, room), BREAKS)
            room -= len(row[name])
        rows.append(row)
    return rows


def from_json(data: object) -> tuple[Problem, ...]:
    """The problems of a verdict that came from elsewhere."""
    if not isinstance(data, list) or len(data) > MOST_PROBLEMS:
        raise AttendanceError("problems are a short list")
    return tuple(_problem(row) for row in data)


def _problem(row: object) -> Problem:
    if not isinstance(row, Mapping) or row.get("severity") not in (ERROR, WARNING):
        raise AttendanceError("a problem is an error or a warning")
    texts = [row.get(name) for name in _TEXTS]
    found = [plain(text, MOST_TEXT, BREAKS) for text in texts if isinstance(text, str) and len(text) <= MOST_TEXT]
    if len(found) != len(_TEXTS):
        raise AttendanceError("a problem has three texts")
    return Problem(row["severity"], *found)
