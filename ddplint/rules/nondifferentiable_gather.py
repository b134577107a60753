"""DDP311: a loss is computed from gathered tensors, and no gradient flows back through them."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

from ddplint.findings import Applicability, Finding, Severity
from ddplint.rules import Rule

if TYPE_CHECKING:
    from ddplint.program import Program


class NondifferentiableGather(Rule):
    """``all_gather`` writes copies: even the part of this process has no gradient."""

    code = "DDP311"
    name = "nondifferentiable-gather"
    severity = Severity.WARNING
    summary = "all_gather result used in a loss without the local tensor"
    fix = Applicability.UNSAFE
    preview = True

    def check(self, program: Program) -> Iterable[Finding]:
        from ddplint import repairs
        from ddplint.program import gradients
        from ddplint.program.values import Origin

        for found in gradients.cut(program):
            gather, backward = found.gather, found.backward
            yield program.finding(
                self,
                Origin(gather.module, gather.node),
                f"The tensors gathered into {found.output} are copies without a gradient, its own too, and "
                "a loss is computed from them: the model learns from a part of the loss only, or not at all",
                help="put the output of this process back in its place, or gather with torch.distributed.nn",
                notes=[program.note("the loss goes back", Origin(backward.module, backward.node))],
                fix=partial(repairs.gathered.own_part, program, found),
            )
