"""What DDP001 repairs: suppressions that hide nothing go, everything else in the file stays as it is."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from toys import left, repaired

from ddplint.findings import Applicability, Finding, Position, Severity, Span
from ddplint.fixes import repair
from ddplint.fixes.edits import Lines, Taken, applied
from ddplint.linter import examine
from ddplint.settings import Settings
from ddplint.suppressions import apply, find


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("x = 1  # noqa: DDP101\n", "x = 1\n"),
        ("x = 1\t# ddplint: ignore\t\n", "x = 1\n"),
        ("x = 1  # ddplint: ignore[global-rank, DDP1]", "x = 1"),
        ("x = 1  # noqa: F401, DDP101, DDP102\n", "x = 1  # noqa: F401\n"),
        ("x = 1  # noqa: DDP101 F401 DDP102, E501\n", "x = 1  # noqa: F401, E501\n"),
        ("x = 1  # noqa: DDP101, DDP102, E501\n", "x = 1  # noqa: E501\n"),
        ("# ddplint: ignore[global-rank]\nx = 1\n", "x = 1\n"),
        ("if x:\n    # ddplint: ignore[global-rank]\n    y = 1\n", "if x:\n    y = 1\n"),
        ("x = 1\n# ddplint: disable=global-rank", "x = 1\n"),
        ("# ddplint: disable=DDP101\nx = 1\n# ddplint: enable=DDP101\n", "x = 1\n# ddplint: enable=DDP101\n"),
        ("x = 1  # one machine  # ddplint: ignore[global-rank]\n", "x = 1  # one machine\n"),
        ("x = 1  # noqa: DDP101  # type: ignore\n", "x = 1  # type: ignore\n"),
        ("x = 1  # ddplint: ignore[global-rank] because of that\n", "x = 1  # because of that\n"),
        ("x = 1  # a # noqa: DDP101 b\n", "x = 1  # a b\n"),
        ("x = 1  # noqa: DDP101 # ddplint: ignore[DDP102] # end\n", "x = 1  # end\n"),
        ("x = 1  # noqa: DDP101 # ddplint: ignore[DDP102]\n", "x = 1\n"),
        ("x = (1,  # noqa: DDP101\n     2)  # kept\n", "x = (1,\n     2)  # kept\n"),
        ("x = '# noqa: DDP101'  # noqa: DDP101\r\ny = 1\r\n", "x = '# noqa: DDP101'\r\ny = 1\r\n"),
        ("\tx  = 1 # noqa:DDP101\n".lstrip(), "x  = 1\n"),
    ],
)
def test_removed(before: str, after: str) -> None:
    text, outcome = repaired("x = 0\n" + before)
    assert text == "x = 0\n" + after
    assert left(outcome) == []
    assert repaired(text)[0] == text


@pytest.mark.parametrize(
    "kept",
    [
        "x = 1  # noqa: DDP999\n",
        "x = 1  # ddplint: ignore[globl-rank]\n",
        "x = 1  # ddplint: ingore[global-rank]\n",
        "x = 1  # noqa\n",
        "x = 1  # noqa: F401\n",
        "x = 1  # noqa: DDP101  # ddplint: ignore[unused-suppression]\n",
        "# ddplint: skip-file\nx = 1  # noqa: DDP101\n",
    ],
)
def test_kept(kept: str) -> None:
    text, outcome = repaired(kept)
    assert text == kept
    assert not outcome.refused


def test_a_misspelt_name_beside_others_is_left_for_a_person() -> None:
    text, outcome = repaired("x = 1  # ddplint: ignore[global-rank, globl-rank, DDP102]\n")
    assert text == "x = 1  # ddplint: ignore[globl-rank]\n"
    assert left(outcome) == ["DDP001"]


def test_only_where_it_is_asked_for() -> None:
    text = "x = 1  # noqa: DDP101\n"
    for settings in (Settings(unfixable=("DDP001",)), Settings(ignore=("DDP001",)), Settings(ignore=("DDP101",))):
        assert repaired(text, settings=settings)[0] == text
    assert repaired(text, settings=Settings(select=("DDP001", "DDP101")))[0] == "x = 1\n"


def test_what_is_needed_stays() -> None:
    script = Path(__file__).parents[2] / "examples" / "broken_train.py"
    lines = script.read_text().splitlines()
    lines = [f"{line}  # noqa: DDP101, DDP103" if "init_process_group" in line else line for line in lines]
    Path("train.py").write_text("\n".join(lines))
    check = examine(["train.py"], Settings(fixable=("DDP001",))).check
    assert check is not None
    [(_, after)] = repair(check, unsafe=True).changed.values()
    assert "world_size=world_size)  # noqa: DDP101\n" in after.text


class Rule:
    name = "a-rule"


CODES = ["DDP101", "DDP102", "DDP103"]
RULES = {code: Rule() for code in ("DDP001", *CODES)}
RESTS = st.sampled_from(["", " ", " why", "  # other", "  # type: ignore"])
DIRECTIVE = st.one_of(
    st.lists(st.sampled_from([*CODES, "F401", "DDP9"]), min_size=1, max_size=4).map(
        lambda it: f"# noqa: {', '.join(it)}"
    ),
    st.lists(st.sampled_from([*CODES, "typo"]), max_size=4).map(lambda it: f"# ddplint: ignore[{', '.join(it)}]"),
    st.sampled_from(["# ddplint: ignore", "# said"]),
)
COMMENT = st.lists(st.tuples(DIRECTIVE, RESTS).map("".join), min_size=1, max_size=3).map("  ".join)


@given(COMMENT, st.sampled_from(["x = 1  ", "", "    "]), st.sets(st.sampled_from(CODES)), st.booleans())
def test_what_hides_something_stays_and_the_rest_is_gone(comment: str, code: str, needed: set[str], end: bool) -> None:
    text = f"if y:\n    pass\n{code}{comment}{'' if end else chr(10) + 'z = 1'}"
    line = 3 if code.strip() else 4 if not end else 3
    found = [
        Finding(rule, "a-rule", Severity.WARNING, "", "a.py", Span(Position(line, 1), Position(line, 2)))
        for rule in sorted(needed)
    ]
    judged = apply(found, find(text), RULES, "a.py")
    fixes = {finding.fix for finding in judged if finding.fix is not None}
    assert all(fix.applicability is Applicability.SAFE for fix in fixes)
    lines, taken = Lines(text), Taken()
    for fix in fixes:
        taken.add([lines.replacement(edit) for edit in fix.edits])
    after = applied(text, taken.replacements)
    shift = after.count("\n") - text.count("\n")
    moved = [
        Finding(
            rule, "a-rule", Severity.WARNING, "", "a.py", Span(Position(line + shift, 1), Position(line + shift, 2))
        )
        for rule in sorted(needed)
    ]
    again = apply(moved, find(after), RULES, "a.py")
    assert [one.suppressed for one in again[: len(found)]] == [one.suppressed for one in judged[: len(found)]]
    assert not [one for one in again if one.fix is not None]
    for word in ("why", "other", "type: ignore", "said", "F401", "typo", "DDP9", "z = 1"):
        assert after.count(word) == text.count(word)
