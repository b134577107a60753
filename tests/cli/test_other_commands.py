"""``ddplint rule``, ``config``, ``completion``, ``--version`` and ``--help``."""

from __future__ import annotations

import builtins
import json
import subprocess
import sys
from pathlib import Path

import pytest
from commands import Command

from ddplint import __version__, pages
from ddplint.rules import registry
from ddplint.settings.options import OPTIONS


def test_version(command: Command) -> None:
    outcome = command("--version")
    assert (outcome.code, outcome.out, outcome.err) == (0, f"ddplint {__version__}\n", "")


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_fits_a_screen(option: str, command: Command) -> None:
    outcome = command(option)
    assert outcome.code == 0
    lines = outcome.out.splitlines()
    # One line of the 24 is the next prompt.
    assert len(lines) <= 23
    assert max(len(line) for line in lines) <= 80


@pytest.mark.parametrize("name", ["check", "rule", "ranks", "env", "run", "preflight", "config"])
def test_every_command_has_help(name: str, command: Command) -> None:
    outcome = command(name, "--help")
    assert outcome.code == 0
    assert outcome.out.startswith(f"usage: ddplint {name} ")


def test_table_of_rules_is_one_line_a_rule_in_a_pipe(command: Command) -> None:
    lines = command("rule").out.splitlines()
    assert [line.split()[0] for line in lines] == list(registry())
    for line, rule in zip(lines, registry().values(), strict=True):
        assert line.split()[1] == rule.name
        assert line.endswith(rule.summary + (" (preview)" if rule.preview else ""))


@pytest.mark.parametrize("word", ["DDP101", "ddp101", "global-rank", "Global_Rank"])
def test_page_of_a_rule_is_raw_in_a_pipe(word: str, command: Command) -> None:
    outcome = command("rule", word)
    assert outcome.code == 0
    assert outcome.out == pages.read("global-rank")


def test_page_is_rendered_in_color(command: Command) -> None:
    text = command("rule", "DDP101", "--color", "always").out
    assert "\x1b[" in text
    assert "## What it does" not in text


def test_all_pages(command: Command) -> None:
    text = command("rule", "--all").out
    for rule in registry().values():
        assert f"# {rule.name} ({rule.code})\n" in text


def test_rules_as_json(command: Command) -> None:
    (one, every, all_pages) = (
        json.loads(command("rule", *words, "--output-format", "json").out) for words in (["DDP101"], [], ["--all"])
    )
    assert one["name"] == "global-rank"
    assert one["url"].endswith("/global-rank/")
    assert [rule["code"] for rule in every] == list(registry())
    assert every == all_pages


@pytest.mark.parametrize(
    ("word", "hint"),
    [("global-rnk", '(did you mean "global-rank"?)'), ("DDP1O1", '(did you mean "DDP1'), ("x", "")],
)
def test_unknown_rule(word: str, hint: str, command: Command) -> None:
    outcome = command("rule", word)
    assert outcome.code == 2
    assert outcome.out == ""
    assert f'there is no rule "{word}"' in outcome.err
    assert hint in outcome.err


def test_config_says_where_values_come_from(command: Command) -> None:
    Path("pyproject.toml").write_text('[tool.ddplint]\nfail-on = "error"\nmulti-node = true\n')
    outcome = command("config", "--select", "global-rank,DDP2" if "DDP201" in registry() else "global-rank")
    assert outcome.code == 0
    lines = {line.split(" = ")[0]: line for line in outcome.out.splitlines()}
    assert outcome.out.startswith("# settings file: pyproject.toml\n")
    assert '"DDP101"' in lines["select"]
    assert lines["select"].endswith("# --select")
    assert lines["fail-on"].startswith('fail-on = "error" ')
    assert lines["fail-on"].endswith("# pyproject.toml [tool.ddplint]")
    assert lines["multi-node"].startswith("multi-node = true ")
    assert lines["preview"].endswith("# default")


def test_config_as_json(command: Command) -> None:
    Path("ddplint.toml").write_text('per-file-ignores = { "tests/*" = ["ALL"] }\n')
    document = json.loads(command("config", "--output-format", "json", "--no-respect-gitignore").out)
    assert document["file"] == "ddplint.toml"
    assert list(document["settings"]) == list(OPTIONS)
    assert document["settings"]["per-file-ignores"] == {"value": {"tests/*": ["ALL"]}, "origin": "ddplint.toml"}
    assert document["settings"]["respect-gitignore"]["value"] is False
    assert document["settings"]["select"] == {"value": ["ALL"], "origin": "default"}
    assert document["settings"]["multi-node"]["value"] == "auto"
    assert document["settings"]["target-torch"]["value"] is None


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_completion(shell: str, command: Command) -> None:
    pytest.importorskip("shtab")
    outcome = command("completion", shell)
    assert outcome.code == 0
    for word in ("ranks", "--output-format", "--nproc-per-node", "--version"):
        assert word in outcome.out


def test_completion_without_shtab(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def absent(name: str, *more: object, **words: object) -> object:
        if name == "shtab":
            raise ImportError(name)
        return real(name, *more, **words)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", absent)
    outcome = command("completion", "bash")
    assert outcome.code == 2
    assert outcome.err == 'ddplint: error: completion needs shtab: pip install "ddplint[completion]"\n'


@pytest.mark.parametrize(
    ("words", "absent"),
    [
        (["--version"], ["argparse", "libcst", "rich", "dataclasses", "json"]),
        (["--help"], ["argparse", "libcst", "rich", "dataclasses", "json"]),
        (["check", "--help"], ["libcst", "rich", "dataclasses"]),
        (["rule"], ["libcst", "rich"]),
        (["config"], ["libcst", "rich"]),
        (["."], ["libcst", "rich"]),
    ],
)
def test_what_is_not_needed_is_not_imported(words: list[str], absent: list[str], tmp_path: Path) -> None:
    (tmp_path / "plain.py").write_text("print(1)\n")
    code = (
        "import sys\n"
        "before = set(sys.modules)\n"
        f"sys.path.insert(0, {str(Path(__file__).parents[2])!r})\n"
        "from ddplint.cli import main\n"
        "try:\n"
        f"    main({words!r})\n"
        "except SystemExit:\n"
        "    pass\n"
        f"found = set({absent!r}) & (set(sys.modules) - before)\n"
        "sys.exit(f'imported: {found}' if found else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
