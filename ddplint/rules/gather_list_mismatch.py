"""DDP312: the list of a gather or scatter is given on the wrong ranks."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

from ddplint.findings import Applicability, Finding, Severity
from ddplint.rules import Rule

if TYPE_CHECKING:
    from ddplint.program import Program


class GatherListMismatch(Rule):
    """torch wants the list on the root, and None everywhere else."""

    code = "DDP312"
    name = "gather-list-mismatch"
    severity = Severity.ERROR
    summary = "gather or scatter list given on the wrong ranks, or missing on the root"
    fix = Applicability.UNSAFE

    def check(self, program: Program) -> Iterable[Finding]:
        from ddplint import repairs
        from ddplint.program import gathering
        from ddplint.program.values import Origin

        for found in gathering.mismatched(program):
            call, root = found.event.name.rpartition(".")[2], f"{found.root_name} = {found.root}"
            if found.missing:
                message = (
                    f"{call}() gets no {found.parameter} on rank {found.root}, which is its {found.root_name}: it "
                    "raises ValueError there"
                )
            else:
                message = (
                    f"{call}() gets a {found.parameter} on every rank that comes here, and torch takes one on rank "
                    f"{found.root} ({found.root_name}) only: the others raise ValueError"
                )
            yield program.finding(
                self,
                Origin(found.event.module, found.event.node),
                message,
                help=f"give {found.parameter} where the rank is {found.root}, and None elsewhere ({root})",
                fix=partial(repairs.gather_lists.on_root, program, found),
            )
