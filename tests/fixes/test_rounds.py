"""Repairing to a fixpoint: what is applied together, what waits, what is refused and why, and when it ends."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from toys import HEAD, checked, edit, left, repaired, toy

from ddplint.findings import Applicability, Edit, Severity
from ddplint.fixes import loop, repair
from ddplint.program import project
from ddplint.program.module import Module
from ddplint.settings import Settings
from ddplint.sources import Source

Choose = Callable[..., None]
UNSAFE, DISPLAY = Applicability.UNSAFE, Applicability.DISPLAY


@pytest.fixture
def parses(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that are parsed, in order."""
    import ddplint.fixes.texts

    seen: list[str] = []
    real = project.parse

    def noted(source: Source) -> Module:
        seen.append(source.path)
        return real(source)

    monkeypatch.setattr(project, "parse", noted)
    monkeypatch.setattr(ddplint.fixes.texts, "parse", noted)
    return seen


def test_one_round(rules: Choose, parses: list[str]) -> None:
    rules(toy("DDP901", r"\ba\b", "b"))
    text, outcome = repaired("a = 1\nx = a\n")
    assert text == "b = 1\nx = b\n"
    assert [fix.title for fix in outcome.applied] == ["Repair DDP901"] * 2
    assert (left(outcome), outcome.refused, outcome.stuck) == ([], (), ())
    # Once before, once after: the text that was parsed for the proof is the one that is linted.
    assert parses == ["train.py"] * 2


def test_nothing_to_repair(rules: Choose, parses: list[str]) -> None:
    rules(toy("DDP901", r"\ba\b", None))
    text, outcome = repaired("a = 1\n")
    assert text == "a = 1\n"
    assert (outcome.applied, dict(outcome.changed), left(outcome)) == ((), {}, ["DDP901"])
    assert parses == ["train.py"]


def test_what_overlaps_waits_for_the_next_round(rules: Choose, parses: list[str]) -> None:
    rules(toy("DDP901", "f\\(1, 2\\)", "g(1, 2)"), toy("DDP902", r"\b2\b", "3"))
    text, outcome = repaired("f(1, 2)\n")
    assert text == "g(1, 3)\n"
    assert left(outcome) == []
    assert len(parses) == 3


def test_the_same_fix_of_several_findings_is_applied_once(rules: Choose) -> None:
    def whole(path: str, match: re.Match[str], text: str) -> Iterable[Edit]:
        start = text.index("x")
        return [edit(text, start, len(text) - 1, "y = 1 + 2")]

    rules(toy("DDP901", r"x = 3", whole), toy("DDP902", r"\b3\b", whole))
    text, outcome = repaired("x = 3\n")
    assert text == "y = 1 + 2\n"
    assert [len(fix.findings) for fix in outcome.applied] == [2]


def test_an_import_that_several_fixes_need_is_inserted_once(rules: Choose, parses: list[str]) -> None:
    def with_import(path: str, match: re.Match[str], text: str) -> Iterable[Edit]:
        needed = [] if "import os" in text else [edit(text, 0, 0, "import os\n")]
        return [*needed, edit(text, *match.span(), "os.getpid()")]

    rules(toy("DDP901", r"\ba\b", with_import))
    Path("train.py").write_text(HEAD + "x = a\ny = a\n")
    outcome = repair(checked("train.py"), unsafe=False)
    [(_, after)] = outcome.changed.values()
    assert after.text == "import os\n" + HEAD + "x = os.getpid()\ny = os.getpid()\n"
    assert len(parses) == 2


def test_levels(rules: Choose) -> None:
    rules(
        toy("DDP901", "a1", "b1"),
        toy("DDP902", "a2", "b2", applicability=UNSAFE),
        toy("DDP903", "a3", "b3", applicability=DISPLAY),
    )
    script = "a1 = a2 = a3 = 0\n"
    assert repaired(script)[0] == "b1 = a2 = a3 = 0\n"
    assert repaired(script, unsafe=True)[0] == "b1 = b2 = a3 = 0\n"
    assert repaired(script, settings=Settings(unfixable=("DDP901",)))[0] == script
    assert repaired(script, settings=Settings(fixable=("DDP902",)), unsafe=True)[0] == "a1 = b2 = a3 = 0\n"
    changed = Settings(extend_safe_fixes=("DDP902", "DDP903"), extend_unsafe_fixes=("DDP901",))
    assert repaired(script, settings=changed)[0] == "a1 = b2 = a3 = 0\n"
    assert repaired(script, settings=changed, unsafe=True)[0] == "b1 = b2 = a3 = 0\n"


