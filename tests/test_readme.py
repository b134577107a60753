"""The README is right: its commands run and print what it shows, its options exist, its settings and comments work."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import pytest

from ddplint.cli import COMMANDS, main

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")

# Options of pip, of torchrun, of srun and of the scripts that the text speaks of.
FOREIGN = {"--editable", "--epochs", "--nodes", "--ntasks-per-node", "--node_rank", "--nproc_per_node", "--local_rank"}

LEFT_OUT = "[...]"


class Block(NamedTuple):
    """A fenced block: its language and text."""

    language: str
    text: str


class Shown(NamedTuple):
    """A command and the output below it."""

    command: str
    output: str


BLOCKS = [
    Block(match[1], match[2]) for match in re.finditer(r"^```(\w*)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
]


def blocks(language: str) -> list[str]:
    return [block.text for block in BLOCKS if block.language == language]


def shown() -> Iterator[Shown]:
    for block in blocks("console"):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            yield Shown(command, output.rstrip("\n"))


def run(words: Sequence[str], folder: Path, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """The command as a reader runs it, not on a terminal."""
    environment = {name: value for name, value in os.environ.items() if name != "FORCE_COLOR"} | {"PYTHONUTF8": "1"}
    return subprocess.run(
        [sys.executable, "-m", "ddplint", *words],
        cwd=folder,
        env=environment,
        input=stdin,
        capture_output=True,
        timeout=60,
    )


@pytest.mark.parametrize("example", list(shown()), ids=lambda example: example.command)
def test_output_is_real(example: Shown) -> None:
    words = shlex.split(example.command)
    stdin = b""
    if "<" in words:
        stdin = (ROOT / words[-1]).read_bytes()
        words = words[: words.index("<")]
    assert words[0] == "ddplint"
    done = run(words[1:], ROOT, stdin)
    assert done.stderr == b""
    real = done.stdout.decode().rstrip("\n")
    assert in_order(pieces(example.output), real.split("\n")), f"the README does not show what it prints:\n{real}"
    assert done.returncode == ("\nFound " in real or real.startswith("--- a/"))


def test_the_example_is_repaired(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_bytes((ROOT / "examples" / "broken_train.py").read_bytes())
    assert run(["--fix", "--unsafe-fixes", "train.py"], tmp_path).returncode == 0
    assert run(["train.py"], tmp_path).returncode == 0


def test_the_safe_example_is_repaired(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_bytes((ROOT / "examples" / "launched_train.py").read_bytes())
    assert run(["train.py"], tmp_path).returncode == 1
    assert run(["--fix", "train.py"], tmp_path).returncode == 0
    assert run(["train.py"], tmp_path).returncode == 0


def pieces(output: str) -> list[list[str]]:
    """The lines that are shown, between those that are left out."""
    found: list[list[str]] = [[]]
    for line in output.split("\n"):
        if line == LEFT_OUT:
            found.append([])
        else:
            found[-1].append(line)
    return found


def in_order(wanted: list[list[str]], real: list[str]) -> bool:
    """Whether ``real`` is the pieces ``wanted``, with any lines between them."""
    first, *rest = wanted
    if not rest:
        return real == first
    if real[: len(first)] != first:
        return False
    place = len(first)
    *middle, last = rest
    for piece in middle:
        places = range(place, len(real) - len(piece) + 1)
        start = next((number for number in places if real[number : number + len(piece)] == piece), None)
        if start is None:
            return False
        place = start + len(piece)
    return len(real) - len(last) >= place and real[len(real) - len(last) :] == last


def test_pieces_are_compared_line_by_line() -> None:
    real = ["a", "b", "c", "d", "e"]
    for output in ("a\nb\nc\nd\ne", "a\n[...]\ne", "a\n[...]\nc\n[...]\ne", "a\n[...]\nd\n[...]\ne"):
        assert in_order(pieces(output), real)
    for output in ("a\nb\nc", "b\n[...]\ne", "a\n[...]\nd", "a\n[...]\nd\n[...]\nb\n[...]\ne", "a\n[...]\nx\n[...]\ne"):
        assert not in_order(pieces(output), real)


def test_first_script_is_the_example() -> None:
    example = (ROOT / "examples" / "broken_train.py").read_text(encoding="utf-8")
    assert blocks("python")[0] == example
    assert len(example.splitlines()) == 25


def test_two_commands_set_up_everything() -> None:
    install, tests = [block.rstrip("\n") for block in blocks("sh")[:2]]
    for command in (install, tests):
        assert "\n" not in command
        assert command.startswith("python3 -m venv .venv && .venv/bin/pip install ")
    assert install.endswith(" && .venv/bin/ddplint examples/broken_train.py")
    assert tests.endswith(" && .venv/bin/pytest")
    ci = [line.strip() for line in (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()]
    assert tests in ci


def test_commands_and_options_exist() -> None:
    code = "\n".join([block.text for block in BLOCKS] + re.findall(r"`([^`\n]+)`", README))
    options = {
        option
        for name in COMMANDS
        for action in import_module(f"ddplint.cli.{name}").parser()._actions
        for option in action.option_strings
    }
    named = set(re.findall(r"(?<![\w-])--[a-z][\w-]*", code))
    assert named - options - FOREIGN == set()
    assert {"--fail-on", "--set", "--output-format"} <= named
    commands = set(re.findall(r"^(?:\$ |.*- (?:run: )?)?ddplint ([a-z]+)(?![\w./])", code, re.MULTILINE))
    assert commands <= set(COMMANDS)
    assert {"rule", "ranks", "config"} <= commands


@pytest.mark.parametrize("file", ["pyproject.toml", "ddplint.toml"])
def test_settings_load(
    file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    [text] = blocks("toml")
    if file == "ddplint.toml":
        text = text.replace("[tool.ddplint]", "").replace("[tool.ddplint.", "[")
    (tmp_path / file).write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert main(["config"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert 'target-torch = "2.4"' in out
    assert re.search(r'severity = .*DDP105.*"note"', out)


def test_suppressions_hide_everything(tmp_path: Path) -> None:
    [script] = [block for block in blocks("python") if "ddplint: ignore" in block]
    (tmp_path / "train.py").write_text(script, encoding="utf-8")
    done = run(["train.py"], tmp_path)
    assert (done.returncode, done.stdout.decode()) == (
        0,
        "No findings in 1 file (1 distributed). 4 findings suppressed.\n",
    )
    bare = re.sub(r" *# (ddplint|noqa):.*", "", script)
    (tmp_path / "train.py").write_text(bare, encoding="utf-8")
    assert run(["train.py"], tmp_path).returncode == 1


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)]+)\)", README):
        path, _, heading = target.partition("#")
        assert not path or (ROOT / path).exists()
        assert not heading or f"\n## {heading.replace('-', ' ')}\n" in README.lower()
