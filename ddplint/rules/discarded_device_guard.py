"""DDP210: a context manager that selects a GPU is called and thrown away."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

from ddplint.findings import Applicability, Finding, Severity
from ddplint.rules import Rule

if TYPE_CHECKING:
    from ddplint.program import Program


class DiscardedDeviceGuard(Rule):
    """``torch.cuda.device(i)`` as a statement, where ``set_device`` was meant."""

    code = "DDP210"
    name = "discarded-device-guard"
    severity = Severity.ERROR
    summary = "device guard called without `with`: no device is selected"
    fix = Applicability.SAFE

    def check(self, program: Program) -> Iterable[Finding]:
        from ddplint import repairs
        from ddplint.program import guards
        from ddplint.program.values import Origin

        for event in guards.discarded(program):
            setter = "set_device_index" if event.name.endswith("device_index") else "set_device"
            module = event.name.rpartition(".")[0]
            yield program.finding(
                self,
                Origin(event.module, event.node),
                f"{event.name} is a context manager: without `with` it selects nothing, and the process stays on "
                "the GPU that it was on",
                help=f"call {module}.{setter}(...), or put the code that it is for into a with block",
                fix=partial(repairs.device_guards.selected, program, event),
            )
