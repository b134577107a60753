"""DDP207: the function that a worker runs, and what it is given, do not fit."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

from ddplint.findings import Applicability, Finding, Severity
from ddplint.rules import Rule

if TYPE_CHECKING:
    from ddplint.program import Program
    from ddplint.program.spawning import Misfit


class SpawnSignature(Rule):
    """Every worker dies with a TypeError, or none can be started."""

    code = "DDP207"
    name = "spawn-signature"
    severity = Severity.ERROR
    summary = "function and arguments of a worker do not fit"
    fix = Applicability.SAFE

    def check(self, program: Program) -> Iterable[Finding]:
        from ddplint import repairs
        from ddplint.program import spawning
        from ddplint.program.values import Origin

        for found in spawning.misfits(program):
            message, help = _told(found)
            notes = []
            if found.function is not None and found.kind == "count":
                facts = found.function.facts
                notes.append(program.note(f"{facts.qualified}() is defined", Origin(facts.module, facts.node)))
            yield program.finding(
                self,
                Origin(found.event.module, found.event.node),
                message,
                help=help,
                notes=notes,
                fix=partial(repairs.workers.fitting, program, found),
            )


def _told(found: Misfit) -> tuple[str, str]:
    """The message and the help."""
    from ddplint.program import spawning

    starter = spawning.called(found.event)
    if found.kind == "called":
        return (
            f"{starter} is given what the function returns, which is None: the function runs here, in one process, "
            "and no worker runs it",
            "name the function without calling it, and hand its arguments over in args",
        )
    if found.kind == "local":
        which = f"{found.function.facts.name}(), which is defined in a function," if found.function else "a lambda"
        return (
            f"{starter} cannot hand {which} to another process: pickle finds functions by their name in a module",
            "define the function on the top level of the module",
        )
    if found.kind == "single":
        return (
            f"{starter} takes args apart, and this is a single value, not a tuple: it raises a TypeError",
            "write args=(value,), with a comma",
        )
    name = found.function.facts.qualified if found.function is not None else "the function"
    takes = f"{found.least}" if found.least == found.most else f"at least {found.least}"
    if found.most is not None and found.given > found.most:
        takes = f"{found.most}"
    by = f"{starter} calls {name}() with {found.given} argument{'' if found.given == 1 else 's'}"
    help = f"hand over in args what {name}() takes"
    if starter.endswith(("spawn", "start_processes")):
        by += " (the index of the worker, then args)"
        help = f"the index comes by itself: args holds what {name}() takes after it"
    return f"{by}, and it takes {takes}: every worker dies with a TypeError", help
