"""DDP401: the training DataLoader of a DDP job gives every rank all the data."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ddplint.findings import Finding, Severity
from ddplint.rules import Rule

if TYPE_CHECKING:
    from ddplint.program import Program


class MissingDistributedSampler(Rule):
    """Nothing gives each rank a share of the data: all of them train on the same."""

    code = "DDP401"
    name = "missing-distributed-sampler"
    severity = Severity.WARNING
    since = "0.1.0"
    summary = "every rank trains on the same data"
    preview = True

    def check(self, program: Program) -> Iterable[Finding]:
        from ddplint.program import unsharded
        from ddplint.program.values import Origin

        for found in unsharded.unsharded(program):
            if found.iterable:
                continue
            loop, wrap = found.iterates, found.wrap
            yield program.finding(
                self,
                Origin(found.loader.module, found.loader.node),
                f"Every rank trains {wrap.kind.value} on all the samples of this DataLoader: it has no "
                "DistributedSampler, so that more processes do the same work again and the epochs get no shorter",
                help="give it sampler=DistributedSampler(dataset) instead of shuffle, and call the sampler's "
                "set_epoch(epoch) in every epoch",
                notes=[program.note("the training loop starts", Origin(loop.module, loop.node))],
            )
