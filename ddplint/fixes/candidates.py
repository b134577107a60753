"""The fixes that may be applied to the files as they are, and which of them can be applied together."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from ddplint.checking import Check
from ddplint.findings import Applicability, Edit, Finding, Fix, Span
from ddplint.fixes.edits import Lines, Replacement, Taken, UnusableEditError, consistent


@dataclass(frozen=True)
class Candidate:
    """A fix: its title, its edits by file, and all findings that it repairs.

    ``identity`` is what makes it the same fix after other edits have moved its places. ``problem`` says why it cannot
    be applied at all: the rule that made it is wrong.
    """

    title: str
    edits: Mapping[str, tuple[Replacement, ...]]
    findings: tuple[Finding, ...]
    identity: tuple[object, ...]
    problem: str | None = None


def candidates(check: Check, levels: Collection[Applicability]) -> Iterator[Candidate]:
    """Every fix once, with all findings that carry it, in the order of the findings."""
    carried: dict[tuple[tuple[str, Edit], ...], list[tuple[Finding, Fix]]] = {}
    for finding in check.findings:
        fix = finding.fix
        if fix is not None and fix.edits and fix.applicability in levels and not finding.suppressed:
            edits = ((edit.path or finding.path, Edit(edit.span, edit.text)) for edit in fix.edits)
            carried.setdefault(tuple(sorted(edits, key=_place)), []).append((finding, fix))
    files: dict[str, Lines | None] = {}
    for key, carriers in carried.items():
        findings = tuple(finding for finding, _ in carriers)
        title = carriers[0][1].title
        edits_of, problem = _located(key, check, files)
        identity = (title, *((found.path, found.code) for found in findings), *_replaced(edits_of, files))
        yield Candidate(title, edits_of, findings, identity, problem)


def together(wanted: Iterable[Candidate]) -> list[Candidate]:
    """As many of them as can be applied together; what overlaps with an earlier one has to wait."""
    taken: dict[str, Taken] = {}
    chosen = []
    for candidate in wanted:
        files = [(taken.setdefault(path, Taken()), edits) for path, edits in candidate.edits.items()]
        if all(file.fits(edits) for file, edits in files):
            for file, edits in files:
                file.add(edits)
            chosen.append(candidate)
    return chosen


def _located(
    edits: Iterable[tuple[str, Edit]], check: Check, files: dict[str, Lines | None]
) -> tuple[dict[str, tuple[Replacement, ...]], str | None]:
    """The edits by offsets, and what is wrong with them if anything."""
    found: dict[str, tuple[Replacement, ...]] = {}
    for path, edit in edits:
        if path not in files:
            module = check.module(path)
            files[path] = Lines(module.source.text, module.source.newline) if module else None
        lines = files[path]
        if lines is None:
            return found, f"{path} was not read"
        try:
            found[path] = (*found.get(path, ()), lines.replacement(edit))
        except UnusableEditError as error:
            return found, f"in {path} {error}"
    return found, None if all(map(consistent, found.values())) else "its edits overlap"


def _replaced(edits: Mapping[str, Iterable[Replacement]], files: Mapping[str, Lines | None]) -> Iterator[object]:
    for path, replacements in edits.items():
        lines = files[path]
        if lines is not None:
            yield from ((path, edit.text, lines.text[edit.start : edit.end]) for edit in replacements)


def _place(edit: tuple[str, Edit]) -> tuple[str, Span]:
    return edit[0], edit[1].span
