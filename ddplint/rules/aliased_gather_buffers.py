"""DDP306: a collective gathers into a list that holds one tensor many times."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

from ddplint.findings import Applicability, Finding, Severity
from ddplint.rules import Rule

if TYPE_CHECKING:
    from ddplint.program import Program


class AliasedGatherBuffers(Rule):
    """``[tensor] * n`` where a collective writes into each of the n places."""

    code = "DDP306"
    name = "aliased-gather-buffers"
    severity = Severity.ERROR
    summary = "gather into a list that holds one tensor many times"
    fix = Applicability.SAFE

    def check(self, program: Program) -> Iterable[Finding]:
        from ddplint import repairs
        from ddplint.program import buffers
        from ddplint.program.values import Origin

        for found in buffers.aliased(program):
            event = found.event
            collective = event.name.rpartition(".")[2]
            yield program.finding(
                self,
                found.origin,
                f"This list holds one tensor many times: after {collective} every place shows the data of one rank, "
                "and that of the others is lost",
                help="make a tensor for each rank: [torch.empty_like(x) for _ in range(world_size)]",
                notes=[program.note(f"{collective} writes into it", Origin(event.module, event.node))],
                fix=partial(repairs.collectives.separate, program, found),
            )
