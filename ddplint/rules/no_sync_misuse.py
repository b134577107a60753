"""DDP507: no_sync() on a micro-batch that the optimizer steps on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ddplint.findings import Finding, Severity
from ddplint.rules import Rule

if TYPE_CHECKING:
    from ddplint.program import Program
    from ddplint.program.syncs import Skipped


class NoSyncMisuse(Rule):
    """The gradients of several processes are averaged by the one backward pass that is left out."""

    code = "DDP507"
    name = "no-sync-misuse"
    severity = Severity.ERROR
    summary = "no_sync on the stepping micro-batch"

    def check(self, program: Program) -> Iterable[Finding]:
        from ddplint.program import syncs
        from ddplint.program.values import Origin

        if program.evidence.test:
            return
        for found in syncs.skipped(program):
            event = found.event
            yield program.finding(
                self,
                Origin(event.module, event.node),
                f"The optimizer steps on a micro-batch that no_sync() covers{_example(found)}: its gradients are not "
                "averaged, and every process trains a model of its own",
                help="leave no_sync() out for the micro-batch that step() follows: its condition is the opposite of "
                "that of the step",
                notes=[program.note("the optimizer steps here", Origin(found.step.module, found.step.node))],
            )


def _example(found: Skipped) -> str:
    if found.turn is None:
        return ", like all of them"
    many = f"with {found.count} of them to a step, " if found.count else ""
    return f" ({many}number {found.turn}, counted from 0)"
