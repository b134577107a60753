"""DDP503: training forward through model.module."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

from ddplint.findings import Applicability, Finding, Severity
from ddplint.rules import Rule

if TYPE_CHECKING:
    from ddplint.program import Program


class ForwardBypassesDdp(Rule):
    """A forward pass that DistributedDataParallel does not see averages no gradients."""

    code = "DDP503"
    name = "forward-bypasses-ddp"
    severity = Severity.ERROR
    summary = "training forward through model.module"
    fix = Applicability.UNSAFE

    def check(self, program: Program) -> Iterable[Finding]:
        from ddplint import repairs
        from ddplint.program import bypasses
        from ddplint.program.values import Origin

        if program.evidence.test:
            return
        for found in bypasses.forwards(program):
            event = found.event
            yield program.finding(
                self,
                Origin(event.module, event.node),
                "This forward pass goes past DistributedDataParallel, and backward() starts from it: the gradients are "
                "not averaged, and every process trains a model of its own",
                help="call the wrapper, model(x), which averages; it passes its arguments on to the model",
                notes=[
                    program.note("backward() is called here", Origin(found.backward.module, found.backward.node)),
                    program.note("the model is wrapped here", Origin(found.wrap.event.module, found.wrap.event.node)),
                ],
                fix=partial(repairs.wrappers.through_wrapper, program, found),
            )
