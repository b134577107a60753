"""DDP407: every rank draws for itself what all ranks must draw alike."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ddplint.findings import Finding, Severity
from ddplint.rules import Rule

if TYPE_CHECKING:
    from ddplint.program import Program


class SeedRankMix(Rule):
    """A split or an order that the ranks must share, drawn with a seed that depends on the rank."""

    code = "DDP407"
    name = "seed-rank-mix"
    severity = Severity.NOTE
    since = "0.1.0"
    summary = "ranks draw differently what they must draw alike"
    preview = True

    def check(self, program: Program) -> Iterable[Finding]:
        from ddplint.program import seeds, words
        from ddplint.program.values import Origin

        for drawn in seeds.unlike(program):
            seed = Origin(drawn.seeded.module, drawn.seed.node)
            written = words.described_code(drawn.seed.value)
            if drawn.sampler:
                yield program.finding(
                    self,
                    seed,
                    f"The seed of this DistributedSampler is {written}, another one on every rank: each shuffles for "
                    "itself, so that some samples are read by several ranks and others by none",
                    help="give every rank the same seed: the sampler tells them apart by their rank",
                    notes=words.chain(program, drawn.seed.value, "the seed", seed),
                )
            else:
                yield program.finding(
                    self,
                    Origin(drawn.event.module, drawn.event.node),
                    f"Every rank splits the dataset in another way, because its seed is {written}: what one rank "
                    "validates on, another has trained on",
                    help="give random_split a generator of its own: generator=torch.Generator().manual_seed(seed)",
                    notes=[program.note("the seed is set", Origin(drawn.seeded.module, drawn.seeded.node))],
                )
