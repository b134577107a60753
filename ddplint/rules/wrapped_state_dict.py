"""DDP603: the keys of a checkpoint begin with module., as only a wrapper has them."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

from ddplint.findings import Applicability, Finding, Severity
from ddplint.rules import Rule

if TYPE_CHECKING:
    from ddplint.program import Program


class WrappedStateDict(Rule):
    """A checkpoint that only a wrapped model can load."""

    code = "DDP603"
    name = "wrapped-state-dict"
    severity = Severity.NOTE
    summary = "checkpoint keys begin with the prefix of a wrapper"
    fix = Applicability.UNSAFE

    def check(self, program: Program) -> Iterable[Finding]:
        from ddplint import repairs
        from ddplint.program import saved_states
        from ddplint.program.values import Const, Origin

        for found in saved_states.prefixed(program):
            load = found.load
            given = load.arguments.get("strict", None) if load is not None else None
            is_silent = given is not None and isinstance(given.value, Const) and given.value.value is False
            if load is None:
                so = "a model that is not wrapped cannot load it"
            else:
                so = "this script loads it into the bare model, " + (
                    "which silently stays as it was" if is_silent else "which raises 'Missing key(s) in state_dict'"
                )
            yield program.finding(
                self,
                Origin(found.asked.module, found.asked.node),
                f"The keys of this checkpoint begin with 'module.' because {found.kind.value} is asked for them: {so}",
                severity=Severity.NOTE if load is None else Severity.WARNING,
                help="save the state of the model in the wrapper: .module.state_dict()",
                notes=() if load is None else (program.note("it is loaded", Origin(load.module, load.node)),),
                fix=partial(repairs.wrappers.saved_through_module, program, found),
            )
