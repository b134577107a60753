"""What holds for every repair, and that repaired scripts run right: on generated scripts, on all that the tests have
already, and on a folder of repositories if the environment variable DDPLINT_CORPUS names one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from generated import Script, launched, scripts, spawned
from hypothesis import HealthCheck, Phase, given, settings
from jobs import run, said, wrong
from layouts import PLAIN, Layout, decoded, laid_out, layouts
from properties import ALL, after, checked, holds
from rule_pages import Case, cases, write

from ddplint import pages
from ddplint.fixes import repair
from ddplint.linter import allow_deep_trees, examine
from ddplint.settings import Settings

# Before hypothesis looks at the limit that the linter sets.
allow_deep_trees()

CI = os.environ.get("CI") == "true"
FIXTURES = Path(__file__).parents[1] / "fixtures"
PAGES = sorted(pages.FOLDER.glob("*.md"))
CASES = [case for page in PAGES for case in cases(page)]
CORPUS = os.environ.get("DDPLINT_CORPUS", "")
REPOSITORIES = sorted(path for path in Path(CORPUS).iterdir() if path.is_dir()) if CORPUS else []

generated = settings(
    deadline=None,
    derandomize=CI,
    database=None,
    # An example takes a tenth of a second: shrinking one does not find anything, and takes minutes.
    phases=[Phase.explicit, Phase.generate] if CI else [Phase.explicit, Phase.generate, Phase.shrink],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory: an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


# -- what holds for every repair ----------------------------------------------------------------------------------


@settings(generated, max_examples=40)
@given(scripts(), layouts())
def test_generated_files(script: Script, layout: Layout) -> None:
    holds({name: laid_out(text, layout) for name, text in script.files.items()})


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.code}-{case.name}")
def test_cases_of_the_rules_pages(case: Case) -> None:
    before = {name: text.encode() for name, text in case.files.items()}
    write(case.files, Path())
    if examine(sorted(before), ALL).check is not None:
        holds(before)


def units() -> dict[str, list[Path]]:
    """The fixtures: a folder with a train.py is one, every other script is one by itself."""
    found: dict[str, list[Path]] = {}
    for script in sorted(FIXTURES.rglob("*.py")):
        top = script.relative_to(FIXTURES).parts[0]
        alone = not (FIXTURES / top / "train.py").exists()
        if script.name != "conftest.py":
            found.setdefault(str(script.relative_to(FIXTURES)) if alone else top, []).append(script)
    return found


UNITS = units()
BROKEN = ("seed_script.py", "hangs/")
RIGHT = [name for name in UNITS if "broken" not in name and not name.startswith(BROKEN)]


@pytest.mark.parametrize("name", sorted(UNITS.keys() - set(RIGHT)))
def test_broken_fixtures(name: str) -> None:
    holds({path.relative_to(FIXTURES).as_posix(): path.read_bytes() for path in UNITS[name]})


@pytest.mark.parametrize("name", RIGHT)
def test_right_fixtures_stay_as_they_are(name: str) -> None:
    check = checked({path.relative_to(FIXTURES).as_posix(): path.read_bytes() for path in UNITS[name]})
    assert repair(check, unsafe=True).applied == ()


# What other people's files are warned of.
@pytest.mark.filterwarnings("ignore::SyntaxWarning", "ignore::DeprecationWarning")
@pytest.mark.skipif(not CORPUS, reason="DDPLINT_CORPUS names no folder of repositories")
@pytest.mark.parametrize("repository", REPOSITORIES, ids=lambda path: path.name)
def test_repositories(repository: Path) -> None:
    shutil.copytree(repository, "repository", ignore=shutil.ignore_patterns(".git"), symlinks=True)
    os.chdir("repository")
    check = examine([os.curdir], ALL).check
    if check is not None:
        holds({path: source.data for path, source in check.files.items()})


# -- through the command ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("flags", [["--fix"], ["--fix", "--unsafe-fixes"]], ids=["safe", "unsafe"])
@pytest.mark.parametrize(
    "layout",
    [PLAIN, Layout("\t", "\r\n", "'", True, True, False, False, "utf-8-sig", 50, 3)],
    ids=["plain", "strange"],
)
def test_command(flags: list[str], layout: Layout, folder: Path) -> None:
    """``--diff`` through ``patch -p1`` gives what ``--fix`` writes, and a second ``--fix`` changes nothing."""
    script = (FIXTURES / "seed_script.py").read_text(encoding="utf-8")
    data = laid_out(script, layout)
    for name in ("fixed", "patched"):
        (folder / name).mkdir()
        (folder / name / "train.py").write_bytes(data)
    expected = after({"train.py": data}, repair(checked({"train.py": data}), unsafe=len(flags) > 1))
    (folder / "train.py").unlink()
    command(folder / "fixed", *flags)
    assert (folder / "fixed" / "train.py").read_bytes() == expected["train.py"]
    difference = command(folder / "patched", *[flag for flag in flags if flag != "--fix"], "--diff")
    assert difference.returncode == 1
    assert (folder / "patched" / "train.py").read_bytes() == data
    patch = ["patch", "-p1", "--silent", "--binary"]
    subprocess.run(patch, input=difference.stdout, cwd=folder / "patched", check=True)
    assert (folder / "patched" / "train.py").read_bytes() == expected["train.py"]
    command(folder / "fixed", *flags)
    assert (folder / "fixed" / "train.py").read_bytes() == expected["train.py"]


def command(folder: Path, *flags: str) -> subprocess.CompletedProcess[bytes]:
    words = [sys.executable, "-m", "ddplint", *flags, "train.py"]
    done = subprocess.run(words, cwd=folder, capture_output=True)
    assert done.returncode in (0, 1), done.stderr
    return done


# -- repaired scripts run -----------------------------------------------------------------------------------------

# Whether there are GPUs enough is another question.
RANKS = Settings(ignore=("DDP105",))


def judged(script: Script) -> str:
    """Repair a script, run it before and after as whole jobs, and say how that went."""
    check = checked({name: text.encode() for name, text in script.files.items()}, RANKS)
    outcome = repair(check, unsafe=True)
    repaired = {**script.files, **{path: decoded(new.data) for path, (_, new) in outcome.changed.items()}}
    told = "".join(f"--- {name}\n{text}" for name, text in repaired.items())
    each = script.each or 2
    # On one node nothing is any different.
    old_launcher = "launch-1" if script.launcher == "launch" else script.launcher
    before = said(script.files, old_launcher, 1, each, {})
    if before is not None:
        assert said(repaired, script.launcher, 1, each, {}) == before, told
    if any(not finding.suppressed for finding in outcome.check.findings):
        return "not repaired"
    for nnodes, nproc in ((1, 2), (2, 2), (3, script.each or 4)):
        for launcher in {"launch": ("launch", "torchrun")}.get(script.launcher, (script.launcher,)):
            processes = run(repaired, launcher, nnodes, nproc, script.options)
            assert wrong(processes, nnodes, nproc) == [], told
    return "right"


@settings(generated, max_examples=250)
@given(spawned())
def _spawned(counted: Counter[str], script: Script) -> None:
    counted[judged(script)] += 1


@settings(generated, max_examples=150)
@given(launched())
def _launched(counted: Counter[str], script: Script) -> None:
    counted[judged(script)] += 1


def test_repaired_scripts_that_start_their_processes() -> None:
    counted: Counter[str] = Counter()
    _spawned(counted)
    assert counted["right"] > 0.6 * counted.total(), counted


def test_repaired_scripts_that_a_launcher_starts() -> None:
    counted: Counter[str] = Counter()
    _launched(counted)
    assert counted["right"] > 0.6 * counted.total(), counted


_STARTED = """\
import argparse
import os

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch.utils.data.distributed import DistributedSampler