def test_suppressed_findings_are_not_repaired(rules: Choose) -> None:
    rules(toy("DDP901", r"\ba\b", "b"))
    script = "a = 1  # noqa: DDP901\n# ddplint: disable=toy-ddp901\na = 2\n"
    assert repaired(script)[0] == script


def test_a_suppression_that_is_left_over_is_removed_in_its_turn(rules: Choose) -> None:
    def near(path: str, match: re.Match[str], text: str) -> Iterable[Edit]:
        return [edit(text, match.start(), match.start() + 1, "b"), edit(text, match.end() - 1, match.end(), "b")]

    # The first is repaired together with the second, which is suppressed.
    rules(toy("DDP901", r"a = a", near), toy("DDP902", r"(?<=\n)a\b", "c"))
    text, outcome = repaired("a = a  # noqa: DDP902\n")
    assert text == "b = b\n"
    assert left(outcome) == []


# -- refused ----------------------------------------------------------------------------------------------------------


def reasons(text: str) -> tuple[str, list[str], list[str]]:
    after, outcome = repaired(text)
    return after, [refused.reason for refused in outcome.refused], left(outcome)


def test_a_result_that_does_not_parse_is_refused(rules: Choose) -> None:
    rules(toy("DDP901", r"\ba\b", "b"), toy("DDP902", r"\bc\b", "(c"))
    text, [reason], codes = reasons("a = 1\nc = 2\n")
    assert text == "b = 1\nc = 2\n"
    assert reason.startswith("the result would not parse: line 3:")
    assert codes == ["DDP902"]


def test_a_result_that_python_refuses_is_refused(rules: Choose) -> None:
    rules(toy("DDP901", r"\bb\b", "return"))
    text, [reason], _ = reasons("b\n")
    assert text == "b\n"
    assert reason == "Python would refuse the result: line 2: 'return' outside function"


def test_a_fix_that_repairs_nothing_is_refused(rules: Choose) -> None:
    rules(toy("DDP901", r"\ba\b", "a "), toy("DDP902", r"\bc\b", "d"))
    text, [reason], codes = reasons("a = 1\nc = 2\n")
    assert text == "a = 1\nd = 2\n"
    assert reason == "DDP901 would still be reported in train.py"
    assert codes == ["DDP901"]


@pytest.mark.parametrize(
    ("severity", "accepted"), [(Severity.NOTE, True), (Severity.WARNING, False), (Severity.ERROR, False)]
)
def test_a_new_finding_must_be_less_severe(severity: Severity, accepted: bool, rules: Choose) -> None:
    rules(toy("DDP901", r"\ba\b", "b"), toy("DDP902", r"\bb\b", None, severity))
    text, problems, codes = reasons("a = 1\n")
    if accepted:
        assert (text, problems, codes) == ("b = 1\n", [], ["DDP902"])
    else:
        assert (text, problems, codes) == ("a = 1\n", ["train.py would have a new finding, DDP902"], ["DDP901"])


def test_a_new_finding_that_is_suppressed_counts_for_nothing(rules: Choose) -> None:
    rules(toy("DDP901", r"\ba\b", "b"), toy("DDP902", r"\bb\b", None))
    assert reasons("# ddplint: disable=DDP902\na = b\n") == ("# ddplint: disable=DDP902\nb = b\n", [], [])


def test_two_fixes_that_undo_each_other_end(rules: Choose) -> None:
    rules(toy("DDP901", r"\ba\b", "b"), toy("DDP902", r"\bb\b", "a"))
    text, problems, codes = reasons("a = 1\nb = 2\n")
    assert text == "a = 1\nb = 2\n"
    assert len(problems) == 2
    assert sorted(codes) == ["DDP901", "DDP902"]


def test_two_fixes_that_hold_only_one_at_a_time(rules: Choose) -> None:
    rules(toy("DDP901", r"\ba\b", "b"), toy("DDP902", r"\bc\b", "d"), toy("DDP903", r"b = 1\nd = 2", None))
    text, [reason], codes = reasons("a = 1\nc = 2\n")
    assert text == "b = 1\nc = 2\n"
    assert reason == "train.py would have a new finding, DDP903"
    assert codes == ["DDP902"]


