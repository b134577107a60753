"""DDP208: an environment variable of NCCL's process group under its old name."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

from ddplint.findings import Applicability, Finding, Severity
from ddplint.rules import Rule

if TYPE_CHECKING:
    from ddplint.program import Program


class LegacyNcclEnv(Rule):
    """``NCCL_ASYNC_ERROR_HANDLING`` and three more are ``TORCH_NCCL_...`` now."""

    code = "DDP208"
    name = "legacy-nccl-env"
    severity = Severity.NOTE
    summary = "NCCL_* name that torch renamed TORCH_NCCL_*"
    fix = Applicability.SAFE

    def check(self, program: Program) -> Iterable[Finding]:
        from ddplint import repairs
        from ddplint.program.renamed import RENAMED, renamed
        from ddplint.program.values import Origin

        for event in renamed(program):
            new = RENAMED[event.name]
            yield program.finding(
                self,
                Origin(event.module, event.node),
                f"torch 2.2 renamed {event.name} to {new}: the old name brings a warning in every process, and loses "
                "against the new one where both are set",
                help=f"set {new}",
                fix=partial(repairs.environment_names.renamed, program, event, new),
            )
