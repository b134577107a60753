"""The pipeline: discover -> read -> prefilter -> load the project -> rules -> suppressions -> sort.

Whatever one file or one rule does, the others are still linted: a file that cannot be used becomes DDP000, a path
that cannot be used a problem, a fault of our own an :class:`InternalError`. LibCST (behind :mod:`ddplint.program`) is
imported only once a file is known to be worth a parse.
"""

from __future__ import annotations

import functools
import gc
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ddplint.sources import Found, Source, SourceError, discover, from_bytes, mentions_distributed, read_bytes
from ddplint.sources.imports import imported_words, module_words, reaches_distributed

if TYPE_CHECKING:
    from ddplint.findings import Finding, InternalError, Position, Span
    from ddplint.program import Program, Project
    from ddplint.program.ranks import RankTable
    from ddplint.rules import Rule
    from ddplint.settings import Settings

# Since Python 3.11 a call of Python by Python takes no C stack; before, 1 KiB or so of 8 MiB.
_RECURSION = 20_000 if sys.version_info >= (3, 11) else 5_000

Progress = Callable[[int, int], None]
"""Told how many files are done, and of how many."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a run found.

    ``findings`` are sorted by place and include the suppressed ones. ``files`` were found, ``checked`` of them parsed,
    ``skipped`` dropped because they have nothing distributed in them. ``problems`` are paths that could not be used,
    ``empty`` folders without Python files; ``texts`` holds the source of every file with findings.
    """

    findings: tuple[Finding, ...] = ()
    files: int = 0
    checked: int = 0
    skipped: int = 0
    errors: tuple[InternalError, ...] = ()
    problems: tuple[str, ...] = ()
    empty: tuple[str, ...] = ()
    texts: Mapping[str, str] = field(default_factory=dict)


def lint(
    paths: Sequence[str],
    settings: Settings,
    *,
    stdin: bytes | None = None,
    stdin_filename: str | None = None,
    progress: Progress | None = None,
) -> Report:
    """Lint ``paths``, and the content ``stdin`` under the name ``stdin_filename``."""
    found = discover(paths, settings)
    run = _Run(settings, progress or (lambda done, total: None), len(found.files) + (stdin is not None))
    sources = run.gather(found.files)
    if stdin is not None:
        sources += run.decode(stdin, stdin_filename or "<stdin>", None)
    if sources:
        with _no_collector():
            run.check(sources)
    findings = sorted(run.suppressed(), key=_place)
    seen = {finding.path for finding in findings}
    return Report(
        findings=tuple(findings),
        files=run.total,
        checked=run.checked,
        skipped=run.total - run.checked,
        errors=tuple(run.errors.values()),
        problems=found.problems,
        empty=found.empty,
        texts={path: text for path, text in {**run.helpers, **run.texts}.items() if path in seen},
    )


