"""DDP804: forward() called by name on a sharded module."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

from ddplint.findings import Applicability, Finding, Severity
from ddplint.rules import Rule

if TYPE_CHECKING:
    from ddplint.program import Program


class ShardedForwardBypass(Rule):
    """The parameters are gathered by hooks of the call, and .forward() calls none."""

    code = "DDP804"
    name = "sharded-forward-bypass"
    severity = Severity.ERROR
    summary = "forward() called by name on a sharded module"
    fix = Applicability.SAFE

    def check(self, program: Program) -> Iterable[Finding]:
        from ddplint import repairs
        from ddplint.program import shards
        from ddplint.program.values import Origin

        if program.evidence.test:
            return
        for found in shards.direct_forwards(program):
            event, wrap = found.event, found.wrap
            yield program.finding(
                self,
                Origin(event.module, event.node),
                "forward() runs without the hooks of fully_shard that gather the parameters: it computes with "
                "shards and fails on mixed tensors",
                help="call the model itself: model(x)",
                notes=[program.note("the model is sharded here", Origin(wrap.event.module, wrap.event.node))],
                fix=partial(repairs.wrappers.called, program, found),
            )
