"""``--add-ignore``: a suppression for every finding that there is today."""

from __future__ import annotations

from collections.abc import Sequence

from ddplint.checking import Check
from ddplint.findings import Finding
from ddplint.fixes.edits import Lines, applied
from ddplint.fixes.loop import Applied, Refused, Repair
from ddplint.fixes.texts import UnusableTextError, changed_module
from ddplint.program.module import Module
from ddplint.suppressions.placement import placed

_TITLE = "write a suppression"


def hide(check: Check) -> Repair:
    """Hide everything that can be hidden, in memory: not a file that does not parse, or is not ours to change."""
    by_path: dict[str, list[Finding]] = {}
    for finding in check.findings:
        if not finding.suppressed and finding.code != "DDP000":
            by_path.setdefault(finding.path, []).append(finding)
    before: dict[str, Module] = {}
    after: list[Module] = []
    refused: list[Refused] = []
    for path, findings in by_path.items():
        module = check.module(path)
        if module is None or not check.may_change(path):
            continue
        try:
            after.append(changed_module(module, _with_comments(module, findings)))
            before[path] = module
        except UnusableTextError as error:
            refused.append(Refused(findings[0], _TITLE, str(error)))
    done = tuple(Applied(_TITLE, tuple(by_path[path]), (path,)) for path in before)
    return Repair(check.after(after), False, before, done, tuple(refused))


def _with_comments(module: Module, findings: Sequence[Finding]) -> str:
    source = module.source
    lines = Lines(source.text, source.newline)
    edits = placed(source.text, [(finding.span.start.line, finding.name) for finding in findings])
    return applied(source.text, [lines.replacement(edit) for edit in edits])
