"""DDP508: parameters added or frozen after the wrap."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ddplint.findings import Finding, Severity
from ddplint.rules import Rule

if TYPE_CHECKING:
    from ddplint.program import Program


class ParamsChangedAfterWrap(Rule):
    """DistributedDataParallel averages the parameters that needed a gradient when it was made, and no others."""

    code = "DDP508"
    name = "params-changed-after-wrap"
    severity = Severity.WARNING
    summary = "parameters added or frozen after the wrap"

    def check(self, program: Program) -> Iterable[Finding]:
        from ddplint.program import altered
        from ddplint.program.values import Origin

        if program.evidence.test:
            return
        said = {
            altered.Change.LAYER: (
                "This layer comes after DistributedDataParallel took the parameters of the model: nothing averages its "
                "gradients, and every process trains a layer of its own",
                "change the model first, then wrap it",
            ),
            altered.Change.THAW: (
                "These parameters were frozen when DistributedDataParallel took the parameters of the model: nothing "
                "averages their gradients, and every process trains them by itself",
                "wrap the model once more after this: model = DistributedDataParallel(model.module)",
            ),
            altered.Change.FREEZE: (
                "DistributedDataParallel waits for the gradients of the parameters that are frozen here, and the pass "
                "after the next one ends in an error (Expected to have finished reduction in the prior iteration)",
                "freeze them before the wrap, or pass find_unused_parameters=True",
            ),
        }
        for found in altered.altered(program):
            message, help = said[found.change]
            wrap = found.wrap.event
            notes = [program.note("the model is wrapped here", Origin(wrap.module, wrap.node))]
            if found.frozen is not None:
                notes.insert(0, program.note("they are frozen here", Origin(found.frozen.module, found.frozen.node)))
            yield program.finding(self, Origin(found.event.module, found.event.node), message, help=help, notes=notes)
