"""DDP501: model moved after it was wrapped."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ddplint.findings import Finding, Severity
from ddplint.rules import Rule

if TYPE_CHECKING:
    from ddplint.program import Program


class WrapBeforeDevice(Rule):
    """DistributedDataParallel takes the parameters as it finds them."""

    code = "DDP501"
    name = "wrap-before-device"
    severity = Severity.ERROR
    summary = "model moved after it was wrapped"

    def check(self, program: Program) -> Iterable[Finding]:
        from ddplint.program import moves
        from ddplint.program.values import Origin

        if program.evidence.test:
            return
        for found in moves.late(program):
            event = found.move
            yield program.finding(
                self,
                Origin(event.module, event.node),
                f".{event.name}() comes after DistributedDataParallel, whose hooks hang on the parameters as they "
                "were: nothing averages the gradients any more, and every process trains a model of its own",
                help="move the model first, then wrap it: DistributedDataParallel(model.to(device))",
                notes=[
                    program.note("the model is wrapped here", Origin(found.wrap.event.module, found.wrap.event.node))
                ],
            )
