"""DDP106: RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT are not all there when the process group starts."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

from ddplint.findings import Applicability, Finding, Severity
from ddplint.rules import Rule

if TYPE_CHECKING:
    from ddplint.program import Program


class IncompleteRendezvousEnv(Rule):
    """``env://`` starts in processes that no launcher prepared."""

    code = "DDP106"
    name = "incomplete-rendezvous-env"
    severity = Severity.ERROR
    summary = "RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT are not all set before init"
    fix = Applicability.UNSAFE

    def check(self, program: Program) -> Iterable[Finding]:
        from ddplint import repairs
        from ddplint.program import rendezvous
        from ddplint.program.values import Origin

        for group in program.judged_groups:
            gap = rendezvous.gap(program, group)
            if gap is None:
                continue
            names = " and ".join(gap.missing) if len(gap.missing) < 3 else ", ".join(gap.missing)
            verb = "is" if len(gap.missing) == 1 else "are"
            late = f" (set only later, in line {gap.late})" if gap.late else ""
            told = repairs.topology.told if group.event.context else repairs.slurm.rendezvous
            yield program.finding(
                self,
                Origin(group.event.module, group.event.node),
                f"{names} {verb} not set when {gap.who} gets here{late}: "
                "init_process_group reads the environment and fails",
                help="set what is missing before this call (os.environ.setdefault), or start the script with torchrun",
                fix=partial(told, program, group, gap.missing),
            )
