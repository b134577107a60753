"""``--local_rank`` gets the launcher's local rank, in either spelling, whether or not somebody passes it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest
from corrected import SECOND_OF_TWO, Run

ENVIRONMENT = {name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH") if name in os.environ} | SECOND_OF_TWO

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


@pytest.mark.torch
@pytest.mark.parametrize("spelling", ["--local_rank", "--local-rank"])
def test_under_torch_distributed_launch(spelling: str, tmp_path: Path) -> None:
    """It puts the option before ``run``, and means the script, which knows one spelling or the other."""
    pytest.importorskip("torch")
    script = f"""
    import argparse, os
    parser = argparse.ArgumentParser()
    parser.add_argument("{spelling}", type=int, required=True)
    parser.add_argument("--lr")
    args = parser.parse_args()
    open(f"rank{{args.local_rank}}", "w").write(f"{{os.environ['RANK']}} {{args.lr}}")
    """
    (tmp_path / "train.py").write_text(dedent(script), encoding="utf-8")
    launch = ("-W", "ignore", "-m", "torch.distributed.launch", "--standalone", "--nproc-per-node", "2")
    words = [sys.executable, *launch, "-m", "ddplint", "run", "train.py", "--lr", "3"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert [(tmp_path / f"rank{rank}").read_text() for rank in (0, 1)] == ["0 3", "1 3"]


def test_an_option_before_run_is_the_scripts(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("import sys; print(sys.argv[1:])", encoding="utf-8")
    words = [sys.executable, "-m", "ddplint", "--local_rank=1", "run", "train.py", "--lr", "3"]
    done = subprocess.run(words, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, timeout=60)
    assert done.stdout == "['--local_rank=1', '--lr', '3']\n", done.stderr
    for command in ("env", "preflight"):
        words = [sys.executable, "-m", "ddplint", "--local-rank=1", command, "--help"]
        done = subprocess.run(words, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, timeout=60)
        assert done.stdout.startswith(f"usage: ddplint {command}"), done.stderr
