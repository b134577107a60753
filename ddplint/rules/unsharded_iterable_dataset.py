"""DDP406: an IterableDataset that gives every rank of a DDP job the same samples."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ddplint.findings import Finding, Severity
from ddplint.rules import Rule

if TYPE_CHECKING:
    from ddplint.program import Program


class UnshardedIterableDataset(Rule):
    """No sampler can share an IterableDataset out: it has to leave out what other ranks read by itself."""

    code = "DDP406"
    name = "unsharded-iterable-dataset"
    severity = Severity.WARNING
    since = "0.1.0"
    summary = "every rank reads all of an IterableDataset"
    preview = True

    def check(self, program: Program) -> Iterable[Finding]:
        from ddplint.program import unsharded
        from ddplint.program.values import Origin

        for found in unsharded.unsharded(program):
            if not found.iterable:
                continue
            loop, wrap = found.iterates, found.wrap
            yield program.finding(
                self,
                Origin(found.loader.module, found.loader.node),
                f"Every rank trains {wrap.kind.value} on all the samples of this DataLoader: its IterableDataset never "
                "asks for the rank, and a DataLoader shares no IterableDataset out",
                help="let __iter__ skip what other ranks and workers read: "
                "itertools.islice(samples, rank, None, world_size)",
                notes=[program.note("the training loop starts", Origin(loop.module, loop.node))],
            )
