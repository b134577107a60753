"""Rules for tests of fixes: each reports a pattern in the text of every executed module, and what to write there."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path

from ddplint.checking import Check
from ddplint.findings import Applicability, Edit, Finding, Fix, Position, Severity, Span
from ddplint.fixes import Repair, repair
from ddplint.linter import examine
from ddplint.program import Program
from ddplint.rules import Rule
from ddplint.settings import Settings

HEAD = "import torch.distributed as dist\n"

Edits = Callable[[str, "re.Match[str]", str], Iterable[Edit]]
"""From the path and the match of a pattern in a text to the edits that repair it."""


def position(text: str, offset: int) -> Position:
    lines = re.split(r"\r\n|\r|\n", text[:offset])
    return Position(len(lines), len(lines[-1]) + 1)


def edit(text: str, start: int, end: int, new: str, path: str | None = None) -> Edit:
    return Edit(Span(position(text, start), position(text, end)), new, path)


def toy(
    code: str,
    pattern: str,
    new: str | Edits | None,
    severity: Severity = Severity.WARNING,
    applicability: Applicability = Applicability.SAFE,
) -> Rule:
    """A rule that reports ``pattern`` and replaces it by ``new`` (as in ``re.sub``), or makes the edits it says."""

    def fix(path: str, match: re.Match[str], text: str) -> Fix | None:
        if new is None:
            return None
        edits = [edit(text, *match.span(), match.expand(new))] if isinstance(new, str) else new(path, match, text)
        return Fix(applicability, f"Repair {code}", tuple(edits))

    def check(program: Program) -> Iterable[Finding]:
        for module in program.modules:
            text = module.source.text
            for match in re.finditer(pattern, text):
                span = Span(position(text, match.start()), position(text, match.end()))
                message = f"{match[0]!r} was found"
                yield Finding(
                    code, f"toy-{code.lower()}", severity, message, module.path, span, fix=fix(module.path, match, text)
                )

    members = {"code": code, "name": f"toy-{code.lower()}", "severity": severity, "summary": "a toy"}
    made: Rule = type("Toy", (Rule,), members)()
    made.check = check  # type: ignore[method-assign]
    return made


def checked(*paths: str | Path, settings: Settings | None = None) -> Check:
    check = examine([str(path) for path in paths], settings or Settings()).check
    assert check is not None
    return check


def repaired(text: str, *, unsafe: bool = False, settings: Settings | None = None) -> tuple[str, Repair]:
    """A script, repaired in memory."""
    Path("train.py").write_bytes((HEAD + text).encode())
    outcome = repair(checked("train.py", settings=settings), unsafe=unsafe)
    module = outcome.check.module("train.py")
    assert module is not None
    assert module.source.text.startswith(HEAD)
    return module.source.text.removeprefix(HEAD), outcome


def left(outcome: Repair) -> list[str]:
    return [finding.code for finding in outcome.check.findings if not finding.suppressed]
