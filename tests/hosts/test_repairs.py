"""Every fix of 1xx, proven by running: as written the script goes wrong on two hosts, repaired it trains on them.

Two hosts of two processes each are namespaces of this machine (``network.py``). The processes, launchers, rendezvous
and collectives are real; the GPUs are not (``scripts/standin.py``). The scripts are forked from a process that has
imported torch, see ``machine.py``; ``test_real_interpreters.py`` runs some without that.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pytest
from cases import CASES, Case
from launch import Outcome, launch
from launchers import Job, mpirun
from network import SCRIPTS, Network
from repair import findings, repair
from training import assert_own_gpus, assert_trained, same_result

from ddplint.rules import registry

pytestmark = [pytest.mark.torch, pytest.mark.hosts]


def test_every_fix_has_a_case() -> None:
    fixable = {rule.code for rule in registry().values() if rule.code.startswith("DDP1") and rule.fix}
    assert {case.code for case in CASES} == fixable


@dataclass(frozen=True)
class Trial:
    """A case, a copy of its script, and where it is run."""

    case: Case
    script: Path
    hosts: Network
    environment: dict[str, str]

    def run(self, script: Path, nnodes: int, fails: bool = False) -> Outcome:
        lacking = self.case.lacking if fails else {}
        job = Job(self.hosts, script, nnodes, environment=self.environment | lacking)
        launcher = self.case.alone if nnodes == 1 and self.case.alone else self.case.launcher
        claims = self.case.processes * nnodes if fails else 0
        return launch(launcher(job), script.parent / f"{nnodes}-hosts", claims)


@pytest.fixture(params=CASES, ids=[case.script for case in CASES])
def trial(
    request: pytest.FixtureRequest, hosts: Network, tmp_path: Path, unavailable: Callable[[str], NoReturn]
) -> Trial:
    case: Case = request.param
    script = tmp_path / "train.py"
    if (SCRIPTS / case.script).is_dir():
        shutil.copytree(SCRIPTS / case.script, tmp_path, dirs_exist_ok=True)
    else:
        shutil.copy(SCRIPTS / f"{case.script}.py", script)
    environment = request.getfixturevalue("slurm") if case.slurm else {}
    if case.launcher is mpirun and shutil.which("mpirun.openmpi") is None:
        unavailable("Open MPI is not installed (Debian: openmpi-bin)")
    return Trial(case, script, hosts, environment)


def test_as_written_it_goes_wrong_on_two_hosts(trial: Trial) -> None:
    assert trial.case.code in {finding["code"] for finding in findings(trial.script)}
    outcome = trial.run(trial.script, 2, fails=True)
    trial.case.fails(outcome)


def test_repaired_it_trains_on_two_hosts(trial: Trial, reference: Outcome) -> None:
    repaired = repair(trial.script, "repaired", *(["--unsafe-fixes"] if trial.case.unsafe else []))
    assert findings(repaired) == []
    outcome = trial.run(repaired, 2)
    assert_trained(outcome, reference, nnodes=2)
    assert_own_gpus(outcome)


def test_on_one_host_it_trains_as_before(trial: Trial, reference: Outcome) -> None:
    repaired = trial.run(repair(trial.script, "repaired", "--unsafe-fixes"), 1)
    assert_trained(repaired, reference, nnodes=1)
    assert_own_gpus(repaired)
    written = trial.run(trial.script, 1, fails=trial.case.fails_alone is not None)
    if trial.case.fails_alone is None:
        assert same_result(written, repaired)
    else:
        trial.case.fails_alone(written)


def test_safe_fixes_alone_change_nothing_on_one_host(trial: Trial, reference: Outcome) -> None:
    case = trial.case
    safe = repair(trial.script, "safe")
    if case.fails_alone and not case.unsafe:
        # There was no result that could change.
        assert_trained(trial.run(safe, 1), reference, nnodes=1)
    else:
        fails = case.fails_alone is not None
        assert same_result(trial.run(trial.script, 1, fails), trial.run(safe, 1, fails))
