"""DDP607: other ranks read what rank 0 may still be writing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ddplint.findings import Finding, Severity
from ddplint.rules import Rule

if TYPE_CHECKING:
    from ddplint.program import Program


class WriteWithoutBarrier(Rule):
    """Rank 0 writes a file, and the others read it without waiting."""

    code = "DDP607"
    name = "write-without-barrier"
    severity = Severity.WARNING
    since = "0.1.0"
    summary = "other ranks read what rank 0 is still writing"
    preview = True

    def check(self, program: Program) -> Iterable[Finding]:
        from ddplint.program import handovers
        from ddplint.program.values import Origin

        for found in handovers.races(program):
            write, read = found.write, found.read
            what = "downloaded this dataset" if found.data else "written this file"
            yield program.finding(
                self,
                Origin(read.module, read.node),
                f"The other ranks get here before rank 0 has {what}: nothing makes them wait, and they find nothing "
                "or half of it",
                help="call dist.barrier() on every rank between the two",
                notes=[program.note("rank 0 alone writes", Origin(write.module, write.node))],
            )
