"""DDP402: a loop over epochs never tells its DistributedSampler which epoch it is."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

from ddplint.findings import Applicability, Finding, Severity
from ddplint.rules import Rule

if TYPE_CHECKING:
    from ddplint.program import Program


class MissingSetEpoch(Rule):
    """A DistributedSampler shuffles by the epoch that it is told, and nobody tells it."""

    code = "DDP402"
    name = "missing-set-epoch"
    severity = Severity.WARNING
    since = "0.1.0"
    summary = "shuffling DistributedSampler is never told the epoch"
    fix = Applicability.SAFE

    def check(self, program: Program) -> Iterable[Finding]:
        from ddplint import repairs
        from ddplint.program import feeding
        from ddplint.program.values import Origin

        for repeat in feeding.repeats(program):
            loop, sampler = repeat.loop, repeat.sampler
            yield program.finding(
                self,
                Origin(loop.module, feeding.header(loop)),
                "Training sees the same order in every epoch: nothing in this loop tells the DistributedSampler which "
                "epoch it is",
                help="call its set_epoch(epoch) at the start of every epoch, before the loop over the data",
                notes=[program.note("the sampler is made", Origin(sampler.module, sampler.node))],
                fix=partial(repairs.epochs.told, program, repeat),
            )
