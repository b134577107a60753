"""The rules on the files: what they find, what comments hide, and the same again after some files changed.

Whatever one file or one rule does, the others are still judged: a fault of our own is an :class:`InternalError`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

from ddplint.findings import Applicability, Finding, InternalError, Position
from ddplint.sources import Source, SourceError, from_bytes, may_suppress, read_bytes

if TYPE_CHECKING:
    from ddplint.findings import Fix
    from ddplint.program import Program, Project
    from ddplint.program.module import Module
    from ddplint.rules import Rule
    from ddplint.settings import Settings
    from ddplint.suppressions import Suppressions


@dataclass(frozen=True, slots=True)
class Failure:
    """A fault of our own, and the line of our code at which it came up."""

    report: InternalError
    where: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the rules say about one program: their findings, and the rules that broke."""

    program: Program
    findings: tuple[Finding, ...]
    failures: tuple[Failure, ...]


@dataclass(frozen=True, eq=False, repr=False)
class Check:
    """The files of one run, and what was found in them.

    Nothing in it ever changes: :meth:`after` gives another one, in which only what executes a changed file was judged
    again. ``files`` are the linted files that could be decoded, ``unusable`` the findings (DDP000) about the others.
    """

    settings: Settings
    files: Mapping[str, Source] = field(default_factory=dict)
    projects: tuple[Project, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    unusable: tuple[Finding, ...] = ()
    failures: tuple[Failure, ...] = ()
    found: frozenset[str] = frozenset()
    comments: dict[str, Suppressions] = field(default_factory=dict)  # by text, so that none is read twice

    # -- what was found -----------------------------------------------------------------------------------------

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """All findings by place, hidden ones marked, with a DDP001 for every comment in a linted file that hides
        nothing."""
        return tuple(sorted(self._suppressed(), key=_place))

    @cached_property
    def errors(self) -> tuple[InternalError, ...]:
        """Our own faults. What breaks in the program model breaks in every rule: the first report is enough."""
        first: dict[tuple[str, str], InternalError] = {}
        for failure in (*self.failures, *(failure for verdict in self.verdicts for failure in verdict.failures)):
            first.setdefault((failure.report.path, failure.where), failure.report)
        return tuple(first.values())

    @property
    def texts(self) -> dict[str, str]:
        """The text of every file with findings."""
        seen = {finding.path for finding in self.findings}
        texts = {path: self._text(path) for path in seen}
        return {path: text for path, text in texts.items() if text is not None}

    def _suppressed(self) -> Iterator[Finding]:
        by_path: dict[str, list[Finding]] = {path: [] for path in self.files}
        for finding in self._reported():
            by_path.setdefault(finding.path, []).append(finding)
        for path, findings in by_path.items():
            # A helper module that was not named on the command line may hide findings in it too.
            text = self._text(path)
            if text is None or not may_suppress(text):
                yield from findings
                continue
            from ddplint import suppressions
            from ddplint.rules import registry

            judged = functools.partial(self._judged, path)
            if text not in self.comments:
                self.comments[text] = suppressions.find(text)
            for finding in suppressions.apply(findings, self.comments[text], registry(), path, judged):
                if finding.code != "DDP001":
                    yield finding
                elif path in self.files and self.settings.enabled("DDP001", path):
                    yield self._graded(finding)

    def _reported(self) -> Iterable[Finding]:
        """What the rules say, once: a mistake in a helper is found again through every script that imports it."""
        first: dict[tuple[str, str, object], Finding] = {}
        for finding in (*self.unusable, *(finding for verdict in self.verdicts for finding in verdict.findings)):
            # A rule may report in a helper module that has its own per-file ignores.
            if finding.code == "DDP000" or self.settings.enabled(finding.code, finding.path):
                first.setdefault((finding.code, finding.path, finding.span), finding)
        return [self._graded(finding) for finding in first.values()]

    def _graded(self, finding: Finding) -> Finding:
        """The finding with what the settings say about its severity and its fix."""
        severity = self.settings.severity_of(finding.code, finding.severity)
        if finding.fix is None and severity is finding.severity:
            return finding
        return replace(finding, severity=severity, fix=finding.fix and self._fix(finding, finding.fix))

    def _fix(self, finding: Finding, fix: Fix) -> Fix | None:
        if not self.settings.may_fix(finding.code):
            return None
        level = self.settings.applicability_of(finding.code, fix.applicability)
        if not all(self._ours(edit.path or finding.path) for edit in fix.edits):
            level = Applicability.DISPLAY
        return fix if level is fix.applicability else replace(fix, applicability=level)

    @cached_property
    def _ours(self) -> Callable[[str], bool]:
        return functools.cache(self.may_change)

    def may_change(self, path: str) -> bool:
        """Whether a file is to be repaired: one that was asked about, or an imported one in the working directory."""
        import os

        if path in self.files or os.path.realpath(path) in self.found:
            return True
        from ddplint.sources import left_out

        outside = os.path.isabs(path) or path.startswith("../")
        return not outside and not left_out(path, self.settings)

    @cached_property
    def _unjudged(self) -> frozenset[str]:
        """Of which files nothing is known, or not all: what their comments hide cannot be called unused."""
        return frozenset(found.path for found in self.unusable) | {failure.report.path for failure in self.failures}

    @cached_property
    def _broken(self) -> frozenset[tuple[str, str | None]]:
        reports = (failure.report for verdict in self.verdicts for failure in verdict.failures)
        return frozenset((report.path, report.rule) for report in reports)

    def _judged(self, path: str, code: str) -> bool:
        """Whether a rule has done its work on a file, so that it is known what it finds there."""
        if (path, code) in self._broken or path in self._unjudged:
            return False
        return enabled(self.settings, code, path)

    def module(self, path: str) -> Module | None:
        """A parsed file by how it is shown: a linted one, or one that these import."""
        found = (project.module_at(path) for project in self.projects)
        return next((module for module in found if module is not None), None)

    def _text(self, path: str) -> str | None:
        """The text of a linted or imported file; also for the code frame."""
        if path in self.files:
            return self.files[path].text
        if path in self._unjudged:
            return None
        module = self.module(path)
        if module is not None:
            return module.source.text
        try:
            return from_bytes(read_bytes(path, path), path, None).text
        except SourceError:
            return None

    # -- judging ------------------------------------------------------------------------------------------------

    def after(self, modules: Sequence[Module]) -> Check:
        """The same files with these in the place of those of the same path. Programs that execute none of them are
        not judged again."""
        projects = tuple(project.after(modules) for project in self.projects)
        known = {id(verdict.program): verdict for verdict in self.verdicts}
        rules = enabled_rules(self.settings)
        verdicts = tuple(
            known.get(id(program)) or verdict_on(program, rules, self.settings)
            for project in projects
            for program in project.programs
        )
        changed = {module.path: module.source for module in modules if module.path in self.files}
        return Check(
            self.settings,
            {**self.files, **changed},
            projects,
            verdicts,
            self.unusable,
            self.failures,
            self.found,
            self.comments,
        )


def check(
    sources: Sequence[Source],
    settings: Settings,
    unusable: Sequence[Finding],
    found: Iterable[str],
    step: Callable[[], None],
) -> Check:
    """Run the rules over the sources, which are one project; ``unusable`` are those that could not even be read.

    ``found`` are the real paths of all files that were asked about; ``step`` is called for each source that is done.
    """
    rules = enabled_rules(settings) if sources else []
    failures: list[Failure] = []
    refused = list(unusable)
    verdicts: list[Verdict] = []
    projects = tuple(_projects(sources, settings, failures, step)) if sources else ()
    for project in projects:
        for problem in project.problems:
            refused.append(unusable_file(problem.path, problem.message, problem.position))
            step()
        for program in project.programs:
            verdicts.append(verdict_on(program, rules, settings))
            step()
    files = {source.path: source for source in sources}
    return Check(settings, files, projects, tuple(verdicts), tuple(refused), tuple(failures), frozenset(found))


def enabled(settings: Settings, code: str, path: str | None = None) -> bool:
    """Whether there is such a rule and it runs (on that file)."""
    from ddplint.rules import registry

    rule = registry().get(code)
    return rule is not None and settings.enabled(code, path, preview=rule.preview)


def enabled_rules(settings: Settings) -> list[Rule]:
    """The rules that run on some file."""
    from ddplint.rules import registry

    return [rule for code, rule in registry().items() if enabled(settings, code)]


def verdict_on(program: Program, rules: Iterable[Rule], settings: Settings) -> Verdict:
    """All rules on one program. A fault in one is ours, not the user's, and ends nothing else."""
    findings: list[Finding] = []
    failures: list[Failure] = []
    for rule in rules:
        if enabled(settings, rule.code, program.path):
            try:
                findings.extend(rule.check(program))
            except Exception as error:
                failures.append(_failure(program.path, rule.code, error))
    failures += [_failure(program.path, code, error) for code, error in program.faults]
    return Verdict(program, tuple(findings), tuple(failures))


def unusable_file(path: str, message: str, position: Position) -> Finding:
    """The finding about a file that cannot be read or parsed."""
    from ddplint.findings import Severity, Span

    end = Position(position.line, position.column + 1)
    return Finding("DDP000", "syntax-error", Severity.ERROR, message, path, Span(position, end))


def _projects(
    sources: Sequence[Source], settings: Settings, failures: list[Failure], step: Callable[[], None]
) -> Iterator[Project]:
    """All sources as one project; without those, if any, that break the program model."""
    from ddplint.program import load_project

    try:
        yield load_project(sources, settings)
    except Exception as error:
        if len(sources) == 1:
            failures.append(_failure(sources[0].path, None, error))
            step()
            return
        # One of them breaks it. Alone, each of the others is still judged, by what it imports as before.
        for source in sources:
            yield from _projects([source], settings, failures, step)


def _failure(path: str, rule: str | None, error: Exception) -> Failure:
    import traceback

    last = traceback.extract_tb(error.__traceback__)[-1]
    text = "".join(traceback.format_exception(error))
    message = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return Failure(InternalError(path, rule, message, text), f"{type(error).__name__} {last.filename}:{last.lineno}")


def _place(finding: Finding) -> tuple[str, Position, str]:
    return finding.path, finding.span.start, finding.code
