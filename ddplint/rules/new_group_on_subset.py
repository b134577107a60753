"""DDP303: new_group is not called by all ranks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ddplint.findings import Finding, Severity
from ddplint.rules import Rule

if TYPE_CHECKING:
    from ddplint.program import Program


# Seen with torch 2.13 and gloo: the call of the members alone returns, and the next one of all ranks hangs.
_WAITS = "all ranks must create every group, or the next new_group() waits until the timeout"


class NewGroupOnSubset(Rule):
    """A group that only its members create, or that every rank makes with ranks of its own."""

    code = "DDP303"
    name = "new-group-on-subset"
    severity = Severity.ERROR
    summary = "new_group not called by all ranks"

    def check(self, program: Program) -> Iterable[Finding]:
        from ddplint.program import roots
        from ddplint.program.values import Origin
        from ddplint.program.words import code

        remedy = "create all groups on every rank, in the same order, and let only its members use a group"
        for parting in program.partings:
            if parting.kind == "group":
                yield program.finding(
                    self,
                    parting.origin,
                    f"{parting.message}: {_WAITS}",
                    help=remedy,
                    notes=parting.notes,
                )
        told = {id(parting.event.node) for parting in program.partings}
        for event, condition in roots.behind_membership(program):
            if id(event.node) not in told:
                told.add(id(event.node))
                yield program.finding(
                    self,
                    Origin(event.module, event.node),
                    f"`{code(condition.origin)}` decides which ranks call new_group() here: {_WAITS}",
                    help=remedy,
                )
        for found in roots.members(program):
            if id(found.event.node) not in told:
                yield program.finding(
                    self,
                    Origin(found.event.module, found.argument.node),
                    f"new_group() gets {_ranks(found.one[1])} on {found.one[0]} and {_ranks(found.other[1])} on "
                    f"{found.other[0]}: all ranks must create the same groups, or they wait until the timeout",
                    help=remedy,
                )


def _ranks(members: object) -> object:
    return list(members) if isinstance(members, tuple) else members
