"""DDP201: something asks for the process group where there is none."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ddplint.findings import Finding, Severity
from ddplint.rules import Rule

if TYPE_CHECKING:
    from ddplint.program import Program


class MissingInit(Rule):
    """One finding for each script, at the first place that fails."""

    code = "DDP201"
    name = "missing-init"
    severity = Severity.ERROR
    summary = "process group used before init_process_group, or without it"

    def check(self, program: Program) -> Iterable[Finding]:
        from ddplint.program import beginnings
        from ddplint.program.values import Origin

        found = beginnings.premature(program)
        if found is None:
            return
        name, start = beginnings.name(found.event), found.start
        notes = []
        if found.site.node is not found.event.node:
            notes.append(program.note(f"{name} is called", Origin(found.event.module, found.event.node)))
        if start is not None:
            notes.append(program.note("the process group starts", Origin(start.module, start.node)))
        fails = "it raises 'Default process group has not been initialized'"
        if start is None:
            message = f"{name} needs a process group, and this script starts none: {fails}"
            help = "call torch.distributed.init_process_group() before it"
        elif found.alone is None:
            message = f"{name} needs the process group, which starts only later: {fails}"
            help = "call init_process_group() first"
        else:
            message = (
                f"{name} needs the process group, and one process alone (started {found.alone}) goes past its start: "
                f"{fails}"
            )
            help = "start the group in every run, or leave out what needs it on the same condition"
        yield program.finding(
            self,
            found.site,
            message,
            severity=Severity.WARNING if found.alone else None,
            help=help,
            notes=notes,
        )
