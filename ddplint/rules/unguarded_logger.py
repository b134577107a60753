"""DDP604: every process opens a run of an experiment tracker."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

from ddplint.findings import Applicability, Finding, Severity
from ddplint.rules import Rule

if TYPE_CHECKING:
    from ddplint.program import Program


class UnguardedLogger(Rule):
    """One training is logged as many."""

    code = "DDP604"
    name = "unguarded-logger"
    severity = Severity.NOTE
    summary = "one experiment run per rank"
    fix = Applicability.UNSAFE

    def check(self, program: Program) -> Iterable[Finding]:
        from ddplint import repairs
        from ddplint.program import loggers
        from ddplint.program.library.trackers import WANDB

        for mistake in loggers.repeated(program):
            way, place = mistake.way, mistake.place
            package, _, name = way.event.name.rpartition(".")
            what = f"{name}()" if name[0].isupper() else f"{package}.{name}()"
            who = "All processes" if way.reach.leader else "All processes of the first machine"
            here = place.node is way.event.node
            if name[0].isupper():
                so = "each writes an event file, and TensorBoard shows the curves of all of them"
            else:
                so = "one training shows up as several runs"
            yield program.finding(
                self,
                place,
                f"{who} {f'open a run with {what}' if here else f'get to {what} through this call'}: {so}",
                help=f"open it in one process only: {_instead(way.event.name == WANDB)}",
                notes=() if here else (program.note(f"{what} is called", way.origin),),
                fix=partial(repairs.silent_runs.off_elsewhere, program, way.event),
            )


def _instead(is_wandb: bool) -> str:
    if is_wandb:
        return 'wandb.init(..., mode="disabled") where dist.get_rank() is not 0'
    return "if dist.get_rank() == 0, and guard what is logged later too"
