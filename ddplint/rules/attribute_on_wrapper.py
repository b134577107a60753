"""DDP509: model's own attribute read on the wrapper."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

from ddplint.findings import Applicability, Finding, Severity
from ddplint.rules import Rule

if TYPE_CHECKING:
    from ddplint.program import Program


class AttributeOnWrapper(Rule):
    """A wrapper knows torch.nn.Module's names, not those of the model in it."""

    code = "DDP509"
    name = "attribute-on-wrapper"
    severity = Severity.ERROR
    summary = "model's own attribute read on the wrapper"
    fix = Applicability.SAFE

    def check(self, program: Program) -> Iterable[Finding]:
        from ddplint import repairs
        from ddplint.program import bypasses
        from ddplint.program.values import Origin

        if program.evidence.test:
            return
        for found in bypasses.asked(program):
            event, kind = found.event, found.wrap.kind.value
            what = f"{found.cls.name}.{event.name}" + ("()" if found.method else "")
            when = " whenever it is wrapped" if found.sometimes else ""
            yield program.finding(
                self,
                Origin(event.module, event.node),
                f"{kind} has no attribute {event.name}, only the model in it has {what}: "
                f"this raises AttributeError{when}",
                help=_help(found.method, event.name),
                notes=[
                    program.note("the model is wrapped here", Origin(found.wrap.event.module, found.wrap.event.node))
                ],
                fix=partial(repairs.wrappers.through_module, program, found),
            )


def _help(method: bool, name: str) -> str:
    if not method:
        return f"ask the model in the wrapper: .module.{name}"
    return (
        f"call it through .module.{name}() if it needs no gradients; what trains the model has to go through the "
        "wrapper's own forward pass"
    )