@contextmanager
def _no_collector() -> Iterator[None]:
    """Without the cyclic garbage collector: every tree lives to the end, and looking at all of them again and again
    took a quarter of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _allow_deep_trees() -> None:
    """Walking and positions take several Python frames for each of the levels that too_deep() lets through."""
    sys.setrecursionlimit(max(sys.getrecursionlimit(), _RECURSION))


class UnusableScriptError(Exception):
    """A script of which no rank table can be made; the text says why."""


def rank_table(
    path: str, nnodes: int, nproc_per_node: int, launcher: str | None, inputs: Mapping[str, Sequence[str]]
) -> RankTable:
    """What every process of a run of ``path`` would get (see :mod:`ddplint.program.ranks`).

    Raises:
        UnusableScriptError: there is no such file, or it cannot be parsed.
    """
    from ddplint.settings import Settings

    if os.path.isdir(path):
        raise UnusableScriptError(f"{path}: is a folder: name the script that is started")
    run = _Run(Settings(), lambda done, total: None, 1)
    data = run.bytes_of(path, path)
    sources = list(run.decode(data, path, path, everything=True)) if data is not None else []
    if sources:
        from ddplint.program import load_project

        _allow_deep_trees()
        project = load_project(sources, run.settings)
        for problem in project.problems:
            run.unusable(problem.path, problem.message, problem.position)
        if project.programs:
            from ddplint.program.ranks import table

            return table(project.programs[0], nnodes, nproc_per_node, launcher, inputs)
    finding = next(iter(run.findings.values()))
    raise UnusableScriptError(f"{path}:{finding.span.start.line}:{finding.span.start.column}: {finding.message}")


class _Run:
    """What one run has gathered so far."""

    def __init__(self, settings: Settings, progress: Progress, total: int) -> None:
        self.settings = settings
        self.progress = progress
        self.total = total
        self.checked = 0
        self.done = 0
        # By code, file and place: a mistake in a helper is found again through every script that imports it.
        self.findings: dict[tuple[str, str, Span], Finding] = {}
        self.errors: dict[tuple[str, str], InternalError] = {}
        # The text of every linted file that could be decoded, and of helpers with findings.
        self.texts: dict[str, str] = {}
        self.helpers: dict[str, str] = {}
        # Of which files nothing is known, or not all: what their comments hide cannot be called unused.
        self.unjudged: set[str] = set()
        self.broken: dict[str, set[str]] = {}

    def gather(self, files: Sequence[Found]) -> list[Source]:
        """The files that have something to do with distributed training, by themselves or through what they import."""
        sources: list[Source] = []
        passed: list[str] = []
        quiet: list[Found] = []
        for file in files:
            data = self.bytes_of(file.path, file.display)
            if data is None:
                continue
            if mentions_distributed(data) or (file.explicit and reaches_distributed(data, file.path)):
                passed.append(file.path)
                sources += self.decode(data, file.display, file.path, everything=True)
            else:
                quiet.append(file)
        # a script may be distributed only through a helper that was just found: read its imports
        helpers = module_words(passed)
        for file in quiet:
            data = self.bytes_of(file.path, file.display) if helpers else None
            if data is not None and b"__main__" in data and imported_words(data) & helpers:
                sources += self.decode(data, file.display, file.path, everything=True)
            else:
                self.step()
        return sources

    def bytes_of(self, path: str, display: str) -> bytes | None:
        """The bytes of a file; None, and a finding, if it cannot be read."""
        try:
            return read_bytes(path, display)
        except SourceError as error:
            self.checked += 1
            self.unusable(error.path, error.message, error.position)
            self.step()
            return None

    def decode(self, data: bytes, display: str, path: str | None, *, everything: bool = False) -> Iterator[Source]:
        """One file, if it is worth a parse and can be parsed."""
        if not (everything or mentions_distributed(data)):
            self.step()
            return
        from pathlib import Path

        self.checked += 1
        try:
            source = from_bytes(data, display, Path(os.path.realpath(path)) if path is not None else None)
        except SourceError as error:
            self.unusable(error.path, error.message, error.position)
            self.step()
            return
        self.texts[display] = source.text
        yield source

    def check(self, sources: Sequence[Source]) -> None:
        """Run the rules over the sources, which are one project."""
        from ddplint.rules import registry

        rules = [rule for code, rule in registry().items() if self.enabled(code)]
        _allow_deep_trees()
        for project in self.projects(sources):
            for problem in project.problems:
                self.unusable(problem.path, problem.message, problem.position)
                self.step()
            for program in project.programs:
                for rule in rules:
                    if self.enabled(rule.code, program.path):
                        self.apply(rule, program)
                self.step()

    def projects(self, sources: Sequence[Source]) -> list[Project]:
        """All sources as one project; without those, if any, that break the program model."""
        from ddplint.program import load_project

        try:
            return [load_project(sources, self.settings)]
        except Exception as error:
            if len(sources) == 1:
                self.failed(sources[0].path, None, error)
                self.step()
                return []
            # One of them breaks it. Alone, each of the others is still judged, by what it imports as before.
            return [project for source in sources for project in self.projects([source])]

    def apply(self, rule: Rule, program: Program) -> None:
        """One rule on one file. A fault in it is ours, not the user's, and ends nothing else."""
        try:
            for finding in rule.check(program):
                self.add(finding)
        except Exception as error:
            self.failed(program.path, rule.code, error)

    def enabled(self, code: str, path: str | None = None) -> bool:
        from ddplint.rules import registry

        rule = registry().get(code)
        return rule is not None and self.settings.enabled(code, path, preview=rule.preview)

    def add(self, finding: Finding) -> None:
        # A rule may report in a helper module that has its own per-file ignores.
        if finding.code == "DDP000" or self.settings.enabled(finding.code, finding.path):
            severity = self.settings.severity_of(finding.code, finding.severity)
            self.findings.setdefault((finding.code, finding.path, finding.span), replace(finding, severity=severity))

    def unusable(self, path: str, message: str, position: Position) -> None:
        """A file that cannot be read or parsed."""
        from ddplint.findings import Finding, Position, Severity, Span

        self.unjudged.add(path)
        end = Position(position.line, position.column + 1)
        self.add(Finding("DDP000", "syntax-error", Severity.ERROR, message, path, Span(position, end)))

    def failed(self, path: str, rule: str | None, error: Exception) -> None:
        import traceback

        from ddplint.findings import InternalError

        if rule is None:
            self.unjudged.add(path)
        else:
            self.broken.setdefault(path, set()).add(rule)
        # What breaks in the program model breaks in every rule that asks for it: the first report is enough.
        last = traceback.extract_tb(error.__traceback__)[-1]
        key = (path, f"{type(error).__name__} {last.filename}:{last.lineno}")
        text = "".join(traceback.format_exception(error))
        message = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        self.errors.setdefault(key, InternalError(path, rule, message, text))

    def step(self) -> None:
        self.done += 1
        self.progress(self.done, self.total)

    def suppressed(self) -> Iterator[Finding]:
        """The findings, hidden ones marked, and a DDP001 for every comment in a linted file that hides nothing."""
        by_path: dict[str, list[Finding]] = {path: [] for path in self.texts}
        for finding in self.findings.values():
            by_path.setdefault(finding.path, []).append(finding)
        for path, findings in by_path.items():
            linted = path in self.texts
            # A helper module that was not named on the command line may hide findings in it too.
            text = self.texts[path] if linted else self.helper(path)
            if text is None:
                yield from findings
                continue
            from ddplint import suppressions
            from ddplint.rules import registry

            judged = functools.partial(self.judged, path)
            for finding in suppressions.apply(findings, suppressions.find(text), registry(), path, judged):
                if finding.code != "DDP001":
                    yield finding
                elif linted and self.settings.enabled("DDP001", path):
                    severity = self.settings.severity_of("DDP001", finding.severity)
                    yield replace(finding, severity=severity)

    def judged(self, path: str, code: str) -> bool:
        """Whether a rule has done its work on a file, so that it is known what it finds there."""
        return code not in self.broken.get(path, ()) and path not in self.unjudged and self.enabled(code, path)

    def helper(self, path: str) -> str | None:
        """The text of a module that was not linted but imported; for the code frame as well."""
        if path in self.unjudged:
            return None
        try:
            self.helpers[path] = from_bytes(read_bytes(path, path), path, None).text
        except SourceError:
            return None
        return self.helpers[path]


def _place(finding: Finding) -> tuple[str, Position, str]:
    return finding.path, finding.span.start, finding.code
