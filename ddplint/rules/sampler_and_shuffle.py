"""DDP403: a DataLoader is given a sampler and shuffle=True."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

from ddplint.findings import Applicability, Finding, Severity
from ddplint.rules import Rule

if TYPE_CHECKING:
    from ddplint.program import Program


class SamplerAndShuffle(Rule):
    """Two answers to the question in which order the samples come."""

    code = "DDP403"
    name = "sampler-and-shuffle"
    severity = Severity.ERROR
    summary = "sampler and shuffle=True in one DataLoader"
    fix = Applicability.SAFE

    def check(self, program: Program) -> Iterable[Finding]:
        from ddplint import repairs
        from ddplint.program import samplers
        from ddplint.program.values import Origin

        for found in samplers.shuffled(program):
            when = f" whenever {found.name} is not None" if found.sometimes else ""
            keep = "leave shuffle out: the sampler decides the order, and DistributedSampler shuffles by itself"
            yield program.finding(
                self,
                Origin(found.event.module, found.event.node),
                f"DataLoader takes shuffle=True or a {found.name}, not both: it raises ValueError{when}",
                help=f"write shuffle=({found.name} is None)" if found.sometimes else keep,
                fix=partial(repairs.loaders.unshuffled, program, found),
            )
