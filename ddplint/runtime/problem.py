"""What is wrong, in three lines: what was found, what is needed and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

ERROR, WARNING = "error", "warning"


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong; an error ends in a failure or a hang, a warning need not."""

    severity: str
    detected: str
    requirement: str
    fix: str

    def __str__(self) -> str:
        return f"Detected: {self.detected}\nRequirement: {self.requirement}\nFix: {self.fix}"


def aside(problem: Problem) -> str:
    """A problem that stops nothing, in the lines of a log."""
    return f"{problem.severity}: {problem.detected}\n  {problem.requirement}\n  {problem.fix}"


class StartError(RuntimeError):
    """The process group is not started: it would fail, hang, or train something wrong."""

    # Where users import it from, and what a traceback calls it.
    __module__ = "ddplint.runtime"

    def __init__(self, problems: Sequence[Problem], who: str = "") -> None:
        self.problems = tuple(problems)
        self.who = who
        heading = f"the process group is not started{f' ({who})' if who else ''}"
        super().__init__("\n\n".join([heading, *map(str, self.problems)]))

    def __reduce__(self) -> tuple[object, ...]:
        # mp.spawn sends it to the parent.
        return StartError, (self.problems, self.who)
