"""DDP505: find_unused_parameters=True for every run."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

from ddplint.findings import Applicability, Finding, Severity
from ddplint.rules import Rule

if TYPE_CHECKING:
    from ddplint.program import Program


class FindUnusedParameters(Rule):
    """A search through the graph in each step, for parameters that most models do not leave out."""

    code = "DDP505"
    name = "find-unused-parameters"
    severity = Severity.NOTE
    summary = "find_unused_parameters=True for every run"
    fix = Applicability.UNSAFE

    def check(self, program: Program) -> Iterable[Finding]:
        from ddplint import repairs
        from ddplint.program.values import Const, Origin
        from ddplint.program.wrapped import Kind

        if program.evidence.test:
            return
        seen: set[int] = set()
        for wrap in program.models.wraps:
            given = wrap.event.arguments.get("find_unused_parameters")
            if given is None or wrap.kind is not Kind.DDP or id(wrap.event.node) in seen:
                continue
            if not (isinstance(given.value, Const) and given.value.value is True and _is_true(given.node)):
                continue
            seen.add(id(wrap.event.node))
            yield program.finding(
                self,
                Origin(wrap.event.module, given.node),
                "find_unused_parameters=True walks the whole graph after every forward pass, and hides "
                "parameters that get no gradient by mistake",
                help="leave it out unless some parameters get no gradient in some steps, which DDP says with an error",
                fix=partial(repairs.wrappers.unsearched, program, wrap),
            )


def _is_true(node: object) -> bool:
    """Whether it is written as ``True`` right here: a value from elsewhere can be set."""
    return getattr(node, "value", None) == "True"
