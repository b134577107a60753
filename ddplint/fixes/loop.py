"""Repair to a fixpoint: fixes that do not overlap are applied together, and the model must agree that they hold.

What is not accepted as a whole is tried one by one, and what is not accepted then is left out, with the reason.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from ddplint.checking import Check
from ddplint.findings import Applicability, Edit, Finding, Span
from ddplint.fixes.acceptance import Objection, objections, still_reported
from ddplint.fixes.edits import Lines, Replacement, Taken, UnusableEditError, applied, consistent
from ddplint.fixes.texts import UnusableTextError, changed_module
from ddplint.program.module import Module
from ddplint.sources import Source

ROUNDS = 100
"""After so many rounds something is wrong with a rule."""

_Key = tuple[tuple[str, Edit], ...]


@dataclass(frozen=True)
class Candidate:
    """A fix that may be applied: its title, its edits by file, and all findings that it repairs."""

    title: str
    edits: Mapping[str, tuple[Replacement, ...]]
    findings: tuple[Finding, ...]
    identity: tuple[object, ...]


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
    for _ in range(ROUNDS):
        chosen = loop.choose()
        if not chosen:
            break
        loop.round(chosen)
    stuck = {finding.code for candidate in loop.choose() for finding in candidate.findings}
    return Repair(
        loop.check,
        unsafe,
        loop.before,
        tuple(loop.applied),
        tuple(loop.refused.values()),
        tuple(sorted(stuck)),
    )


def _source(check: Check, path: str) -> Source:
    module = check.module(path)
    assert module is not None, path
    return module.source


class _Loop:
    """Where the repair stands."""

    def __init__(self, check: Check, unsafe: bool) -> None:
        self.check = check
        self.levels = {Applicability.SAFE, Applicability.UNSAFE} if unsafe else {Applicability.SAFE}
        self.before: dict[str, Module] = {}
        self.applied: list[Applied] = []
        self.refused: dict[tuple[object, ...], Refused] = {}
        self.parsed: dict[tuple[str, str], Module] = {}

    # -- what to apply ------------------------------------------------------------------------------------------

    def choose(self) -> list[Candidate]:
        """The fixes of this round, in the order of the findings; those that overlap with one of them wait."""
        taken: dict[str, Taken] = {}
        chosen = []
        for candidate in self.candidates():
            files = [(taken.setdefault(path, Taken()), edits) for path, edits in candidate.edits.items()]
            if all(file.fits(edits) for file, edits in files):
                for file, edits in files:
                    file.add(edits)
                chosen.append(candidate)
        return chosen

    def candidates(self) -> Iterator[Candidate]:
        """Every fix once, with all findings that carry it."""
        lines: dict[str, Lines] = {}
        wanted: dict[_Key, list[Finding]] = {}
        for finding in self.check.findings:
            fix = finding.fix
            if fix is not None and fix.edits and fix.applicability in self.levels and not finding.suppressed:
                key = tuple(sorted(((edit.path or finding.path, edit) for edit in fix.edits), key=_place))
                wanted.setdefault(tuple((path, Edit(edit.span, edit.text)) for path, edit in key), []).append(finding)
        for key, findings in wanted.items():
            fix = findings[0].fix
            assert fix is not None
            edits: dict[str, list[Replacement]] = {}
            problem = None
            for path, edit in key:
                module = self.check.module(path)
                if module is None:
                    problem = f"{path} was not read"
                    break
                if path not in lines:
                    lines[path] = Lines(module.source.text, module.source.newline)
                try:
                    edits.setdefault(path, []).append(lines[path].replacement(edit))
                except UnusableEditError as error:
                    problem = f"in {path} {error}"
                    break
            if problem is None and not all(map(consistent, edits.values())):
                problem = "its edits overlap"
            identity = (
                fix.title,
                *((finding.path, finding.code) for finding in findings),
                *((path, edit.text, lines[path].text[edit.start : edit.end]) for path in edits for edit in edits[path]),
            )
            if identity in self.refused:
                continue
            candidate = Candidate(
                fix.title, {path: tuple(found) for path, found in edits.items()}, tuple(findings), identity
            )
            if problem is None:
                yield candidate
            else:
                self.refuse(candidate, problem)

    def refuse(self, candidate: Candidate, reason: str) -> None:
        self.refused[candidate.identity] = Refused(candidate.findings[0], candidate.title, reason)

    # -- applying -----------------------------------------------------------------------------------------------

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
                self.refuse(candidate, trial[0].reason)
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


def _place(edit: tuple[str, Edit]) -> tuple[str, Span]:
    return edit[0], edit[1].span
