"""DDP205: workers are started where the script is imported."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

from ddplint.findings import Applicability, Finding, Severity
from ddplint.rules import Rule

if TYPE_CHECKING:
    from ddplint.program import Program


class UnguardedSpawn(Rule):
    """A spawned worker imports the script; what starts workers there starts them again."""

    code = "DDP205"
    name = "unguarded-spawn"
    severity = Severity.ERROR
    summary = "workers started without a __main__ guard"
    fix = Applicability.SAFE

    def check(self, program: Program) -> Iterable[Finding]:
        from ddplint import repairs
        from ddplint.program import spawning
        from ddplint.program.values import Origin

        for event, place in spawning.unguarded(program):
            started = Origin(event.module, event.node)
            inside = place.node is not event.node
            yield program.finding(
                self,
                place,
                f"A worker that {spawning.called(event)} starts imports this file first and gets here again: it dies "
                "with a RuntimeError before it does anything",
                help='start the workers below `if __name__ == "__main__":` only',
                notes=[program.note("the workers are started", started)] if inside else (),
                fix=partial(repairs.workers.guarded, program, place),
            )
