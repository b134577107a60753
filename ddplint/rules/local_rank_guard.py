"""DDP606: a file of the whole job is written once on each machine."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

from ddplint.findings import Applicability, Finding, Severity
from ddplint.rules import Rule

if TYPE_CHECKING:
    from ddplint.program import Program


class LocalRankGuard(Rule):
    """A test of the local rank lets one process of every machine through."""

    code = "DDP606"
    name = "local-rank-guard"
    severity = Severity.WARNING
    summary = "once-per-job action guarded by the local rank"
    fix = Applicability.UNSAFE

    def check(self, program: Program) -> Iterable[Finding]:
        from ddplint import repairs
        from ddplint.program import once

        for mistake in once.saves_by_leaders(program):
            way = mistake.ways[0]
            save = way.event.name.rpartition(".")[2]
            yield program.finding(
                self,
                mistake.place,
                f"This lets local rank 0 of every machine through to {save}(): on a shared disk several machines write "
                "the same file at the same time",
                help="test the rank of the whole job: dist.get_rank() == 0",
                notes=[program.note(f"{save}() is called", way.origin)],
                fix=partial(repairs.rank_guards.by_first, program, [one.event for one in mistake.ways]),
            )
