"""Whatever is wrong with one input, there is a clear message and the others are linted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from commands import DISTRIBUTED, Command, Outcome, rule

import ddplint.linter
from ddplint.findings import Finding
from ddplint.program import Program

pytestmark = pytest.mark.usefixtures("one_rule")


@pytest.fixture
def lint(command: Command) -> Callable[..., Outcome]:
    """Lint the folder, in which there is also a good script; that one must always be judged."""
    Path("good.py").write_text(DISTRIBUTED)

    def run(*words: str) -> Outcome:
        outcome = command(*(words or (".",)), "good.py", "--output-format", "concise")
        assert "good.py:1:1: DDP103 warning" in outcome.out
        assert "Traceback" not in outcome.out + outcome.err
        return outcome

    return run


def test_missing_path(lint: Callable[..., Outcome]) -> None:
    outcome = lint("missing.py")
    assert outcome.code == 2
    assert "ddplint: error: missing.py: no such file or folder" in outcome.err


def test_folder_without_python(lint: Callable[..., Outcome], command: Command) -> None:
    Path("empty").mkdir()
    assert "ddplint: warning: empty: no Python files" in lint("empty").err
    outcome = command("empty")
    assert outcome.code == 0
    assert "no Python files" in outcome.err


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_unreadable_file(lint: Callable[..., Outcome]) -> None:
    Path("secret.py").write_text(DISTRIBUTED)
    Path("secret.py").chmod(0)
    outcome = lint()
    assert outcome.code == 1
    assert "secret.py:1:1: DDP000 error cannot be read: Permission denied" in outcome.out


def test_file_that_cannot_be_read(lint: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch) -> None:
    Path("secret.py").write_text(DISTRIBUTED)
    real = ddplint.linter.read_bytes

    def refuse(file: str, display: str) -> bytes:
        return real("/proc/self/mem" if display == "secret.py" else file, display)

    monkeypatch.setattr(ddplint.linter, "read_bytes", refuse)
    assert "secret.py:1:1: DDP000 error cannot be read: " in lint().out


def test_binary_file(lint: Callable[..., Outcome]) -> None:
    Path("binary.py").write_bytes(bytes(range(256)) * 20)
    outcome = lint()
    assert outcome.code == 1
    assert "binary.py:1:1: DDP000 error " in outcome.out


def test_empty_file(lint: Callable[..., Outcome]) -> None:
    Path("empty.py").write_bytes(b"")
    assert "empty.py" not in lint().out


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("import torch.distributed\nx = (1,\n", "broken.py:"),
        ("import torch.distributed\nprint 'rank', 1\n", "broken.py:2:"),
        ("import torch.distributed\nexcept Exception, e:\n", "broken.py:2:"),
        ("import torch.distributed\nif True:\nx = 1\n", "broken.py:3:"),
        ("import torch.distributed\n" + "<<<<<<< HEAD\n", "broken.py:2:"),
    ],
)
def test_syntax_error(text: str, place: str, lint: Callable[..., Outcome]) -> None:
    Path("broken.py").write_text(text)
    outcome = lint()
    assert outcome.code == 1
    (line,) = [line for line in outcome.out.splitlines() if line.startswith("broken.py")]
    assert line.startswith(place)
    assert " DDP000 error " in line


@pytest.mark.parametrize(
    "code",
    [
        "x = " + "(" * 2000 + "1" + ")" * 2000,
        "x = " + "[" * 2000 + "]" * 2000,
        "x = " + "f(" * 2000 + ")" * 2000,
        "x = " + "{1: " * 2000 + "1" + "}" * 2000,
        "x = " + "(" * 100_000,
        "x = " + "-" * 20_000 + "1",
        "x = " + "not " * 20_000 + "1",
        "x = 1" + " + 1" * 20_000,
        "x = (1" + "\n + 1" * 20_000 + ")",
        "x = a" + ".b" * 20_000,
        "x = a" + "()" * 20_000,
        "x = " + "lambda: " * 20_000 + "1",
        "x = " + "1 if a else " * 20_000 + "1",
        "x = a" + " and a" * 20_000,
        "if a:\n    pass\n" + "elif a:\n    pass\n" * 20_000,
        "".join(" " * depth + "if a:\n" for depth in range(500)) + " " * 500 + "pass",
    ],
    ids=lambda code: code[4:16].replace("\n", " "),
)
def test_nesting_that_would_overflow_the_parser(code: str, lint: Callable[..., Outcome]) -> None:
    Path("deep.py").write_text(f"import torch.distributed\n{code}\n")
    outcome = lint()
    assert outcome.code == 1
    (line,) = [line for line in outcome.out.splitlines() if line.startswith("deep.py")]
    assert " DDP000 error " in line


@pytest.mark.parametrize(
    "code",
    [
        "x = " + "(" * 150 + "1" + ")" * 150,
        "x = 1" + " + 1" * 1_000,
        "x = [" + "-1, " * 20_000 + "]",
        "x = ':('\n" * 5_000,
        "# :(\n" * 5_000,
        "x = a.b\n" * 5_000,
        "if a:\n    pass\nelif b:\n    pass\n" * 3_000,
    ],
    ids=lambda code: code[:16].replace("\n", " "),
)
def test_long_is_not_deep(code: str, lint: Callable[..., Outcome]) -> None:
    Path("long.py").write_text(f"import torch.distributed\n{code}\n")
    outcome = lint()
    assert outcome.code == 1
    assert "long.py:1:1: DDP103 warning" in outcome.out
    assert "DDP000" not in outcome.out


def test_large_generated_file(lint: Callable[..., Outcome]) -> None:
    lines = 5_000_000 // 60
    Path("generated.py").write_text("\n".join(f'TABLE_{number:06} = "{"x" * 40}"' for number in range(lines)))
    started = time.process_time()
    assert "generated.py" not in lint().out
    assert time.process_time() - started < 10


def test_loop_of_links(lint: Callable[..., Outcome]) -> None:
    Path("folder").mkdir()
    Path("folder/loop").symlink_to("..")
    Path("self.py").symlink_to("self.py")
    Path("folder/train.py").write_text(DISTRIBUTED)
    assert lint().out.count("train.py:1:1: DDP103") == 1


def test_link_that_leads_to_itself(lint: Callable[..., Outcome]) -> None:
    Path("self.py").symlink_to("self.py")
    outcome = lint("self.py")
    assert outcome.code == 2
    assert "error: self.py: " in outcome.err


def test_file_that_vanishes(lint: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch) -> None:
    Path("gone.py").write_text(DISTRIBUTED)
    real = ddplint.linter.discover

    def then_remove(*words: object, **more: object) -> object:
        found = real(*words, **more)  # type: ignore[arg-type]
        Path("gone.py").unlink()
        return found

    monkeypatch.setattr(ddplint.linter, "discover", then_remove)
    outcome = lint()
    assert outcome.code == 1
    assert "gone.py:1:1: DDP000 error cannot be read: the file is gone" in outcome.out


def test_names_with_spaces_and_newlines(lint: Callable[..., Outcome], command: Command) -> None:
    name = "a name\nwith [bold]everything :smile: %0A.py"
    Path(name).write_text(DISTRIBUTED)
    line = "a name\\nwith [bold]everything :smile: %0A.py:1:1: "
    assert line in lint().out
    assert line in command(".").out
    assert name in [found["path"] for found in json.loads(command(".", "--output-format", "json").out)["findings"]]


def test_name_that_is_no_text(lint: Callable[..., Outcome]) -> None:
    try:
        with open(b"caf\xe9.py", "w") as stream:
            stream.write(DISTRIBUTED)
    except OSError:
        pytest.skip("this file system takes only UTF-8")
    found = lint().out.splitlines()[0]
    assert found.startswith("caf\\")
    assert ".py:1:1: DDP103" in found


@pytest.mark.parametrize(
    ("head", "encoding"),
    [("", "utf-8"), ("\ufeff", "utf-8"), ("# coding: latin-1\n", "latin-1"), ("# coding: cp1251\n", "cp1251")],
)
def test_encodings(head: str, encoding: str, lint: Callable[..., Outcome]) -> None:
    letters = {"latin-1": "é", "cp1251": "ж"}.get(encoding, "日本")
    Path("coded.py").write_bytes((head + DISTRIBUTED + f"# {letters}\n").replace("\n", "\r\n").encode(encoding))
    outcome = lint()
    assert "coded.py:1:1: DDP103 warning" in outcome.out
    assert "DDP000" not in outcome.out


def test_wrong_encoding(lint: Callable[..., Outcome]) -> None:
    Path("coded.py").write_bytes(DISTRIBUTED.encode() + b"# caf\xe9\n")
    assert "coded.py:4:6: DDP000 error byte 0xe9 is not UTF-8" in lint().out


def broken(program: Program) -> Iterable[Finding]:
    if program.path == "bad.py":
        raise ZeroDivisionError("for the test")
    return ()


def test_internal_error_in_one_rule(command: Command, only_rules: Callable[..., None]) -> None:
    only_rules(rule("DDP101", "global-rank", broken), rule("DDP103", "localhost-master-addr"))
    for name in ("bad.py", "good.py"):
        Path(name).write_text(DISTRIBUTED)
    outcome = command(".", "--output-format", "json")
    assert outcome.code == 2
    document = json.loads(outcome.out)
    # The other files are linted by every rule, and this one by the others.
    assert [found["path"] for found in document["findings"]] == ["bad.py", "good.py"]
    assert document["summary"]["errors"] == 1
    assert "ddplint: internal error in rule DDP101 on bad.py: ZeroDivisionError: for the test\n" in outcome.err
    assert "Please report" in outcome.err
    assert "https://" in outcome.err
    assert "Traceback" not in outcome.err
    verbose = command("-v", ".").err
    assert "Traceback" in verbose
    assert "test_bad_input.py" in verbose


def test_internal_error_in_the_program_model(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    import ddplint.program

    real = ddplint.program.load_project

    def load_project(sources: list, settings: object) -> object:  # type: ignore[type-arg]
        if any(source.path == "bad.py" for source in sources):
            raise KeyError("for the test")
        return real(sources, settings)  # type: ignore[arg-type]

    monkeypatch.setattr(ddplint.program, "load_project", load_project)
    for name in ("bad.py", "good.py"):
        Path(name).write_text(DISTRIBUTED)
    outcome = command(".", "--output-format", "concise")
    assert outcome.code == 2
    assert outcome.out.startswith("good.py:1:1: DDP103")
    assert "internal error in bad.py: KeyError: 'for the test'" in outcome.err


def test_deep_helper_does_not_end_the_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    # In a process of its own: a parser that runs over its stack takes the test run with it.
    Path("train.py").write_text("import torch.distributed as dist\nfrom helper import setup\nsetup()\n")
    Path("helper.py").write_text("import os\nlocal_rank = 1\ndef setup(): pass\nx = 1" + " + 1" * 20_000 + "\n")
    environment = {**os.environ, "PYTHONPATH": str(Path(ddplint.linter.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-m", "ddplint", "train.py"], env=environment, capture_output=True, text=True, timeout=20
    )
    assert done.returncode == 0, done.stderr
