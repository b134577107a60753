"""DDP502: SyncBatchNorm in a model on the CPU."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ddplint.findings import Finding, Severity
from ddplint.rules import Rule

if TYPE_CHECKING:
    from ddplint.program import Program


class SyncBatchnormAfterWrap(Rule):
    """SyncBatchNorm has no implementation for the CPU."""

    code = "DDP502"
    name = "sync-batchnorm-after-wrap"
    severity = Severity.WARNING
    summary = "model with SyncBatchNorm wrapped on the CPU"

    def check(self, program: Program) -> Iterable[Finding]:
        from ddplint.program import norms
        from ddplint.program.values import Origin

        if program.evidence.test:
            return
        for found in norms.on_cpu(program):
            event, wrap = found.convert, found.wrap.event
            ends = (
                "the first training pass ends in an error (SyncBatchNorm expected input tensor to be on GPU)"
                if found.late
                else "DistributedDataParallel ends in an error (SyncBatchNorm layers only work with GPU modules)"
            )
            yield program.finding(
                self,
                Origin(event.module, event.node),
                f"SyncBatchNorm works on a GPU only, and nothing moves this model to one before it is wrapped: {ends}",
                help="move the model to the GPU of the process before it is wrapped, or keep its BatchNorm layers",
                notes=[program.note("the model is wrapped here", Origin(wrap.module, wrap.node))],
            )
