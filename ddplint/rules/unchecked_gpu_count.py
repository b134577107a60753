"""DDP105: a number of GPUs is assumed and never checked."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

from ddplint.findings import Applicability, Finding, Severity
from ddplint.rules import Rule

if TYPE_CHECKING:
    from ddplint.program import Program


class UncheckedGpuCount(Rule):
    """Processes started per GPU by a typed count that nothing compares with ``torch.cuda.device_count()``."""

    code = "DDP105"
    name = "unchecked-gpu-count"
    severity = Severity.WARNING
    summary = "a number of GPUs is assumed and never checked"
    fix = Applicability.SAFE

    def check(self, program: Program) -> Iterable[Finding]:
        from ddplint import repairs
        from ddplint.program import counts, words
        from ddplint.program.values import Origin

        if program.evidence.test:
            return
        for spawn in counts.unchecked(program):
            count = spawn.event.arguments["nprocs"]
            looked = " (only is_available() is asked)" if spawn.available_only else ""
            yield program.finding(
                self,
                Origin(spawn.event.module, count.node),
                f"{words.sentence(count.value)} decides how many processes take a GPU each{looked}, "
                "and nothing compares it with torch.cuda.device_count(): with fewer GPUs a worker dies of "
                "'invalid device ordinal'",
                severity=Severity.NOTE if spawn.available_only else Severity.WARNING,
                help="take the count from torch.cuda.device_count(), or stop with a message that names both numbers",
                notes=words.chain(program, count.value, "the count", Origin(spawn.event.module, count.node)),
                fix=partial(repairs.gpu_count.check, program, spawn),
            )
        for remainder in counts.typed_remainders(program):
            arguments = remainder.event.arguments
            index = arguments.get("index") or arguments["value"]
            yield program.finding(
                self,
                Origin(remainder.event.module, index.node),
                f"{words.sentence(remainder.count)} is taken for the number of GPUs on every node, and nothing "
                "compares it with torch.cuda.device_count(): on a smaller node the index does not exist, "
                "on a larger one GPUs stay idle",
                help="use rank % torch.cuda.device_count(), or the launcher's local rank",
                fix=partial(repairs.gpu_count.remainder, program, remainder),
            )
