"""Whether fixes hold: what they repair is gone, and nothing as bad has come in its place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from ddplint.checking import Check
from ddplint.findings import Finding

# A repair may leave a suppression with nothing to suppress. That is repaired in its turn.
_UNUSED = "DDP001"


@dataclass(frozen=True, slots=True)
class Objection:
    """What is wrong with a result, and which of the changed files may be the cause."""

    reason: str
    files: frozenset[str]


def objections(before: Check, after: Check, repaired: Sequence[Finding], changed: Collection[str]) -> list[Objection]:
    """What the model has to say against the step from ``before`` to ``after``; nothing if it agrees."""
    found = [
        Objection(f"ddplint broke on the result: {error}", frozenset(changed))
        for error in sorted(_failures(after) - _failures(before))
    ]
    was, now = _counts(before), _counts(after)
    claimed = Counter((finding.path, finding.code) for finding in repaired)
    least = min(finding.severity.rank for finding in repaired)
    only_comments = all(finding.code == _UNUSED for finding in repaired)
    for place, count in now.items():
        path, code = place
        if count <= max(was[place] - claimed[place], 0) or (code == _UNUSED and not only_comments):
            continue
        left = [finding for finding in after.findings if (finding.path, finding.code) == place]
        if claimed[place]:
            reason = f"{code} would still be reported in {path}"
        elif max(finding.severity.rank for finding in left if not finding.suppressed) >= least:
            reason = f"{path} would have a new finding, {code}"
        else:
            continue
        found.append(Objection(reason, frozenset(_causes(after, path, code, changed))))
    return found


def still_reported(check: Check, findings: Sequence[Finding]) -> bool:
    """Whether there is anything left of these findings, or another fix has repaired them as well."""
    now = _counts(check)
    return any(now[finding.path, finding.code] for finding in findings)


def _counts(check: Check) -> Counter[tuple[str, str]]:
    return Counter((finding.path, finding.code) for finding in check.findings if not finding.suppressed)


def _failures(check: Check) -> set[str]:
    reports = (failure.report for verdict in check.verdicts for failure in verdict.failures)
    return {f"{report.rule} on {report.path}: {report.error}" for report in reports}


def _causes(check: Check, path: str, code: str, changed: Collection[str]) -> Iterator[str]:
    """The changed files that are executed by who reports this."""
    if path in changed:
        yield path
    for verdict in check.verdicts:
        if any((finding.path, finding.code) == (path, code) for finding in verdict.findings):
            yield from (file for file in changed if verdict.program.executes((file,)))
