"""DDP206: CUDA is initialised before workers are forked."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ddplint.findings import Finding, Severity
from ddplint.rules import Rule

if TYPE_CHECKING:
    from ddplint.program import Program


class CudaBeforeFork(Rule):
    """A forked worker cannot use CUDA where its parent already did."""

    code = "DDP206"
    name = "cuda-before-fork"
    severity = Severity.ERROR
    summary = "CUDA touched before forking workers"

    def check(self, program: Program) -> Iterable[Finding]:
        from ddplint.program import forking
        from ddplint.program.values import Origin

        for found in forking.forked(program):
            yield program.finding(
                self,
                Origin(found.later.module, found.later.node),
                "This process has initialised CUDA, and the worker is forked from it: every use of CUDA there raises "
                "'Cannot re-initialize CUDA in forked subprocess'",
                help="start the workers with the method 'spawn', or touch CUDA in the workers only",
                notes=[program.note("CUDA is initialised", Origin(found.first.module, found.first.node))],
            )
