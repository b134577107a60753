"""Launches in which nothing is forked: every process is an interpreter that imports torch itself, as on a cluster.

``test_repairs.py`` forks, to save that time. Here each way of starting is shown once without; what comes out is the
same to the last bit.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from launch import SLOW_DEADLINE, Outcome, launch
from launchers import Job, Launcher, by_hand, torchrun_c10d, torchrun_static
from network import SCRIPTS, Network
from repair import findings, repair
from training import assert_own_gpus, assert_trained, result

pytestmark = [pytest.mark.torch, pytest.mark.hosts]


@pytest.mark.parametrize(
    ("script", "launcher"),
    [
        pytest.param("global_rank", by_hand, id="spawn"),
        pytest.param("global_rank_torchrun", torchrun_static, id="torchrun-static"),
        pytest.param("device_from_global_rank", torchrun_c10d, id="torchrun-c10d"),
    ],
)
def test_repaired_script_trains(
    script: str, launcher: Launcher, hosts: Network, reference: Outcome, tmp_path: Path
) -> None:
    copy = tmp_path / "train.py"
    shutil.copy(SCRIPTS / f"{script}.py", copy)
    repaired = repair(copy, "repaired", "--unsafe-fixes")
    assert findings(repaired) == []
    real = launch(launcher(Job(hosts, repaired, 2, fork=False)), tmp_path / "real", deadline=SLOW_DEADLINE)
    assert_trained(real, reference, nnodes=2)
    assert_own_gpus(real)
    forked = launch(launcher(Job(hosts, repaired, 2)), tmp_path / "forked")
    assert result(forked) == result(real)
