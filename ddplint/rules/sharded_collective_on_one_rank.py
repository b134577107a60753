"""DDP801: the state of a sharded model, asked for by some ranks only."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ddplint.findings import Finding, Severity
from ddplint.rules import Rule

if TYPE_CHECKING:
    from ddplint.program import Program


class ShardedCollectiveOnOneRank(Rule):
    """A state dict, a checkpoint or a full tensor that every rank has a part of."""

    code = "DDP801"
    name = "sharded-collective-on-one-rank"
    severity = Severity.ERROR
    summary = "state of a sharded model gathered on some ranks only"

    def check(self, program: Program) -> Iterable[Finding]:
        for parting in program.partings:
            if parting.kind == "sharded":
                yield program.finding(
                    self,
                    parting.origin,
                    f"{parting.message}: {parting.waits} until the timeout",
                    help="call it on every rank, because each has a part of the state; only torch.save() is for rank 0",
                    notes=parting.notes,
                )
