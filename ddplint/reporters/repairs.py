"""What can be repaired, what was, and what is left and why: the lines below the findings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ddplint.findings import Applicability, Finding
from ddplint.reporters.wording import counted, location, printable, shown

if TYPE_CHECKING:
    from ddplint.fixes import Repair
    from ddplint.linter import Report
    from ddplint.reporters import Style


def mark(finding: Finding, style: Style) -> str:
    """`` [*]`` behind a finding that the same command with ``--fix`` would repair."""
    return " [*]" if _level(finding) in _levels(style.unsafe_fixes) else ""


def lines(report: Report, style: Style) -> list[str]:
    """What to say about repairs, in a run with ``--fix`` or without."""
    if report.fixes is None:
        return _fixable(shown(report.findings), style.unsafe_fixes)
    left = _left(shown(report.findings), report.fixes)
    listed = applied(report.fixes) if style.show_fixes else []
    return [f"{done(report.fixes)} {left}".rstrip(), *listed, *left_out(report.fixes)]


def done(fixes: Repair, verb: str = "Fixed") -> str:
    """One sentence: how much was repaired."""
    findings = sum(len(fix.findings) for fix in fixes.applied)
    if not findings:
        return f"{verb} nothing."
    return f"{verb} {counted(findings, 'finding')} in {counted(len(fixes.changed), 'file')}."


def applied(fixes: Repair) -> list[str]:
    """The fixes of each file: how many, of which rule, and what they do."""
    found: dict[str, Counter[tuple[str, str, str]]] = {}
    for fix in fixes.applied:
        for finding in fix.findings:
            kinds = found.setdefault(finding.path, Counter())
            kinds[finding.code, finding.name, fix.title] += 1
    said = []
    for path in sorted(found):
        said.append(f"  {printable(path)}:")
        for (code, name, title), count in sorted(found[path].items()):
            said.append(f"    {count} x {code} {name}: {printable(title)}")
    return said


def left_out(fixes: Repair) -> list[str]:
    """The fixes that did not hold, each with the reason."""
    if not fixes.refused:
        return []
    number = len(fixes.refused)
    said = [f"{number} fixes did not hold and were left out:" if number > 1 else "1 fix did not hold and was left out:"]
    for refused in fixes.refused:
        finding = refused.finding
        what = f"{finding.code} {printable(refused.title)}"
        said.append(f"  {location(finding)}: {what}: {printable(refused.reason)}")
    return said


def _fixable(findings: Iterable[Finding], unsafe: bool) -> list[str]:
    levels = Counter(_level(finding) for finding in findings)
    safe, more = levels[Applicability.SAFE], levels[Applicability.UNSAFE]
    if unsafe and safe + more:
        return [f"{safe + more} fixable with --fix --unsafe-fixes."]
    if safe:
        return [f"{safe} fixable with --fix{f', {more} more with --unsafe-fixes' if more else ''}."]
    return [f"{more} fixable with --fix --unsafe-fixes."] if more else []


def _left(findings: list[Finding], fixes: Repair) -> str:
    """``3 left: 1 with an unsafe fix (--unsafe-fixes), 2 without a fix.``"""
    levels = Counter(_level(finding) for finding in findings)
    unsafe = 0 if fixes.unsafe else levels[Applicability.UNSAFE]
    failed = sum(levels[level] for level in _levels(fixes.unsafe))
    shown_only = levels[Applicability.DISPLAY]
    none = levels[None]
    parts = [
        (unsafe, "with an unsafe fix (--unsafe-fixes)"),
        (failed, "with a fix that was left out"),
        (shown_only, "with a fix that is never applied"),
        (none, "without a fix"),
    ]
    parts = [part for part in parts if part[0]]
    if len(parts) == 1:
        return f"{len(findings)} left, {parts[0][1]}."
    return f"{len(findings)} left: {', '.join(f'{count} {words}' for count, words in parts)}." if parts else ""


def _levels(unsafe: bool) -> tuple[Applicability, ...]:
    return (Applicability.SAFE, Applicability.UNSAFE) if unsafe else (Applicability.SAFE,)


def _level(finding: Finding) -> Applicability | None:
    return finding.fix.applicability if finding.fix is not None and finding.fix.edits else None
