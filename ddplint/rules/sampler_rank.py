"""DDP404: a DistributedSampler is told a rank or a number of replicas of one node."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

from ddplint.findings import Applicability, Finding, Severity
from ddplint.rules import Rule

if TYPE_CHECKING:
    from ddplint.program import Program


class SamplerRank(Rule):
    """Shares of the data that are right on one node, and the same on every other."""

    code = "DDP404"
    name = "sampler-rank"
    severity = Severity.WARNING
    since = "0.1.0"
    summary = "a sampler's rank or number of replicas counts one node only"
    fix = Applicability.SAFE

    def check(self, program: Program) -> Iterable[Finding]:
        from ddplint import repairs
        from ddplint.program import shares, words
        from ddplint.program.values import Origin

        for share in shares.overlapping(program):
            name, argument = next(iter(share.faults.items()))
            value, names = argument.value, " and ".join(share.faults)
            origin = Origin(share.event.module, argument.node)
            if name == "rank":
                ask, what = "torch.distributed.get_rank()", "rank"
                trouble = "the processes of every node read the same shares of the data"
            else:
                ask, what = "torch.distributed.get_world_size()", "number of replicas"
                trouble = "there are fewer shares of the data than processes as soon as there are two nodes"
            yield program.finding(
                self,
                origin,
                f"{words.sentence(value)} is the sampler's {what}: {trouble}",
                severity=program.topology_severity(),
                help=f"leave {names} out: the sampler asks the process group"
                if share.after_start
                else f"write {name}={ask}",
                notes=words.chain(program, value, f"the {what}", origin),
                counterexample=share.counterexample,
                fix=partial(repairs.loaders.asked, program, share),
            )
