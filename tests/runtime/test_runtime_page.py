"""docs/runtime.md is right: its script runs, and the options, variables and rules that it names exist."""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ddplint.rules import registry
from ddplint.runtime import run
from ddplint.runtime.rollcall import Attendance
from ddplint.runtime.rollcall.watch import Latecomers

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "runtime.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
# Options of srun, mpirun and of scripts.
FOREIGN = {"--nodes", "--ntasks-per-node", "--epochs", "--local_rank", "--local-rank", "--host", "--hosts"}


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


@pytest.mark.torch
@pytest.mark.parametrize(
    "text",
    [*blocks(PAGE, "python"), *(block for block in blocks(README, "python") if "ddplint.runtime" in block)],
    ids=["page", "README"],
)
def test_the_script_runs(text: str, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    (tmp_path / "train.py").write_text(text, encoding="utf-8")
    environment = {name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH") if name in os.environ}
    for words in (["train.py"], ["-m", "ddplint", "run", "--nproc-per-node", "2", "train.py"]):
        done = subprocess.run(
            [sys.executable, *words], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stderr


def test_its_options_exist() -> None:
    parser = argparse.ArgumentParser()
    run.add_arguments(parser)
    named = set(re.findall(r"(?<![\w-])(--[a-z][\w-]+)", PAGE)) - FOREIGN
    assert named
    assert named <= set(parser._option_string_actions)


def test_its_rules_exist() -> None:
    assert set(re.findall(r"DDP\d+", PAGE)) <= set(registry())


def test_its_variables_are_read() -> None:
    source = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "ddplint" / "runtime").rglob("*.py"))
    for name in set(re.findall(r"DDPLINT_\w+", PAGE)):
        assert f'"{name}"' in source, name


def test_what_is_overruled_is_said_as_shown() -> None:
    [line] = re.findall(r"^ddplint run: rank 2: .*$", PAGE, re.MULTILINE)
    source = (ROOT / "ddplint" / "runtime" / "shim" / "joining.py").read_text(encoding="utf-8")
    for part in ("init_process_group is given ", ", the local rank,", "elsewhere the script goes on with its own"):
        assert part in line
        assert part in source


def test_how_a_job_ends_is_said_as_shown() -> None:
    [shown] = [block for block in blocks(PAGE, "text") if "is ended" in block]
    members = [Attendance(0, 2, "node0", 4711, "environment"), Attendance(1, 2, "node1", 812, "environment")]
    late = Latecomers(members, 1, 65, 0.0, lambda: False)
    late.come(Attendance(1, 2, "node1", 815, "environment"), 1.5)
    [problem] = late.verdict(3.0) or []
    assert shown.partition("\n\n")[2].strip() == str(problem)
