"""Two processes side by side: what is left without a partner is as little as can be."""

from __future__ import annotations

import itertools
import re

from hypothesis import given
from hypothesis import strategies as st

from ddplint.program.alignment import Item, unmatched

KEYS = "ab"

items = st.builds(Item, st.sampled_from((*KEYS, None)), st.booleans())
certain = st.lists(st.sampled_from("abc"), min_size=1, max_size=8)


@given(st.lists(items, max_size=8))
def test_a_process_meets_itself(sequence: list[Item]) -> None:
    assert unmatched(sequence, list(sequence)) == []


@given(certain, st.data())
def test_one_step_too_few_is_one_group_of_that_step(keys: list[str], data: st.DataObject) -> None:
    first = [Item(key, place=place) for place, key in enumerate(keys)]
    removed = data.draw(st.sampled_from(first))
    second = [Item(item.key, place=item.place) for item in first if item is not removed]
    assert unmatched(first, second) == [[removed]]
    assert unmatched(second, first) == [[removed]]


@given(st.lists(items, max_size=6), st.lists(items, max_size=6))
def test_only_what_certainly_happens_is_left(first: list[Item], second: list[Item]) -> None:
    left = [item for group in unmatched(first, second) for item in group]
    assert all(item.key is not None and not item.optional for item in left)
    assert len(set(map(id, left))) == len(left)
    assert all(unmatched(first, second))


@given(st.lists(items, max_size=6), st.lists(items, max_size=6))
def test_which_of_them_comes_first_makes_no_difference(first: list[Item], second: list[Item]) -> None:
    assert _count(first, second) == _count(second, first)


@given(st.lists(items, max_size=6))
def test_an_unknown_call_meets_anything(sequence: list[Item]) -> None:
    assert unmatched(sequence, [Item(None)]) == []


@given(st.lists(items, max_size=3), st.lists(items, max_size=3))
def test_as_few_as_can_be(first: list[Item], second: list[Item]) -> None:
    assert _count(first, second) == _fewest(first, second)


def test_the_same_place_is_the_better_partner() -> None:
    one, other = Item("a", place=1), Item("a", place=2)
    assert unmatched([one, other], [Item("a", place=2)]) == [[one]]
    assert unmatched([one, other], [Item("a", place=1)]) == [[other]]


def test_steps_between_two_that_match_are_together() -> None:
    first = [Item(key) for key in "xaybbz"]
    second = [Item(key) for key in "xybz"]
    assert [[item.key for item in group] for group in unmatched(first, second)] == [["a"], ["b"]]
    third = [Item(key) for key in "xcdyz"]
    assert [sorted(str(item.key) for item in group) for group in unmatched(first, third)] == [
        ["a", "c", "d"],
        ["b", "b"],
    ]


def _count(first: list[Item], second: list[Item]) -> int:
    return sum(map(len, unmatched(first, second)))


def _fewest(first: list[Item], second: list[Item]) -> int:
    """How many certain steps must be taken away until both processes can execute the same, by trying all words."""
    steps = [item for item in (*first, *second) if item.key is not None and not item.optional]
    length = len(first) + len(second)
    words = ["".join(word) for size in range(length + 1) for word in itertools.product(KEYS, repeat=size)]
    for number in range(len(steps) + 1):
        for taken in itertools.combinations(map(id, steps), number):
            one, two = (_pattern([item for item in side if id(item) not in taken]) for side in (first, second))
            if any(one.fullmatch(word) and two.fullmatch(word) for word in words):
                return number
    raise AssertionError("two empty processes are the same")


def _pattern(sequence: list[Item]) -> re.Pattern[str]:
    return re.compile(
        "".join(".*" if item.key is None else f"{item.key}?" if item.optional else item.key for item in sequence)
    )