def test_one_fix_that_repairs_what_the_next_one_was_for(rules: Choose) -> None:
    rules(
        toy("DDP901", r"\ba\b", "b"),
        toy("DDP902", r"(?<=a = 1\n)x", "y"),
        toy("DDP903", r"\bc\b", "(c"),
    )
    text, [reason], _ = reasons("a = 1\nx = c\n")
    assert text == "b = 1\nx = c\n"
    assert "parse" in reason


@pytest.mark.parametrize(
    ("edits", "reason"),
    [
        (lambda path, match, text: [edit(text, 33, 35, "x"), edit(text, 34, 36, "y")], "its edits overlap"),
        (lambda path, match, text: [edit(text + "\n" * 9, 42, 42, "")], "in train.py there is no line 4"),
        (lambda path, match, text: [edit(text, 0, 0, "", "other.py")], "other.py was not read"),
    ],
)
def test_edits_that_make_no_sense(edits: object, reason: str, rules: Choose) -> None:
    rules(toy("DDP901", r"\baaa\b", edits))  # type: ignore[arg-type]
    text, [said], _ = reasons("aaa = 1\n")
    assert text == "aaa = 1\n"
    assert said.startswith(reason)


def test_a_rule_that_breaks_on_the_result(rules: Choose) -> None:
    def explode(path: str, match: re.Match[str], text: str) -> Iterable[Edit]:
        raise ZeroDivisionError("on purpose")

    rules(toy("DDP901", r"\ba\b", "b"), toy("DDP902", r"\bb\b", explode))
    text, [reason], _ = reasons("a = 1\n")
    assert text == "a = 1\n"
    assert "ddplint broke on the result" in reason
    assert "on purpose" in reason


def test_what_the_encoding_does_not_hold(rules: Choose) -> None:
    rules(toy("DDP901", r"\ba\b", "'日'"), toy("DDP902", r"\bc\b", "'é'"))
    Path("train.py").write_bytes(("# coding: latin-1\n" + HEAD + "x = a\ny = c, 'ü'\n").encode("latin-1"))
    outcome = repair(checked("train.py"), unsafe=False)
    [(_, after)] = outcome.changed.values()
    assert after.data == ("# coding: latin-1\n" + HEAD + "x = a\ny = 'é', 'ü'\n").encode("latin-1")
    assert [refused.reason for refused in outcome.refused] == ["iso8859-1, the encoding of the file, has no '日'"]


def test_a_declaration_of_the_encoding_stays_where_it_counts(rules: Choose) -> None:
    rules(toy("DDP901", r"\ba\b", lambda path, match, text: [edit(text, 0, 0, "\n\n"), edit(text, *match.span(), "b")]))
    data = ("# coding: latin-1\n" + HEAD + "x = a, 'ü'\n").encode("latin-1")
    Path("train.py").write_bytes(data)
    outcome = repair(checked("train.py"), unsafe=False)
    assert not outcome.changed
    assert len(outcome.refused) == 1


# -- the end ----------------------------------------------------------------------------------------------------------


def one_at_a_time(path: str, match: re.Match[str], text: str) -> Iterable[Edit]:
    """A fix that takes the whole file for itself."""
    return [edit(text, 0, len(text), text[: match.start()] + "b" + text[match.end() :])]


def test_as_many_rounds_as_needed(rules: Choose) -> None:
    rules(toy("DDP901", r"\ba\b", one_at_a_time))
    text, outcome = repaired("a\n" * 20)
    assert text == "b\n" * 20
    assert outcome.stuck == ()


def test_after_a_hundred_rounds_it_stops_and_says_who(rules: Choose, monkeypatch: pytest.MonkeyPatch) -> None:
    assert loop.ROUNDS == 100
    monkeypatch.setattr(loop, "ROUNDS", 5)
    rules(toy("DDP901", r"\ba\b", one_at_a_time), toy("DDP902", r"\bc\b", "d"))
    text, outcome = repaired("a\n" * 8 + "c\n")
    assert text.count("b") == 5
    assert outcome.stuck == ("DDP901",)


# -- several files ----------------------------------------------------------------------------------------------------

USES = HEAD + "from helper import value\nvalue()\n"
HELPER = "import os\n\n\ndef value():\n    os.environ['A'] = a\n"


