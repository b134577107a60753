"""Repair to a fixpoint: fixes that do not overlap are applied together, and the model must agree that they hold.

What is not accepted as a whole is tried one by one, and what is not accepted then is left out, with the reason.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from ddplint.checking import Check
from ddplint.findings import Applicability, Finding
from ddplint.fixes.acceptance import Objection, objections, still_reported
from ddplint.fixes.candidates import Candidate, candidates, together
from ddplint.fixes.edits import Taken, applied
from ddplint.fixes.texts import UnusableTextError, changed_module
from ddplint.program.module import Module
from ddplint.sources import Source

ROUNDS = 100
"""After so many rounds something is wrong with a rule."""


@dataclass(frozen=True)
class Refused:
    """A fix that was left out, and why."""

    finding: Finding
    title: str
    reason: str


@dataclass(frozen=True)
class Applied:
    """A fix that was applied: what it repaired, and in which files it changed something."""

    title: str
    findings: tuple[Finding, ...]
    paths: tuple[str, ...]


@dataclass(frozen=True)
class Repair:
    """The outcome. ``check`` knows what is left, ``before`` how the changed files were; nothing is written yet.

    ``stuck`` are the codes of the rules that still wanted to repair something after the last round.
    """

    check: Check
    unsafe: bool
    before: Mapping[str, Module] = field(default_factory=dict)
    applied: tuple[Applied, ...] = ()
    refused: tuple[Refused, ...] = ()
    stuck: tuple[str, ...] = ()

    @cached_property
    def changed(self) -> dict[str, tuple[Source, Source]]:
        """The files before and after."""
        pairs = {path: (module.source, _source(self.check, path)) for path, module in self.before.items()}
        return {path: (before, after) for path, (before, after) in pairs.items() if before.data != after.data}

    def without(self, paths: Collection[str]) -> Repair:
        """The outcome if these files stay as they were, because they cannot be written."""
        check = self.check.after([self.before[path] for path in paths])
        kept = {path: module for path, module in self.before.items() if path not in paths}
        applied = tuple(fix for fix in self.applied if not set(fix.paths) & set(paths))
        return replace(self, check=check, before=kept, applied=applied)


def repair(check: Check, unsafe: bool) -> Repair:
    """Apply the safe fixes, and with ``unsafe`` the others too, until there is nothing left to apply."""
    loop = _Loop(check, unsafe)
    chosen = loop.choose()
    for _ in range(ROUNDS):
        if not chosen:
            break
        loop.round(chosen)
        chosen = loop.choose()
    stuck = {finding.code for candidate in chosen for finding in candidate.findings}
    return Repair(
        loop.check, unsafe, loop.before, tuple(loop.applied), tuple(loop.refused.values()), tuple(sorted(stuck))
    )


def _source(check: Check, path: str) -> Source:
    module = check.module(path)
    assert module is not None, path
    return module.source


class _Loop:
    """Where the repair stands."""

    def __init__(self, check: Check, unsafe: bool) -> None:
        self.check = check
        self.levels = (Applicability.SAFE, Applicability.UNSAFE) if unsafe else (Applicability.SAFE,)
        self.before: dict[str, Module] = {}
        self.applied: list[Applied] = []
        self.refused: dict[tuple[object, ...], Refused] = {}
        self.parsed: dict[tuple[str, str], Module] = {}

    def choose(self) -> list[Candidate]:
        """The fixes of the next round. What was refused stays so, at the place where it is now, if it still is one."""
        wanted: list[Candidate] = []
        refused: dict[tuple[object, ...], Refused] = {}
        for candidate in candidates(self.check, self.levels):
            known = self.refused.get(candidate.identity)
            reason = known.reason if known else candidate.problem
            if reason is None:
                wanted.append(candidate)
            else:
                refused[candidate.identity] = Refused(candidate.findings[0], candidate.title, reason)
        self.refused = refused
        return together(wanted)

    def round(self, chosen: Sequence[Candidate]) -> None:
        """Apply all of them; where that does not hold, one after the other."""
        base = self.check
        after = self.attempt(base, chosen)
        if isinstance(after, Check):
            self.accept(after, chosen)
            return
        # The files in which something went wrong, and those that are tied to them by a fix.
        doubtful = {path for objection in after for path in objection.files}
        while more := {path for fix in chosen if doubtful & set(fix.edits) for path in fix.edits} - doubtful:
            doubtful |= more
        good = [fix for fix in chosen if not doubtful & set(fix.edits)]
        check = self.attempt(base, good) if good else base
        if not isinstance(check, Check):
            good, check = [], base
        for candidate in chosen:
            if candidate in good or not still_reported(check, candidate.findings):
                continue
            trial = self.attempt(base, [*good, candidate], check, candidate)
            if isinstance(trial, Check):
                good.append(candidate)
                check = trial
            else:
                self.refused[candidate.identity] = Refused(candidate.findings[0], candidate.title, trial[0].reason)
        self.accept(check, good)

    def attempt(
        self, base: Check, fixes: Sequence[Candidate], reached: Check | None = None, last: Candidate | None = None
    ) -> Check | list[Objection]:
        """The check after these fixes of ``base``, or what speaks against it.

        All of them but the ``last`` are in ``reached`` already, where only one is tried.
        """
        reached = reached or base
        tried = [last] if last else fixes
        modules: list[Module] = []
        problems: list[Objection] = []
        for path in dict.fromkeys(path for fix in tried for path in fix.edits):
            module = base.module(path)
            assert module is not None, path
            edits = Taken()
            for fix in fixes:
                edits.add(fix.edits.get(path, ()))
            text = applied(module.source.text, edits.replacements)
            try:
                if (path, text) not in self.parsed:
                    self.parsed[path, text] = changed_module(module, text)
                modules.append(self.parsed[path, text])
            except UnusableTextError as error:
                problems.append(Objection(str(error), frozenset((path,))))
        if problems:
            return problems
        after = reached.after(modules)
        repaired = [finding for fix in tried for finding in fix.findings]
        return objections(reached, after, repaired, [module.path for module in modules]) or after

    def accept(self, check: Check, fixes: Iterable[Candidate]) -> None:
        for fix in fixes:
            for path in fix.edits:
                module = self.check.module(path)
                assert module is not None, path
                self.before.setdefault(path, module)
            self.applied.append(Applied(fix.title, fix.findings, tuple(fix.edits)))
        self.check = check
        self.parsed.clear()
