"""DDP309: the wrapped model is called on some ranks only."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ddplint.findings import Finding, Severity
from ddplint.rules import Rule

if TYPE_CHECKING:
    from ddplint.program import Program


class WrappedForwardOnOneRank(Rule):
    """Validation or sampling on rank 0 with the wrapper instead of the model in it."""

    code = "DDP309"
    name = "wrapped-forward-on-one-rank"
    severity = Severity.WARNING
    summary = "wrapped model called on some ranks only"

    def check(self, program: Program) -> Iterable[Finding]:
        for parting in program.partings:
            if parting.kind in ("forward", "buffers"):
                sharded = parting.kind == "forward"
                buffers = "" if sharded else "with buffers, such as those of BatchNorm, "
                yield program.finding(
                    self,
                    parting.origin,
                    f"{parting.message}: {buffers}{parting.waits} until the timeout",
                    severity=Severity.ERROR if sharded else Severity.WARNING,
                    help="call the model on every rank" + ("" if sharded else ", or call its .module on this one"),
                    notes=parting.notes,
                )
