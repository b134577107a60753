"""DDP803: optimizer built before sharding."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ddplint.findings import Finding, Severity
from ddplint.rules import Rule

if TYPE_CHECKING:
    from ddplint.program import Program


class OptimizerBeforeShard(Rule):
    """Sharding puts other parameters in the place of those that the optimizer holds."""

    code = "DDP803"
    name = "optimizer-before-shard"
    severity = Severity.ERROR
    summary = "optimizer built before sharding"

    def check(self, program: Program) -> Iterable[Finding]:
        from ddplint.program import shards
        from ddplint.program.values import Origin

        if program.evidence.test:
            return
        for found in shards.early_optimizers(program):
            event, wrap = found.event, found.wrap
            what = event.name.rpartition(".")[2]
            yield program.finding(
                self,
                Origin(event.module, event.node),
                f"{what} is given the parameters that {wrap.kind.value} replaces afterwards: it goes on updating the "
                "old ones, and the model never learns",
                help="shard the model first, then make the optimizer from its parameters",
                notes=[program.note("the model is sharded here", Origin(wrap.event.module, wrap.event.node))],
            )
