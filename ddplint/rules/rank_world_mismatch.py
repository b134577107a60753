"""DDP113: rank and world size are computed for different topologies."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

from ddplint.findings import Applicability, Finding, Severity
from ddplint.rules import Rule

if TYPE_CHECKING:
    from ddplint.program import Program


class RankWorldMismatch(Rule):
    """Ranks that are right by themselves, and a world size that they do not fill."""

    code = "DDP113"
    name = "rank-world-mismatch"
    severity = Severity.ERROR
    summary = "rank and world size are computed for different topologies"
    fix = Applicability.UNSAFE

    def check(self, program: Program) -> Iterable[Finding]:
        from ddplint import repairs
        from ddplint.program import misuse, sizes, words

        for group in program.judged_groups:
            if group.rank is None or group.world_size is None or group.rank_failure is not None:
                continue
            failure = group.joint_failure
            if failure is None and group.world_failure is not None and sizes.rank_is_global(group):
                failure = group.world_failure
            if failure is None or group.starts_too_many or misuse.misused_variable(group, "world_size"):
                continue
            if group.one_task_a_node:
                continue
            origin = program.written_at(group, "rank", "RANK")
            rank, size = group.chosen(failure, group.rank), group.chosen(failure, group.world_size)
            yield program.finding(
                self,
                origin,
                f"The rank is computed as {words.described_code(rank)} and world_size as "
                f"{words.described_code(size)}: on several nodes they never fit and the start hangs",
                help="use the same counts in both: rank = node_rank * nproc + local_rank, world_size = nnodes * nproc",
                notes=words.chain(program, size, "the world size", origin),
                counterexample=group.counterexample(failure),
                fix=partial(repairs.counts.mismatch, program, group),
            )
