"""What the tests of the commands share: the outcome of one, and rules that do not depend on what the real ones find."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ddplint.findings import Finding, Position, Severity, Span
from ddplint.program import Program
from ddplint.rules import Rule

DISTRIBUTED = "import torch.distributed as dist\n\ndist.init_process_group('nccl')\n"


@dataclass(frozen=True)
class Outcome:
    """What a command did."""

    code: int
    out: str
    err: str


Command = Callable[..., Outcome]


def rule(
    code: str,
    name: str,
    check: Callable[[Program], Iterable[Finding]] | None = None,
    severity: Severity = Severity.WARNING,
) -> Rule:
    """A rule that reports the first line of every script, or what ``check`` says."""

    def first_line(program: Program) -> Iterable[Finding]:
        span = Span(Position(1, 1), Position(1, 7))
        yield Finding(code, name, severity, f"message of {name}", program.path, span)

    members = {"code": code, "name": name, "severity": severity, "summary": f"summary of {name}"}
    made: Rule = type("Made", (Rule,), members)()
    made.check = check or first_line  # type: ignore[method-assign]
    return made
