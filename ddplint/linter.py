"""The pipeline: discover -> read -> prefilter -> (:mod:`ddplint.checking`) load the project -> rules -> suppressions.

Whatever one file does, the others are still linted: a file that cannot be used becomes DDP000, a path that cannot be
used a problem. LibCST (behind :mod:`ddplint.program`) is imported only once a file is known to be worth a parse.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ddplint.sources import Found, Source, SourceError, discover, from_bytes, mentions_distributed, read_bytes
from ddplint.sources.imports import imported_words, module_words, reaches_distributed

if TYPE_CHECKING:
    from ddplint.checking import Check
    from ddplint.findings import Finding, InternalError
    from ddplint.fixes import Repair
    from ddplint.program.ranks import RankTable
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
    ``empty`` folders without Python files; ``texts`` holds the source of every file with findings. After a repair
    (``fixes``) all of this is about the files as they are now.
    """

    findings: tuple[Finding, ...] = ()
    files: int = 0
    checked: int = 0
    skipped: int = 0
    errors: tuple[InternalError, ...] = ()
    problems: tuple[str, ...] = ()
    empty: tuple[str, ...] = ()
    texts: Mapping[str, str] = field(default_factory=dict)
    fixes: Repair | None = None


def lint(
    paths: Sequence[str],
    settings: Settings,
    *,
    stdin: bytes | None = None,
    stdin_filename: str | None = None,
    progress: Progress | None = None,
) -> Report:
    """Lint ``paths``, and the content ``stdin`` under the name ``stdin_filename``."""
    return examine(paths, settings, stdin=stdin, stdin_filename=stdin_filename, progress=progress).report()


def examine(
    paths: Sequence[str],
    settings: Settings,
    *,
    stdin: bytes | None = None,
    stdin_filename: str | None = None,
    progress: Progress | None = None,
) -> Examined:
    """Like :func:`lint`, for who wants to change the files and have them judged again."""
    found = discover(paths, settings)
    run = _Gathering(progress or (lambda done, total: None), len(found.files) + (stdin is not None))
    sources = run.gather(found.files)
    if stdin is not None:
        sources += run.decode(stdin, stdin_filename or "<stdin>", None)
    check = None
    if sources or run.unusable:
        from ddplint.checking import check as judge

        with no_collector():
            allow_deep_trees()
            check = judge(sources, settings, run.unusable, (file.path for file in found.files), run.step)
    return Examined(run.total, run.checked, found.problems, found.empty, check)


@dataclass(frozen=True, slots=True)
class Examined:
    """What was linted. ``check`` is None where no file has anything distributed in it."""

    files: int
    checked: int
    problems: tuple[str, ...]
    empty: tuple[str, ...]
    check: Check | None

    def report(self, fixes: Repair | None = None) -> Report:
        """What to print, perhaps after a repair."""
        check = fixes.check if fixes else self.check
        return Report(
            findings=check.findings if check else (),
            files=self.files,
            checked=self.checked,
            skipped=self.files - self.checked,
            errors=check.errors if check else (),
            problems=self.problems,
            empty=self.empty,
            texts=check.texts if check else {},
            fixes=fixes,
        )


@contextmanager
def no_collector() -> Iterator[None]:
    """Without the cyclic garbage collector: every tree lives to the end, and looking at all of them again and again
    took a quarter of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def allow_deep_trees() -> None:
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
    run = _Gathering(lambda done, total: None, 1)
    data = run.bytes_of(path, path)
    sources = list(run.decode(data, path, path, everything=True)) if data is not None else []
    if sources:
        from ddplint.program import load_project

        allow_deep_trees()
        project = load_project(sources, Settings())
        if project.programs:
            from ddplint.program.ranks import table

            return table(project.programs[0], nnodes, nproc_per_node, launcher, inputs)
        [problem] = project.problems
        place = problem.position
        raise UnusableScriptError(f"{path}:{place.line}:{place.column}: {problem.message}")
    [finding] = run.unusable
    raise UnusableScriptError(f"{path}:{finding.span.start.line}:{finding.span.start.column}: {finding.message}")


class _Gathering:
    """The files that are read so far, and those that cannot be used."""

    def __init__(self, progress: Progress, total: int) -> None:
        self.progress = progress
        self.total = total
        self.checked = 0
        self.done = 0
        self.unusable: list[Finding] = []

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
            self.refuse(error)
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
            self.refuse(error)
            return
        yield source

    def refuse(self, error: SourceError) -> None:
        """A file that cannot be read or decoded."""
        from ddplint.checking import unusable_file

        self.unusable.append(unusable_file(error.path, error.message, error.position))
        self.step()

    def step(self) -> None:
        self.done += 1
        self.progress(self.done, self.total)
