"""``--fix``: findings -> files repaired. Edits, the rounds to a fixpoint, the proof that each fix holds, writing.

Imported only where something is to be repaired.
"""

from __future__ import annotations

from collections.abc import Mapping

from ddplint.checking import Check
from ddplint.fixes import ignores, loop
from ddplint.fixes.diff import diff
from ddplint.fixes.loop import Applied, Refused, Repair
from ddplint.fixes.writing import write
from ddplint.linter import allow_deep_trees, no_collector

__all__ = ["Applied", "Refused", "Repair", "diff", "hide", "repair", "save"]


def repair(check: Check, *, unsafe: bool) -> Repair:
    """Repair everything that can be repaired, in memory."""
    with no_collector():
        allow_deep_trees()
        return loop.repair(check, unsafe)


def hide(check: Check) -> Repair:
    """Hide every finding behind a suppression, in memory."""
    with no_collector():
        allow_deep_trees()
        return ignores.hide(check)


def save(outcome: Repair) -> tuple[Repair, Mapping[str, str]]:
    """Write the changed files: what holds now, and the files that were left alone with the reason."""
    failed = write(outcome.changed, [fix.paths for fix in outcome.applied])
    return (outcome.without(failed) if failed else outcome), failed