def test_a_helper_that_was_not_named_is_repaired(rules: Choose) -> None:
    rules(toy("DDP901", r"\ba\b", "b"))
    Path("helper.py").write_text(HELPER)
    for name in ("one.py", "two.py"):
        Path(name).write_text(USES)
    outcome = repair(checked("one.py", "two.py"), unsafe=False)
    assert list(outcome.changed) == ["helper.py"]
    assert len(outcome.applied) == 1
    assert left(outcome) == []


@pytest.mark.parametrize("place", ["site-packages", "vendor", "ignored", ".venv/lib"])
def test_a_helper_in_a_folder_that_is_left_out_is_not(place: str, rules: Choose) -> None:
    rules(toy("DDP901", r"\ba\b", "b"))
    folder = Path(place, "inner")
    folder.mkdir(parents=True)
    Path(".git").mkdir()
    Path(".gitignore").write_text("ignored\n")
    (folder / "helper.py").write_text(HELPER)
    (folder / "train.py").write_text(USES)
    script = f"{place}/inner/train.py"
    outcome = repair(checked(script, settings=Settings(extend_exclude=("vendor/",))), unsafe=True)
    [finding] = outcome.check.findings
    assert finding.fix is not None
    assert (finding.path, finding.fix.applicability) == (f"{place}/inner/helper.py", DISPLAY)
    assert not outcome.changed
    named = repair(checked(script, f"{place}/inner/helper.py"), unsafe=False)
    assert list(named.changed) == [f"{place}/inner/helper.py"]


def test_a_helper_outside_of_the_working_directory_is_not(
    rules: Choose, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules(toy("DDP901", r"\ba\b", "b"))
    Path("helper.py").write_text(HELPER)
    Path("inner").mkdir()
    Path("train.py").write_text(USES)
    monkeypatch.chdir(folder / "inner")
    assert not repair(checked("../train.py"), unsafe=True).changed
    assert repair(checked("../train.py", "../helper.py"), unsafe=True).changed


def test_a_fix_in_several_files_is_applied_whole_or_not_at_all(rules: Choose) -> None:
    def both(path: str, match: re.Match[str], text: str) -> Iterable[Edit]:
        return [edit(text, *match.span(), "b"), edit(HELPER, 0, 9, Path("new").read_text(), "helper.py")]

    rules(toy("DDP901", r"\bA1\b", both))
    Path("helper.py").write_text(HELPER)
    Path("train.py").write_text(USES + "A1 = 1\n")
    Path("new").write_text("import os, sys")
    outcome = repair(checked("train.py"), unsafe=False)
    assert sorted(outcome.changed) == ["helper.py", "train.py"]
    assert outcome.applied[0].paths == ("helper.py", "train.py")
    Path("new").write_text("import (")
    outcome = repair(checked("train.py"), unsafe=False)
    assert not outcome.changed
    assert len(outcome.refused) == 1


def test_only_what_executes_a_changed_file_is_linted_again(rules: Choose, parses: list[str]) -> None:
    rules(toy("DDP901", r"\ba\b", "b"))
    Path("helper.py").write_text(HELPER)
    Path("one.py").write_text(USES)
    Path("two.py").write_text(HEAD + "x = a\n")
    Path("three.py").write_text(HEAD)
    before = checked("one.py", "two.py", "three.py")
    del parses[:]
    outcome = repair(before, unsafe=False)
    assert sorted(parses) == ["helper.py", "two.py"]
    kept = {id(verdict.program) for verdict in before.verdicts}
    again = [verdict.program.path for verdict in outcome.check.verdicts if id(verdict.program) not in kept]
    assert again == ["one.py", "two.py"]


def test_a_bad_fix_keeps_no_other_file_from_its_repair(rules: Choose) -> None:
    rules(toy("DDP901", r"\ba\b", "b"), toy("DDP902", r"\bc\b", "(c"))
    for number in range(4):
        Path(f"train{number}.py").write_text(HEAD + "a = 1\n")
    Path("train1.py").write_text(HEAD + "a = c\n")
    outcome = repair(checked("."), unsafe=False)
    assert sorted(outcome.changed) == [f"train{number}.py" for number in range(4)]
    assert outcome.changed["train1.py"][1].text == HEAD + "b = c\n"
    assert len(outcome.refused) == 1
