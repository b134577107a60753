"""Whole scripts through the real pipeline: what their ``# expect:`` comments say is what is found, and nothing else.

A comment ``# expect: DDP101 warning, DDP109 error`` at the end of a line names every finding of that line. A script
without such comments is right and must stay silent. Each unit is copied to a folder of its own first, so that neither
the settings of this repository nor the name of the folder ``tests`` has a say.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ddplint.linter import lint
from ddplint.rules import registry
from ddplint.settings import Settings

FIXTURES = Path(__file__).parent / "fixtures"
EXAMPLES = Path(__file__).parent.parent / "examples"

# Rules that these scripts were read for by hand. Others may say more about them without being wrong.
FAMILIES = ("DDP0", "DDP1", "DDP2", "DDP3", "DDP4", "DDP5", "DDP6", "DDP8")

# What the six caveats of the note that the project grew from became: each is one finding in the seed script.
CAVEATS = {
    "global rank": "DDP101",
    "world size": "DDP102",
    "master address": "DDP103",
    "node rank": "DDP104",
    "environment variables": "DDP106",
    "GPU count": "DDP105",
}

Expected = tuple[str, int, str, str]
_COMMENT = re.compile(r"# expect: (?P<findings>DDP\d{3} \w+(?:, DDP\d{3} \w+)*)\s*$")


@dataclass(frozen=True)
class Unit:
    """Files that are linted together; ``root`` is the folder that their paths are relative to."""

    name: str
    root: Path
    files: tuple[Path, ...]

    def expected(self) -> Iterator[Expected]:
        for file in self.files:
            for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
                comment = _COMMENT.search(line)
                assert comment or "# expect" not in line, f"{file}:{number}: not understood: {line.strip()}"
                for finding in comment["findings"].split(", ") if comment else ():
                    code, severity = finding.split()
                    yield file.relative_to(self.root).as_posix(), number, code, severity


def units() -> Iterator[Unit]:
    """A folder with a train.py is one unit; every other script is a unit of its own."""
    for script in sorted(FIXTURES.glob("*.py")):
        if script.name != "conftest.py":
            yield Unit(script.name, FIXTURES, (script,))
    for folder in sorted(path for path in FIXTURES.iterdir() if path.is_dir() and path.name != "__pycache__"):
        if (folder / "train.py").exists():
            yield Unit(folder.name, folder, tuple(sorted(folder.rglob("*.py"))))
        else:
            for script in sorted(folder.glob("*.py")):
                yield Unit(f"{folder.name}/{script.name}", folder, (script,))


UNITS = tuple(units())


def found(files: Iterable[str], settings: Settings | None = None) -> set[Expected]:
    report = lint(list(files), settings or Settings(preview=True))
    assert report.errors == ()
    assert report.problems == ()
    return {
        (finding.path, finding.span.start.line, finding.code, finding.severity.value)
        for finding in report.findings
        if finding.code.startswith(FAMILIES) and not finding.suppressed
    }


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_unit(unit: Unit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = tmp_path / "project"
    names = [file.relative_to(unit.root).as_posix() for file in unit.files]
    for name in names:
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(unit.root / name, project / name)
    monkeypatch.chdir(project)
    assert sorted(found(names)) == sorted(unit.expected())


@pytest.mark.parametrize("script", ["seed_script.py", "seed_script_fixed.py"])
def test_seed_script_where_it_lies(script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under its own path too, in a folder called tests, as somebody would try it from a clone."""
    monkeypatch.chdir(FIXTURES.parent.parent)
    unit = Unit(script, FIXTURES.parent.parent, (FIXTURES / script,))
    assert sorted(found([f"tests/fixtures/{script}"])) == sorted(unit.expected())


def test_seed_script_has_all_six_caveats() -> None:
    codes = [code for _, _, code, _ in Unit("seed", FIXTURES, (FIXTURES / "seed_script.py",)).expected()]
    assert sorted(codes) == sorted(CAVEATS.values())


def test_every_rule_has_a_broken_and_a_fixed_script() -> None:
    for rule in registry().values():
        if not rule.code.startswith(FAMILIES):
            continue
        folder = FIXTURES / rule.name.replace("-", "_")
        broken, fixed = folder / "broken.py", folder / "fixed.py"
        assert rule.code in {code for _, _, code, _ in Unit(rule.name, folder, (broken,)).expected()}
        assert not list(Unit(rule.name, folder, (fixed,)).expected())


def test_every_broken_script_has_a_silent_twin() -> None:
    for broken in FIXTURES.rglob("broken*.py"):
        fixed = broken.with_name(broken.name.replace("broken", "fixed"))
        assert list(Unit(broken.name, broken.parent, (broken,)).expected())
        assert not list(Unit(fixed.name, fixed.parent, (fixed,)).expected())


def test_examples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(EXAMPLES.parent)
    broken = (EXAMPLES / "broken_train.py").read_text(encoding="utf-8").splitlines()

    def line(text: str) -> int:
        return next(number for number, content in enumerate(broken, start=1) if text in content)

    assert found(["examples/broken_train.py"]) == {
        ("examples/broken_train.py", line("rank=rank"), "DDP101", "warning"),
        ("examples/broken_train.py", line("nprocs=4"), "DDP102", "warning"),
        ("examples/broken_train.py", line('"localhost"'), "DDP103", "warning"),
        ("examples/broken_train.py", line("nprocs=4"), "DDP105", "warning"),
        ("examples/broken_train.py", line('"12355"'), "DDP107", "warning"),
    }
    assert found(["examples/fixed_train.py"]) == set()
