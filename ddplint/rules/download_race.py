"""DDP405: every process downloads the same data into the same folder."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

from ddplint.findings import Applicability, Finding, Severity
from ddplint.rules import Rule

if TYPE_CHECKING:
    from ddplint.program import Program


class DownloadRace(Rule):
    """Who comes second finds files that are half written."""

    code = "DDP405"
    name = "download-race"
    severity = Severity.WARNING
    summary = "every process downloads"
    fix = Applicability.UNSAFE

    def check(self, program: Program) -> Iterable[Finding]:
        from ddplint import repairs
        from ddplint.program import downloads
        from ddplint.program.values import Origin

        for way in downloads.raced(program):
            name = way.event.name.rpartition(".")[2]
            what = f"{name}(download=True)" if downloads.is_dataset(way.event) else f"{name}()"
            told = way.event.arguments.get("download")
            yield program.finding(
                self,
                way.origin if told is None else Origin(way.event.module, told.node),
                f"All processes of a machine call {what} at the same time: they write the same files, and some read "
                "them half written",
                help="let local rank 0 download and the others wait at dist.barrier(), or download before the "
                "processes are started",
                fix=partial(repairs.turns.first_on_each_machine, program, way.event),
            )
