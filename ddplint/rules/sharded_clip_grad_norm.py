"""DDP802: torch clip_grad_norm_ on FSDP1 parameters."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

from ddplint.findings import Applicability, Finding, Severity
from ddplint.rules import Rule

if TYPE_CHECKING:
    from ddplint.program import Program


class ShardedClipGradNorm(Rule):
    """The norm of a shard is not the norm of the gradient."""

    code = "DDP802"
    name = "sharded-clip-grad-norm"
    severity = Severity.ERROR
    summary = "torch clip_grad_norm_ on FSDP1 parameters"
    fix = Applicability.SAFE

    def check(self, program: Program) -> Iterable[Finding]:
        from ddplint import repairs
        from ddplint.program import shards
        from ddplint.program.values import Origin

        if program.evidence.test:
            return
        for found in shards.clipped(program):
            event, wrapper = found.event, found.wrapper
            notes = [program.note("the model is sharded here", wrapper.origin)] if wrapper.origin is not None else []
            yield program.finding(
                self,
                Origin(event.module, event.node),
                "clip_grad_norm_ sees only this process's shards of the gradients: every process computes another norm "
                "and scales its part of the model by another factor",
                help="call the method of the wrapper, which adds the norms up: model.clip_grad_norm_(max_norm)",
                notes=notes,
                fix=partial(repairs.wrappers.clipped_by_wrapper, program, found),
            )
