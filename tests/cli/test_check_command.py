"""``ddplint check``: what is linted, what is printed where, and the exit code."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from commands import DISTRIBUTED, Command, rule

from ddplint.findings import Severity

pytestmark = pytest.mark.usefixtures("one_rule")


def test_findings_make_it_1_and_none_0(command: Command) -> None:
    Path("train.py").write_text(DISTRIBUTED)
    Path("plain.py").write_text("print(1)\n")
    assert command("plain.py").code == 0
    found = command("train.py", "plain.py")
    assert found.code == 1
    assert found.err == ""
    assert "train.py:1:1: warning DDP103 localhost-master-addr\n  message of localhost-master-addr\n" in found.out
    assert "Found 1 finding (1 warning) in 1 of 2 files." in found.out


def test_check_is_the_command_by_default_and_the_current_folder_the_path(command: Command) -> None:
    Path("train.py").write_text(DISTRIBUTED)
    outcomes = [command(), command("."), command("check"), command("check", "train.py"), command("train.py")]
    assert len(set(outcomes)) == 1
    assert outcomes[0].code == 1


@pytest.mark.parametrize(
    ("severity", "fail_on", "code"),
    [
        (Severity.NOTE, None, 0),
        (Severity.WARNING, None, 1),
        (Severity.NOTE, "note", 1),
        (Severity.WARNING, "error", 0),
        (Severity.ERROR, "error", 1),
    ],
)
def test_fail_on(
    severity: Severity, fail_on: str | None, code: int, command: Command, only_rules: Callable[..., None]
) -> None:
    only_rules(rule("DDP103", "localhost-master-addr", severity=severity))
    Path("train.py").write_text(DISTRIBUTED)
    assert command("train.py", *(("--fail-on", fail_on) if fail_on else ())).code == code


def test_exit_zero_is_about_findings_only(command: Command) -> None:
    Path("train.py").write_text(DISTRIBUTED)
    assert command("--exit-zero", "train.py").code == 0
    assert command("--exit-zero", "train.py", "missing.py").code == 2


def test_standard_input(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def give(data: bytes) -> None:
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(data)))

    give(DISTRIBUTED.encode())
    found = command("-", "--output-format", "concise")
    assert found.code == 1
    assert found.out.startswith("<stdin>:1:1: DDP103 warning")
    give(DISTRIBUTED.encode())
    named = command("-", "--stdin-filename", "src/train.py", "--output-format", "concise")
    assert named.out.startswith("src/train.py:1:1: DDP103 warning")
    give(DISTRIBUTED.encode())
    ignored = command("-", "--stdin-filename", "src/train.py", "--per-file-ignores", "src/*:DDP103")
    assert ignored.code == 0
    give(b"import torch.distributed\n\xff\n")
    assert "<stdin>:2:1: error DDP000 syntax-error" in command("-").out


def test_stdin_filename_needs_stdin(command: Command) -> None:
    assert "--stdin-filename" in command("--stdin-filename", "a.py", ".").err


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (["--select", "DDP1"], 1),
        (["--select", "global-rank"], 2),
        (["--ignore", "localhost-master-addr"], 0),
        (["--extend-ignore", "DDP103"], 0),
        (["--ignore", "ALL", "--extend-select", "DDP103"], 1),
        (["--per-file-ignores", "*.py:DDP103"], 0),
        (["--per-file-ignores", "tests/*.py:DDP103"], 1),
        (["--per-file-ignores", "DDP103"], 2),
        (["--select", "DDP1O3"], 2),
        (["--multi-node", "true", "--target-torch", "2.1", "--preview", "--no-cache"], 1),
        (["--multi-node", "perhaps"], 2),
        (["--target-torch", "new"], 2),
        (["--fail-on", "fatal"], 2),
        (["--output-format", "xml"], 2),
        (["--slect", "ALL"], 2),
        (["--sel", "ALL"], 2),
    ],
)
def test_options(options: list[str], code: int, command: Command) -> None:
    Path("train.py").write_text(DISTRIBUTED)
    outcome = command("train.py", *options)
    assert outcome.code == code
    assert (code == 2) == bool(outcome.err)
    assert "Traceback" not in outcome.err


def test_excludes_and_gitignore(command: Command) -> None:
    for name in ("a/x.py", "b/x.py", "c/x.py", "build/x.py"):
        Path(name).parent.mkdir()
        Path(name).write_text(DISTRIBUTED)
    Path(".gitignore").write_text("c/\n")

    def paths(*options: str) -> list[str]:
        outcome = command(".", "--output-format", "json", *options)
        return [found["path"] for found in json.loads(outcome.out)["findings"]]

    assert paths() == ["a/x.py", "b/x.py"]
    assert paths("--extend-exclude", "b/") == ["a/x.py"]
    assert paths("--exclude", "a/") == ["b/x.py", "build/x.py"]
    assert paths("--no-respect-gitignore") == ["a/x.py", "b/x.py", "c/x.py"]


def test_settings_file_of_the_linted_folder(command: Command) -> None:
    Path("project/src").mkdir(parents=True)
    Path("project/src/train.py").write_text(DISTRIBUTED)
    Path("project/pyproject.toml").write_text(
        '[tool.ddplint]\nseverity = { DDP103 = "error" }\noutput-format = "concise"\n'
    )
    assert "DDP103 error" in command("project/src").out
    assert "warning DDP103" in command("--isolated", "project/src").out
    Path("other.toml").write_text('ignore = ["DDP103"]\n')
    assert command("--config", "other.toml", "project/src").code == 0


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ("[tool.ddplint\n", "pyproject.toml: is not valid TOML"),
        ("[tool.ddplint]\nselect = 3\n", "select: expected a list of strings, not 3"),
        ('[tool.ddplint]\nslect = ["ALL"]\n', 'unknown key "slect" (did you mean "select"?)'),
        ('[tool.ddplint]\nselect = ["DDP1O3"]\n', 'unknown rule "DDP1O3" (did you mean "DDP103"?)'),
        ('[tool.ddplint]\nfail-on = "fatal"\n', "fail-on: expected one of"),
    ],
)
def test_wrong_settings(toml: str, message: str, command: Command) -> None:
    Path("pyproject.toml").write_text(toml)
    outcome = command(".")
    assert outcome.code == 2
    assert message in outcome.err
    assert outcome.err.startswith("ddplint: error: pyproject.toml")
    assert len(outcome.err.splitlines()) == 1


def test_output_file(command: Command) -> None:
    Path("日本 train.py").write_text(DISTRIBUTED)
    outcome = command(".", "--output-file", "found.txt")
    assert (outcome.code, outcome.out) == (1, "")
    text = Path("found.txt").read_text(encoding="utf-8")
    assert "日本 train.py:1:1: warning DDP103" in text
    assert "\x1b" not in text
    wrong = command(".", "--output-file", "no/such/folder.txt")
    assert wrong.code == 2
    assert "--output-file: no/such/folder.txt: No such file" in wrong.err


def test_statistics_quiet_and_verbose(command: Command) -> None:
    Path("train.py").write_text(DISTRIBUTED)
    assert "1  DDP103  localhost-master-addr" in command("--statistics").out
    Path("empty").mkdir()
    quiet = command("-q", "--output-format", "concise", ".", "empty")
    assert quiet.out == "train.py:1:1: DDP103 warning message of localhost-master-addr\n"
    assert quiet.err == ""
    verbose = command("-v", ".")
    assert "settings: no settings file" in verbose.err
    assert "files: 1 found, 1 distributed, 0 skipped" in verbose.err


def test_show_settings(command: Command) -> None:
    outcome = command("--show-settings", "--select", "DDP1")
    assert outcome.code == 0
    assert 'select = ["DDP1"]' in outcome.out
    assert "# --select" in outcome.out


def test_the_same_mistake_is_reported_once(command: Command) -> None:
    Path("train.py").write_text(DISTRIBUTED)
    Path("link.py").symlink_to("train.py")
    outcome = command("train.py", ".", "./train.py", "link.py", "--output-format", "json")
    assert len(json.loads(outcome.out)["findings"]) == 1


def test_findings_are_sorted(command: Command, only_rules: Callable[..., None]) -> None:
    only_rules(rule("DDP107", "hardcoded-master-port"), rule("DDP103", "localhost-master-addr"))
    for name in ("b.py", "a.py"):
        Path(name).write_text(DISTRIBUTED)
    found = json.loads(command("b.py", "a.py", "--output-format", "json").out)["findings"]
    assert [(one["path"], one["code"]) for one in found] == [
        ("a.py", "DDP103"),
        ("a.py", "DDP107"),
        ("b.py", "DDP103"),
        ("b.py", "DDP107"),
    ]


def run(*words: str, cwd: Path, **more: object) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    return subprocess.run(
        [sys.executable, "-m", "ddplint", *words],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        **more,  # type: ignore[call-overload]
    )


def test_closed_pipe_is_quiet(tmp_path: Path) -> None:
    for number in range(300):
        (tmp_path / f"{number}.py").write_text("import torch.distributed\nx = (\n")
    command = f"{sys.executable} -m ddplint --output-format json . | head -n 1"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        command, shell=True, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60
    )
    assert (done.stdout, done.stderr) == ("{\n", "")


def test_interrupt_is_130_without_traceback(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("ddplint.linter.lint", interrupted)
    outcome = command(".")
    assert (outcome.code, outcome.out, outcome.err) == (130, "", "")


def test_output_survives_a_console_that_knows_ascii_only(tmp_path: Path) -> None:
    (tmp_path / "日本.py").write_text("import torch.distributed\nx = ('日本'\n", encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(
        [sys.executable, "-m", "ddplint", "."], cwd=tmp_path, env=environment, capture_output=True, timeout=60
    )
    assert done.returncode == 1
    assert b"DDP000" in done.stdout
    assert b"Traceback" not in done.stderr
