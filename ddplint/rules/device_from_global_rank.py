"""DDP109: a GPU index taken from the global rank."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

from ddplint.findings import Applicability, Finding, Severity
from ddplint.rules import Rule

if TYPE_CHECKING:
    from ddplint.program import Program


class DeviceFromGlobalRank(Rule):
    """Device indices that are right on one node and out of range on the second."""

    code = "DDP109"
    name = "device-from-global-rank"
    severity = Severity.WARNING
    summary = "a GPU index taken from the global rank"
    fix = Applicability.SAFE

    def check(self, program: Program) -> Iterable[Finding]:
        from ddplint import repairs
        from ddplint.program import devices, words
        from ddplint.program.values import Origin

        for use in devices.out_of_range(program):
            argument = use.event.arguments["index"]
            origin = Origin(use.event.module, argument.node)
            yield program.finding(
                self,
                origin,
                f"{words.sentence(argument.value)} is used as the GPU index, "
                f"which runs out of GPUs on the second node ('invalid device ordinal')",
                severity=program.topology_severity(),
                help=f"use the local rank: {use.local_rank}, or rank % torch.cuda.device_count()",
                notes=words.chain(program, argument.value, "the index", origin),
                counterexample=use.counterexample,
                fix=partial(repairs.gpu_index.fix, program, argument.value),
            )
