"""DDP101: the rank given to the process group is not the global rank."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

from ddplint.findings import Applicability, Finding, Severity
from ddplint.rules import Rule

if TYPE_CHECKING:
    from ddplint.program import Program


class GlobalRank(Rule):
    """Judges the rank of every process on small topologies: each must be claimed once."""

    code = "DDP101"
    name = "global-rank"
    severity = Severity.WARNING
    summary = "the rank given to the process group is not the global rank"
    fix = Applicability.UNSAFE

    def check(self, program: Program) -> Iterable[Finding]:
        from ddplint import repairs
        from ddplint.program import launchers, words
        from ddplint.program.misuse import misused_variable

        for group in program.judged_groups:
            failure = group.rank_failure
            if failure is None or group.rank is None or group.one_task_a_node:
                continue
            if misused_variable(group, "rank") is not None:
                continue  # the scheduler's variable is at fault: DDP111 names it
            origin = program.written_at(group, "rank", "RANK")
            rank = group.chosen(failure, group.rank)
            launcher = failure.scenario.launcher
            if failure.scenario.spawns:
                repair = (
                    "pass node_rank * nprocs + local_rank, with node_rank from the launcher (NODE_RANK, SLURM_NODEID)"
                )
            elif launcher is not None and launcher is not launchers.TORCHRUN:
                repair = f"pass int(os.environ['{launchers.name_of(launcher, launchers.Role.RANK)}'])"
            else:
                repair = "leave rank= and world_size= out under torchrun, or pass int(os.environ['RANK'])"
            yield program.finding(
                self,
                origin,
                f"{words.sentence(rank)} is given to the process group as the global rank, "
                "so two processes of a job on several nodes claim the same one",
                severity=program.topology_severity(),
                help=repair,
                notes=words.chain(program, rank, "the rank", origin),
                counterexample=group.counterexample(failure),
                fix=partial(repairs.topology.fix, program, group),
            )
