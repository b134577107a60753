"""DDP605: a decision by a metric that each rank has computed on its own share of the data."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ddplint.findings import Finding, Severity
from ddplint.rules import Rule

if TYPE_CHECKING:
    from ddplint.program import Program


class UnreducedMetric(Rule):
    """The learning rate or the best checkpoint hangs on what one rank has seen."""

    code = "DDP605"
    name = "unreduced-metric"
    severity = Severity.WARNING
    since = "0.1.0"
    summary = "decision on one rank's share of a metric"
    preview = True

    def check(self, program: Program) -> Iterable[Finding]:
        from ddplint.program import metrics
        from ddplint.program.values import Origin

        for found in metrics.unreduced(program):
            if found.rate:
                message = (
                    "Each rank lowers its learning rate by the metric of its own share of the data: once the rates "
                    "differ, so do the weights, and DistributedDataParallel does not notice"
                )
            else:
                message = (
                    "The checkpoint is chosen by the metric of one rank's share of the data: the best on the whole is "
                    "another one"
                )
            yield program.finding(
                self,
                found.place,
                message,
                help="average it over the ranks first: dist.all_reduce(metric), divided by the world size",
                notes=[
                    program.note("each rank gets its share", Origin(found.loader.module, found.loader.node)),
                ],
            )
