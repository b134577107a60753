"""The hook as pre-commit runs it: a clone of this repository, installed into an environment of its own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

import pytest

ROOT = Path(__file__).parents[2]

# What pip and pre-commit say where there is no way to the package index; all else that goes wrong is our fault.
NO_NETWORK = re.compile(
    r"No matching distribution|NewConnectionError|ConnectTimeout|Read timed out|Max retries|Temporary failure in name"
)

# Git takes these as orders to work on another repository: they are set where pytest itself runs in a hook.
GIT = ("GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE", "GIT_OBJECT_DIRECTORY", "GIT_PREFIX")


@pytest.fixture
def environment(tmp_path: Path, unavailable: Callable[[str], NoReturn]) -> Mapping[str, str]:
    """Nobody's settings of git and pre-commit, and a cache that dies with the test."""
    if shutil.which("git") is None:
        unavailable("there is no git")
    if find_spec("pre_commit") is None:
        unavailable('pre-commit is not installed: pip install -e ".[test]"')
    person = {
        f"GIT_{who}_{what}": "somebody@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
    }
    own = {
        "PRE_COMMIT_HOME": str(tmp_path / "cache"),
        "PRE_COMMIT_COLOR": "never",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "PYTHONUTF8": "1",
    }
    return {name: value for name, value in os.environ.items() if name not in GIT} | person | own


def test_hook(tmp_path: Path, environment: Mapping[str, str], unavailable: Callable[[str], NoReturn]) -> None:
    def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=folder,
            env=environment,
            text=True,
            timeout=400,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def commit(folder: Path) -> None:
        for command in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "--message", "all"]):
            done = run(folder, "git", *command)
            assert done.returncode == 0, done.stdout

    hooks = tmp_path / "ddplint"
    hooks.mkdir()
    for name in (".pre-commit-hooks.yaml", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, hooks)
    shutil.copytree(ROOT / "ddplint", hooks / "ddplint", ignore=shutil.ignore_patterns("__pycache__"))
    commit(hooks)

    project = tmp_path / "project"
    project.mkdir()
    for name in ("broken_train.py", "fixed_train.py"):
        shutil.copy(ROOT / "examples" / name, project)
    config, replaced = re.subn(r"repo: \S+\n( +)rev: \S+", rf"repo: {hooks.as_posix()}\n\1rev: HEAD", snippet())
    assert replaced == 1
    (project / ".pre-commit-config.yaml").write_text(config, encoding="utf-8")
    commit(project)

    pre_commit = (sys.executable, "-m", "pre_commit")
    installed = run(project, *pre_commit, "install-hooks")
    if installed.returncode != 0 and NO_NETWORK.search(installed.stdout):
        unavailable(f"the hook cannot be installed without a network:\n{installed.stdout[-2000:]}")
    assert installed.returncode == 0, installed.stdout

    both = run(project, *pre_commit, "run", "--all-files")
    assert both.returncode == 1, both.stdout
    assert "- hook id: ddplint\n- exit code: 1\n" in both.stdout
    assert "broken_train.py:12:42: warning DDP101 global-rank\n" in both.stdout
    assert "fixed_train.py:" not in both.stdout

    right = run(project, *pre_commit, "run", "--files", "fixed_train.py")
    assert right.returncode == 0, right.stdout
    assert re.search(r"^ddplint\.+Passed$", right.stdout, re.MULTILINE), right.stdout

    (project / "broken_train.py").unlink()
    assert run(project, "git", "add", "--all").returncode == 0
    everything = run(project, *pre_commit, "run", "--all-files")
    assert everything.returncode == 0, everything.stdout


def snippet() -> str:
    """The settings that the README shows."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    _, _, section = text.partition("\n## pre-commit\n")
    return section.partition("```yaml\n")[2].partition("```")[0]
