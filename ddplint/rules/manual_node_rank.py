"""DDP104: the node rank is typed by hand."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

from ddplint.findings import Applicability, Finding, Severity
from ddplint.rules import Rule

if TYPE_CHECKING:
    from ddplint.program import Program


class ManualNodeRank(Rule):
    """Options that must be a different number on every machine for the ranks to come out right."""

    code = "DDP104"
    name = "manual-node-rank"
    severity = Severity.WARNING
    summary = "the node rank is typed by hand"
    fix = Applicability.SAFE

    def check(self, program: Program) -> Iterable[Finding]:
        from ddplint import repairs
        from ddplint.program import typed, words

        for option, origin, each in typed.node_ranks(program):
            if each:
                trouble = f"must be typed differently {each}: one forgotten edit and two of them claim the same rank"
            else:
                trouble = (
                    "is typed by hand on every node and never reaches the rank: whatever is typed, the ranks repeat"
                )
            yield program.finding(
                self,
                origin,
                f"{words.sentence(option)} {trouble}",
                help="read its default from os.environ: NODE_RANK, GROUP_RANK or SLURM_NODEID, as the launcher sets",
                fix=partial(repairs.launcher_options.node_rank, program, option, each),
            )
        for constant, origin in typed.node_constants(program):
            yield program.finding(
                self,
                origin,
                f"The constant {constant.value} is this node's rank, so the file must be edited on every node: "
                "forgotten once, two nodes claim the same ranks",
                help="read it from the launcher: int(os.environ.get('NODE_RANK', os.environ.get('SLURM_NODEID', 0)))",
                fix=partial(repairs.launcher_options.node_constant, program, constant),
            )
