"""DDP601: every process of the job writes the same file."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

from ddplint.findings import Applicability, Finding, Severity
from ddplint.rules import Rule

if TYPE_CHECKING:
    from ddplint.program import Program


class UnguardedSave(Rule):
    """Several processes write into one file at once."""

    code = "DDP601"
    name = "unguarded-save"
    severity = Severity.WARNING
    summary = "every process writes the same file"
    fix = Applicability.UNSAFE

    def check(self, program: Program) -> Iterable[Finding]:
        from ddplint import repairs
        from ddplint.program import once
        from ddplint.program.values import Origin
        from ddplint.repairs.draft import Draft

        for mistake in once.repeated_saves(program):
            way, place = mistake.ways[0], mistake.place
            event = way.event
            given = event.arguments[once.SAVES[event.name]]
            name = _short(Draft(program).text(Origin(event.module, given.node)))
            who = "All processes" if way.reach.leader else "All processes of the first machine"
            save = event.name.rpartition(".")[2]
            here = place.node is event.node
            yield program.finding(
                self,
                place,
                f"{who} {f'write {name}' if here else f'get to {save}({name}) through this call'} at the same time: "
                "the file may end up broken",
                help="save in one process only: if dist.get_rank() == 0",
                notes=() if here else (program.note(f"{save}() is called", way.origin),),
                fix=partial(repairs.rank_guards.by_first, program, [one.event for one in mistake.ways]),
            )


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 60 else "the same file"
