"""DDP108: something that is not a string is stored in the environment, or a string from it is used as a number."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

from ddplint.findings import Applicability, Finding, Severity
from ddplint.rules import Rule

if TYPE_CHECKING:
    from ddplint.program import Program


class BadEnvValue(Rule):
    """Types on both sides of ``os.environ``: only strings go in, and only strings come out."""

    code = "DDP108"
    name = "bad-env-value"
    severity = Severity.ERROR
    summary = "a non-string stored in the environment, or a string from it used as a number"
    fix = Applicability.SAFE

    def check(self, program: Program) -> Iterable[Finding]:
        from ddplint import repairs
        from ddplint.program import textual, words
        from ddplint.program.values import Origin

        for event, kind in textual.bad_stores(program):
            argument = event.arguments["value"]
            yield program.finding(
                self,
                Origin(event.module, argument.node),
                f"{event.name} is set to {_article(kind)}: os.environ takes only strings and raises TypeError",
                help=f"write str({words.code(Origin(event.module, argument.node), 40)})",
                fix=partial(repairs.environment_values.stored, program, event),
            )
        for event, name, default in textual.mixed(program):
            origin = Origin(event.module, event.node)
            if event.name in ("eq", "ne"):
                result = "never equal" if event.name == "eq" else "always different"
                consequence = f"a string and a number are {result}, so the branch is the same on every rank"
            elif event.name in ("lt", "le", "gt", "ge"):
                consequence = "comparing a string with a number raises TypeError"
            else:
                consequence = "arithmetic with a string fails or repeats it"
            when = " whenever it is set" if default else ""
            yield program.finding(
                self,
                origin,
                f"{name} is a string{when}: {consequence}",
                help="convert it first: int(os.environ[...])"
                if not name.startswith("--")
                else "declare it with type=int",
                fix=partial(repairs.environment_values.read, program, event),
            )


def _article(kind: str) -> str:
    return {"int": "an int", "float": "a float", "bool": "a bool", "none": "None"}[kind]
