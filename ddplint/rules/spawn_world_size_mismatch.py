"""DDP110: the processes that a script starts and the world size disagree."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

from ddplint.findings import Applicability, Finding, Severity
from ddplint.rules import Rule

if TYPE_CHECKING:
    from ddplint.program import Program


class SpawnWorldSizeMismatch(Rule):
    """On one node the processes started are all there are: the world size must be their number."""

    code = "DDP110"
    name = "spawn-world-size-mismatch"
    severity = Severity.ERROR
    summary = "processes started and world size disagree"
    fix = Applicability.UNSAFE

    def check(self, program: Program) -> Iterable[Finding]:
        from ddplint import repairs
        from ddplint.program import counts, words
        from ddplint.program.values import Origin

        for group in program.judged_groups:
            if not group.event.context or group.world_size is None:
                continue
            spawn = group.event.context[-1]
            if spawn.count is None or spawn.index is None:
                continue
            if counts.parent_joins(program, group):
                continue  # the process that starts the others is one of the ranks
            failure = group.starts_too_many
            if failure is None:
                continue
            yield program.finding(
                self,
                Origin(spawn.module, spawn.count.node),
                f"{words.sentence(spawn.count.value)} says how many processes start, but each waits for "
                f"{words.describe(group.world_size)}: the start hangs until the missing ranks time out",
                help="start exactly world_size processes on one node: nprocs=world_size",
                notes=words.chain(program, group.world_size, "the world size", Origin(spawn.module, spawn.count.node)),
                counterexample=group.counterexample(failure, of_ranks=False),
                fix=partial(repairs.counts.started, program, group),
            )
