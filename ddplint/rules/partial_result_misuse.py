"""DDP310: the result of reduce() used where it never came."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ddplint.findings import Finding, Severity
from ddplint.rules import Rule

if TYPE_CHECKING:
    from ddplint.program import Program


class PartialResultMisuse(Rule):
    """reduce() leaves the sum on one rank; the tensors of the others hold something else."""

    code = "DDP310"
    name = "partial-result-misuse"
    severity = Severity.WARNING
    summary = "all ranks decide by the result of reduce()"
    preview = True

    def check(self, program: Program) -> Iterable[Finding]:
        from ddplint.program import partial
        from ddplint.program.values import Origin

        if program.evidence.test:
            return
        said = {
            partial.Decided.RATE: "sets the learning rate of every process by a tensor that reduce() has filled on "
            "rank 0 only: the rates part, and the models with them",
            partial.Decided.END: "ends the loop by a tensor that reduce() has filled on rank 0 only: some processes go "
            "on, and wait for the others forever",
        }
        for found in partial.misused(program):
            event = found.reduce
            yield program.finding(
                self,
                Origin(found.place.module, found.place.node),
                f"This {said[found.what]}",
                help="dist.all_reduce(tensor) gives the sum to every rank",
                notes=[program.note("the tensor is reduced to rank 0 here", Origin(event.module, event.node))],
            )
