"""DDP203: the backend is NCCL's, and the script is ready for a machine without GPUs."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

from ddplint.findings import Applicability, Finding, Severity
from ddplint.rules import Rule

if TYPE_CHECKING:
    from ddplint.program import Program


class BackendMismatch(Rule):
    """The fallback to the CPU never gets as far as that."""

    code = "DDP203"
    name = "backend-mismatch"
    severity = Severity.WARNING
    summary = "backend does not fit the devices"
    fix = Applicability.SAFE

    def check(self, program: Program) -> Iterable[Finding]:
        from ddplint import repairs
        from ddplint.program import backends
        from ddplint.program.values import Origin

        for found in backends.unready(program):
            start, fallback = found.start, found.fallback
            yield program.finding(
                self,
                Origin(start.module, found.backend.node),
                "The script goes on with the CPU where there is no GPU, and 'nccl' does not: init_process_group "
                "fails there",
                help='write "nccl" if torch.cuda.is_available() else "gloo"',
                notes=[program.note("the device may be the CPU", Origin(fallback.module, fallback.node))],
                fix=partial(repairs.backend_choice.by_device, program, found),
            )