class Trainer:
    def __init__(self, rank, world_size):
        self.rank = rank
        self.world_size = world_size
        self.setup()

    def setup(self):
        os.environ.setdefault("MASTER_ADDR", "localhost")
        os.environ.setdefault("MASTER_PORT", "29500")
        dist.init_process_group("gloo", rank=self.rank, world_size=self.world_size)

    def train(self):
        {device}


def work({parameters}):
    {above}
    Trainer(rank, world_size).train()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--nodes", type=int, default=1)
    parser.add_argument("--node_rank", type=int, default=0)
    args = parser.parse_args()
    world_size = torch.cuda.device_count()
    mp.spawn(work, args=(world_size, args), nprocs=world_size)
"""


@pytest.mark.parametrize(
    ("device", "parameters", "above"),
    [
        ("torch.cuda.set_device(self.rank)", "rank, world_size, args", "torch.manual_seed(99 + rank)"),
        (
            "pass",
            "gpu, world_size, args",
            "rank = args.node_rank * world_size + gpu\n    DistributedSampler([], world_size, rank)",
        ),
    ],
    ids=["rank", "world-size"],
)
def test_uses_above_the_repaired_function(device: str, parameters: str, above: str) -> None:
    """The function above has its uses before there is a process group that could be asked."""
    text = _STARTED.format(device=device, parameters=parameters, above=above)
    script = Script(text, "", "hand", options={"nnodes": "--nodes", "node_rank": "--node_rank"})
    # What the function above reads before the process group starts cannot be asked for: there is no half repair.
    assert judged(script) == "not repaired"
