"""``--local_rank`` gets the launcher's local rank, in either spelling, whether or not somebody passes it."""

from __future__ import annotations

import pytest
from corrected import Run

PARSE = """
import argparse
parser = argparse.ArgumentParser()
parser.add_argument({})
parser.add_argument("--lr", default="1")
args = parser.parse_args()
print(repr(args.local_rank), args.lr)
"""


@pytest.mark.parametrize("name", ['"--local_rank"', '"--local-rank"', '"--local-rank", "--local_rank"'])
@pytest.mark.parametrize("given", [(), ("--local-rank=0",), ("--local_rank=0",), ("--local-rank", "1")])
def test_it_is_the_launchers(name: str, given: tuple[str, ...], run: Run) -> None:
    done = run(PARSE.format(f"{name}, type=int, default=0"), *given, "--lr", "3")
    assert (done.out, done.code) == ("1 3\n", 0), done.err


@pytest.mark.parametrize(
    ("declared", "value"),
    [
        ('"--local_rank"', "'1'"),
        ('"--local_rank", default=-1', "1"),
        ('"--local_rank", type=str', "'1'"),
        ('"--local_rank", type=int', "1"),
    ],
)
def test_it_has_the_type_that_the_parser_gives_it(declared: str, value: str, run: Run) -> None:
    assert run(PARSE.format(declared)).out == f"{value} 1\n"


def test_arguments_of_another_list_are_left_alone(run: Run) -> None:
    text = """
    import argparse
    parser = argparse.ArgumentParser()
    parser.add_argument("--rank", type=int, default=7)
    print(parser.parse_args([]).rank)
    """
    assert run(text).out == "7\n"


def test_one_that_is_required_is_there(run: Run) -> None:
    assert run(PARSE.format('"--local_rank", type=int, required=True')).out == "1 1\n"


def test_minus_one_is_filled_in_without_a_word(run: Run) -> None:
    done = run(PARSE.format('"--local_rank", type=int, default=-1'))
    assert (done.out, done.err) == ("1 1\n", "")


def test_without_a_launcher_it_is_what_the_script_says(run: Run) -> None:
    done = run(PARSE.format('"--local_rank", default=-1'), options=("--nproc-per-node", "1"), environment={})
    assert done.out == "-1 1\n"


def test_no_correct_leaves_it_alone(run: Run) -> None:
    assert run(PARSE.format('"--local_rank", type=int, default=0'), options=("--no-correct",)).out == "0 1\n"
