"""What holds for every repair of every script."""

from __future__ import annotations

import ast
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from pathlib import Path
from unittest import mock

from layouts import comments, decoded, marks

from ddplint.checking import Check
from ddplint.findings import Applicability, Finding
from ddplint.fixes import Repair, diff, loop, repair
from ddplint.linter import examine
from ddplint.settings import Settings
from ddplint.sources import split_lines

Files = Mapping[str, bytes]
ALL = Settings()


def checked(files: Files, settings: Settings = ALL, names: Iterable[str] = ()) -> Check:
    """What is found in these files, or in those with these ``names``; all are written into the working directory."""
    for name, data in files.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(data)
    check = examine(sorted(names or files), settings).check
    assert check is not None
    return check


def after(files: Files, outcome: Repair) -> dict[str, bytes]:
    """The files after a repair."""
    return {**files, **{path: new.data for path, (_, new) in outcome.changed.items()}}


def holds(files: Files, settings: Settings = ALL) -> dict[str, bytes]:
    """The files after all repairs; everything that is true for every repair has been asserted on the way."""
    check = checked(files, settings)
    safe, every = repair(check, unsafe=False), repair(check, unsafe=True)
    assert {finding.fix.applicability for finding in _repaired(safe) if finding.fix} <= {Applicability.SAFE}
    for outcome in (safe, every):
        assert outcome.stuck == ()
        assert not [error for error in outcome.check.errors if error not in check.errors]
        for before, new in outcome.changed.values():
            same_file(before.data, new.data, "DDP001" in _codes(_repaired(outcome)))
        findings_are_gone(check, outcome)
        if outcome.changed:
            patch_gives_the_same(files, outcome)
    for before, step in rounds(check):
        only_edited_lines_change(before, step)
    # Judged anew, from the bytes: the same findings, and nothing left to repair.
    result = after(files, every)
    again = checked(result, settings, files)
    assert list(map(_plain, again.findings)) == list(map(_plain, every.check.findings))
    assert not repair(again, unsafe=True).changed
    # The safe ones first, the others later: the same, as long as the order has no say in what is left to repair.
    if by_the_way(check, safe) == by_the_way(check, every):
        later = repair(checked(after(files, safe), settings, files), unsafe=True)
        assert _programs(after(after(files, safe), later)) == _programs(result)
    return result


def same_file(before: bytes, new: bytes, suppressions: bool) -> None:
    """It is still a program, in the same encoding, with the same comments.

    ``suppressions``: whether what comments say about rules may be gone.
    """
    old_text, new_text = decoded(before), decoded(new)
    if _compiles(old_text):
        compile(new_text, "train.py", "exec", dont_inherit=True)
    assert marks(new) == marks(before)
    old_comments, new_comments = comments(old_text), comments(new_text)
    if suppressions:
        # What is left of them may be anything; the others are there in their order.
        left = iter(new_comments)
        old_comments = [said for said in old_comments if "ddplint" not in said and "noqa" not in said]
        assert all(said in left for said in old_comments)
    else:
        assert new_comments == old_comments


def _programs(files: Files) -> dict[str, str | bytes]:
    """The files without their layout and their imports: how long the longest line is, and so where lines are folded,
    may have changed; and a name that one fix imports serves the other in one of the orders only."""
    texts = {name: decoded(data) for name, data in files.items()}
    return {name: _program(text) if _compiles(text) else files[name] for name, text in texts.items()}


def _program(text: str) -> str:
    tree = ast.parse(text)
    tree.body = [node for node in tree.body if not isinstance(node, (ast.Import, ast.ImportFrom))]
    return ast.dump(tree)


def findings_are_gone(check: Check, outcome: Repair) -> None:
    """What was repaired is gone, and there is nothing as bad that was not there before."""
    was, now = _counts(check.findings), _counts(outcome.check.findings)
    # A later round may repair what an earlier one brought to light.
    repaired = _repaired(outcome)
    claimed = {(finding.path, finding.code) for finding in repaired}
    for place in claimed:
        assert now[place] < max(was[place], 1), place
    least = min((finding.severity.rank for finding in repaired), default=0)
    for finding in outcome.check.findings:
        place = (finding.path, finding.code)
        if not finding.suppressed and now[place] > was[place] and finding.code != "DDP001":
            assert finding.severity.rank < least, finding


def by_the_way(check: Check, outcome: Repair) -> set[tuple[str, str]]:
    """What is gone though nothing was to repair it: a repair of something else has silenced it."""
    return _counts(check.findings).keys() - _counts(_repaired(outcome)).keys() - _counts(outcome.check.findings).keys()


def rounds(check: Check) -> Iterator[tuple[Check, Repair]]:
    """The rounds of a repair one by one."""
    with mock.patch.object(loop, "ROUNDS", 1):
        for _ in range(100):
            step = repair(check, unsafe=True)
            if not step.applied:
                return
            yield check, step
            check = step.check
    raise AssertionError("the rounds never end")


def only_edited_lines_change(check: Check, step: Repair) -> None:
    """Every line in which nothing was edited is there as it was."""
    edited: dict[str, set[int]] = {}
    for fix in step.applied:
        finding = fix.findings[0]
        assert finding.fix is not None
        for edit in finding.fix.edits:
            lines = edited.setdefault(edit.path or finding.path, set())
            start, end = edit.span.start, edit.span.end
            # An insertion at the beginning of a line leaves it whole; at the end of the file there is no other place.
            whole = start == end and start.column == 1 and edit.text.endswith("\n")
            lines |= set() if whole else set(range(start.line, end.line + 1))
    for path, (before, new) in step.changed.items():
        kept = SequenceMatcher(None, split_lines(before.text), split_lines(new.text), autojunk=False)
        for kind, first, last, _, _ in kept.get_opcodes():
            if kind in ("replace", "delete"):
                changed = set(range(first + 1, last + 1)) - edited[path]
                assert not changed, (path, changed)


def patch_gives_the_same(files: Files, outcome: Repair) -> None:
    """``--diff`` through ``patch -p1``."""
    # What these import may be changed too.
    files = {**files, **{path: before.data for path, (before, _) in outcome.changed.items()}}
    folder = Path("patched")
    shutil.rmtree(folder, ignore_errors=True)
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    text = b"".join(diff(before, new) for before, new in outcome.changed.values())
    command = ["patch", "-p1", "--silent", "--binary", "--no-backup-if-mismatch"]
    subprocess.run(command, cwd=folder, input=text, check=True, capture_output=True)
    there = {name: (folder / name).read_bytes() for name in files}
    shutil.rmtree(folder)
    assert there == after(files, outcome)


def _repaired(outcome: Repair) -> list[Finding]:
    return [finding for fix in outcome.applied for finding in fix.findings]


def _codes(findings: Iterable[Finding]) -> set[str]:
    return {finding.code for finding in findings if not finding.suppressed}


def _counts(findings: Sequence[Finding]) -> Counter[tuple[str, str]]:
    return Counter((finding.path, finding.code) for finding in findings if not finding.suppressed)


def _plain(finding: Finding) -> tuple[object, ...]:
    return finding.path, finding.span, finding.code, finding.severity, finding.message, finding.suppressed


def _compiles(text: str) -> bool:
    try:
        compile(text, "train.py", "exec", dont_inherit=True)
    except (SyntaxError, ValueError):
        return False
    return True
