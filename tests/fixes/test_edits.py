"""Edits on a text: places, line breaks, what goes together, and the result."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from toys import edit

from ddplint.findings import Edit, Position, Span
from ddplint.fixes.edits import Lines, Replacement, Taken, UnusableEditError, applied, consistent


def at(line: int, column: int, text: str) -> Edit:
    place = Position(line, column)
    return Edit(Span(place, place), text)


def result(text: str, *edits: Edit, newline: str = "\n") -> str:
    lines = Lines(text, newline)
    return applied(text, [lines.replacement(one) for one in edits])


def fits(text: str, first: Edit, second: Edit) -> bool:
    lines, taken = Lines(text), Taken()
    taken.add([lines.replacement(first)])
    return taken.fits([lines.replacement(second)])


def test_replace_insert_and_delete() -> None:
    text = "import os\nx = 1\ny = 2\n"
    edits = [edit(text, 14, 15, "one"), at(2, 1, "import sys\n"), edit(text, 16, 22, "")]
    assert result(text, *edits) == "import os\nimport sys\nx = one\n"
    assert result(text, *reversed(edits)) == "import os\nimport sys\nx = one\n"


def test_columns_count_characters_and_lines_end_as_in_python() -> None:
    text = "é = '日本'\x0c # \u2028\r\nx = 1\ry = 2\n"
    assert result(text, at(2, 1, "a"), at(3, 1, "b")) == "é = '日本'\x0c # \u2028\r\nax = 1\rby = 2\n"


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_new_lines_end_like_the_line_they_are_put_at(newline: str) -> None:
    text = f"a{newline}b{newline}"
    assert result(text, at(2, 1, "x\ny\r\n")) == f"a{newline}x{newline}y{newline}b{newline}"
    mixed = f"a\nb{newline}c"
    assert result(mixed, at(2, 1, "x\n")) == f"a\nx{newline}b{newline}c"
    assert result(mixed, at(3, 2, "\nx")) == f"a\nb{newline}c{newline}x"
    assert result("a", at(1, 1, "x\n"), newline=newline) == f"x{newline}a"


def test_below_the_last_line() -> None:
    assert result("a\n", at(2, 1, "b\n")) == "a\nb\n"
    assert result("a", at(2, 1, "b\n")) == "a\nb"
    assert result("", at(1, 1, "b\n")) == "b\n"
    assert result("a\nb", edit("a\nb\n", 2, 4, "")) == "a\n"


@pytest.mark.parametrize("place", [(0, 1), (1, 0), (1, 4), (3, 2), (4, 1)])
def test_places_that_the_file_does_not_have(place: tuple[int, int]) -> None:
    with pytest.raises(UnusableEditError, match="line"):
        result("ab\ncd\n", at(*place, "x"))


def test_an_edit_that_ends_before_it_begins() -> None:
    with pytest.raises(UnusableEditError):
        result("ab\n", Edit(Span(Position(1, 3), Position(1, 1)), ""))


TEXT = "abcdef\n"


@pytest.mark.parametrize(
    ("first", "second", "together"),
    [
        (edit(TEXT, 0, 2, "x"), edit(TEXT, 2, 4, "y"), True),
        (edit(TEXT, 0, 3, "x"), edit(TEXT, 2, 4, "y"), False),
        (edit(TEXT, 0, 6, "x"), edit(TEXT, 2, 4, "y"), False),
        (edit(TEXT, 0, 2, "x"), edit(TEXT, 0, 2, "x"), False),
        (at(1, 1, "x"), edit(TEXT, 0, 2, "y"), True),
        (at(1, 3, "x"), edit(TEXT, 0, 2, "y"), True),
        (at(1, 2, "x"), edit(TEXT, 0, 2, "y"), False),
        (at(1, 2, "x"), at(1, 2, "y"), True),
        # Two closing brackets at one place.
        (at(1, 2, ")"), at(1, 2, ")"), False),
        (at(1, 1, "import os\n"), at(1, 1, "import os\n"), True),
        (at(1, 1, "import os\n"), at(1, 1, "import sys\n"), True),
    ],
)
def test_what_goes_together(first: Edit, second: Edit, together: bool) -> None:
    assert fits(TEXT, first, second) is together
    assert fits(TEXT, second, first) is together


def test_a_line_that_several_fixes_insert_is_inserted_once() -> None:
    lines, taken = Lines(TEXT), Taken()
    for one in (at(1, 1, "import os\n"), at(1, 1, "import sys\n"), at(1, 1, "import os\n"), edit(TEXT, 0, 1, "A")):
        assert taken.fits([lines.replacement(one)])
        taken.add([lines.replacement(one)])
    assert applied(TEXT, taken.replacements) == "import os\nimport sys\nAbcdef\n"


def test_edits_of_one_fix_must_not_overlap() -> None:
    assert consistent([Replacement(3, 4, ""), Replacement(0, 3, ""), Replacement(3, 3, "x")])
    assert not consistent([Replacement(0, 3, ""), Replacement(2, 4, "")])
    assert not consistent([Replacement(0, 3, ""), Replacement(1, 1, "x")])


@given(
    st.text(st.sampled_from("ab \t\x0cé日\r\n"), max_size=30),
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=4),
)
def test_everything_outside_of_the_edits_stays(text: str, cuts: list[tuple[int, int]]) -> None:
    taken, kept = Taken(), []
    for start, end in cuts:
        one = Replacement(min(start, end, len(text)), min(max(start, end), len(text)), "<>")
        if taken.fits([one]):
            taken.add([one])
            kept.append(one)
    after = applied(text, kept)
    assert after.count("<>") == len(kept)
    gone = {offset for one in kept for offset in range(one.start, one.end)}
    assert after.replace("<>", "") == "".join(char for offset, char in enumerate(text) if offset not in gone)


@given(st.text(st.sampled_from("ab\r\n\x0c\u2028"), max_size=20), st.data())
def test_a_place_is_found_again(text: str, data: st.DataObject) -> None:
    offset = data.draw(st.integers(0, len(text)))
    if text[offset - 1 : offset + 1] == "\r\n":
        return
    assert result(text, edit(text, offset, offset, "X")) == text[:offset] + "X" + text[offset:]
