"""DDP111: a variable of Slurm or an MPI is used for something that it does not count."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

from ddplint.findings import Applicability, Finding, Severity
from ddplint.rules import Rule

if TYPE_CHECKING:
    from ddplint.program import Program


class SchedulerVariableMisuse(Rule):
    """Variables whose meaning, by the launcher's own tables, is not that of the place they are used in."""

    code = "DDP111"
    name = "scheduler-variable-misuse"
    severity = Severity.ERROR
    summary = "a SLURM, MPI or PBS variable is used for the wrong thing"
    fix = Applicability.UNSAFE

    def check(self, program: Program) -> Iterable[Finding]:
        from ddplint import repairs
        from ddplint.program import launchers, misuse

        for group in program.judged_groups:
            for what, argument, wanted in (
                ("rank", "RANK", launchers.Role.RANK),
                ("world_size", "WORLD_SIZE", launchers.Role.WORLD_SIZE),
            ):
                variable = misuse.misused_variable(group, what)
                if variable is None:
                    continue
                owner = launchers.owner(variable.name)
                role = launchers.meaning(variable.name)
                assert owner is not None
                assert role is not None
                failure = group.rank_failure if what == "rank" else group.world_failure
                yield program.finding(
                    self,
                    program.written_at(group, what, argument),
                    f"{variable.name} is the {role.value}, not the {wanted.value} that it is used as",
                    help=f"use {launchers.name_of(owner, wanted)}",
                    counterexample=group.counterexample(failure) if failure else None,
                    fix=partial(repairs.topology.fix, program, group),
                )
        for variable, origin in misuse.misused_addresses(program):
            role = launchers.meaning(variable.name)
            if role is launchers.Role.HOSTLIST:
                problem = "is a compressed list such as node[01-04], not the name of one host"
            else:
                problem = "is where srun was typed, which may be the login node, not where rank 0 runs"
            yield program.finding(
                self,
                origin,
                f"{variable.name} {problem}: as the master address it cannot be reached",
                help="expand the list and take its first host: scontrol show hostnames $SLURM_STEP_NODELIST | head -n1",
                fix=partial(repairs.slurm.first_host, program, variable, origin),
            )
        for name, known, origin in misuse.misspelled(program):
            yield program.finding(
                self,
                origin,
                f"Slurm sets no variable {name}: the read fails, or always takes its default",
                help=f"use {known}",
                fix=partial(repairs.slurm.real_name, program, name, known),
            )
