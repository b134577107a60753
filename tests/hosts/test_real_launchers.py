"""``ddplint run`` and ``ddplint preflight`` under the launchers themselves: torchrun, Slurm, Open MPI and MPICH.

The script (``scripts/tiny_ddp.py``) asks torch for a group and knows of no launcher. Its processes are forked, as in
``test_repairs.py``; where ``fork`` is False, and wherever torchrun is started by ddplint, they are interpreters.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pytest
from launch import DEADLINE, SLOW_DEADLINE, Outcome, launch
from launchers import (
    DDPLINT,
    Job,
    Launcher,
    ddplint_torchrun,
    mpich_alone,
    mpich_meeting,
    mpirun_alone,
    mpirun_meeting,
    sbatch_srun,
    sbatch_torchrun,
    srun_options,
    srun_wrapped,
    torchrun_c10d,
    torchrun_standalone,
    torchrun_static,
)
from network import SCRIPTS, Network

pytestmark = [pytest.mark.torch, pytest.mark.hosts]

# The host of each rank, and its local rank there.
BLOCK = (("node0", 0), ("node0", 1), ("node1", 0), ("node1", 1))
CYCLIC = (("node0", 0), ("node1", 0), ("node0", 1), ("node1", 1))
UNEVEN = BLOCK[:3]
ONE_HOST = BLOCK[:2]


@dataclass(frozen=True)
class Case:
    """A way to start a script, and where the launcher puts its ranks."""

    name: str
    launcher: Launcher
    places: tuple[tuple[str, int], ...] = BLOCK
    # Where they meet: what the launcher says, or what ddplint has found where nobody says it.
    master: str = "node0"
    fork: bool = True
    # What must be installed, besides torch.
    needs: tuple[str, ...] = ()

    @property
    def nnodes(self) -> int:
        return len({host for host, _ in self.places})


SLURM = ("slurmctld",)
OPENMPI = ("mpirun.openmpi",)
MPICH = ("mpirun.mpich",)

CASES = (
    Case("torchrun-one-host", torchrun_standalone, ONE_HOST),
    Case("torchrun-static", torchrun_static),
    Case("torchrun-c10d", torchrun_c10d),
    Case("ddplint-starts-torchrun", ddplint_torchrun, fork=False),
    Case("srun-block", srun_options(), needs=SLURM),
    Case("srun-real-interpreters", srun_options(), fork=False, needs=SLURM),
    Case("srun-cyclic", srun_options("--ntasks-per-node=2", "--distribution=cyclic"), CYCLIC, needs=SLURM),
    Case("srun-uneven", srun_options("--ntasks=3"), UNEVEN, needs=SLURM),
    Case("sbatch-srun", sbatch_srun, needs=SLURM),
    Case("sbatch-srun-torchrun", sbatch_torchrun, needs=SLURM),
    Case("openmpi-one-host", mpirun_alone, ONE_HOST, master="localhost", needs=OPENMPI),
    Case("openmpi-x", mpirun_meeting, needs=OPENMPI),
    Case("openmpi-no-x", mpirun_alone, master="10.77.0.10", needs=OPENMPI),
    Case("mpich-one-host", mpich_alone, ONE_HOST, master="localhost", needs=MPICH),
    Case("mpich-genv", mpich_meeting, needs=MPICH),
    # Rank 0 is found through the process manager, to which only what it has started itself can speak.
    Case("mpich-no-genv", mpich_alone, master="10.77.0.10", fork=False, needs=MPICH),
)
PACKAGES = {"slurmctld": "slurm-wlm", "mpirun.openmpi": "openmpi-bin", "mpirun.mpich": "mpich"}


@dataclass(frozen=True)
class Place:
    """Two hosts, a folder for the launch, and what every process has in its environment."""

    hosts: Network
    folder: Path
    environment: dict[str, str]

    def run(self, case: Case, *words: str, more: dict[str, str] | None = None) -> Outcome:
        job = Job(self.hosts, DDPLINT, case.nnodes, words, self.environment | (more or {}), case.fork)
        return launch(case.launcher(job), self.folder, deadline=DEADLINE if case.fork else SLOW_DEADLINE)

    def train(self, case: Case, more: dict[str, str] | None = None) -> Outcome:
        # Not through the environment: mpirun passes none of it on.
        return self.run(case, "run", str(SCRIPTS / "tiny_ddp.py"), str(self.folder / "records"), more=more)


@pytest.fixture
def place(
    request: pytest.FixtureRequest, hosts: Network, tmp_path: Path, unavailable: Callable[[str], NoReturn]
) -> Callable[[Case], Place]:
    def find(case: Case) -> Place:
        environment = request.getfixturevalue("slurm") if case.needs == SLURM else {}
        for tool in case.needs:
            if shutil.which(tool) is None:
                unavailable(f"{tool} is not installed (Debian: {PACKAGES[tool]})")
        return Place(hosts, tmp_path / "launch", environment)

    return find


def assert_trained(outcome: Outcome, case: Case) -> None:
    """All ranks are where the launcher has put them, and have trained one model together."""
    assert outcome.succeeded, outcome.output
    reports = sorted(outcome.all("report"), key=lambda report: report["rank"])
    seen = [(report["rank"], report["world_size"], report["host"], report["local_rank"]) for report in reports]
    assert seen == [(rank, len(case.places), *place) for rank, place in enumerate(case.places)], outcome.output
    assert len({report["digest"] for report in reports}) == 1, "the ranks ended with different parameters"
    assert {report["master"] for report in reports} == {case.master}


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_run_trains_one_model(case: Case, place: Callable[[Case], Place]) -> None:
    assert_trained(place(case).train(case), case)


def test_a_task_that_sees_one_gpu_uses_it(place: Callable[[Case], Place]) -> None:
    """``srun --gpus-per-task=1``: every task has another GPU, and for each it is number 0."""
    case = Case("gpus", srun_options("--ntasks-per-node=2", "--gpus-per-task=1"), needs=SLURM)
    # The stand-in is imported before ddplint, so that both take it for CUDA.
    outcome = place(case).train(case, more={"STANDIN_PRELOAD": "1", "STANDIN_GPUS": "1"})
    assert_trained(outcome, case)
    visible = [(report["host"], report["visible"]) for report in outcome.all("report")]
    assert sorted(visible) == [("node0", "0"), ("node0", "1"), ("node1", "0"), ("node1", "1")]
    chosen, used = outcome.all("device"), outcome.all("tensor")
    assert len({(entry["host"], entry["pid"]) for entry in chosen}) == len(used) == 4
    assert {entry["index"] for entry in (*chosen, *used)} == {0}
    # The script asks for cuda:LOCAL_RANK, and is told once that this is wrong for local rank 1.
    assert outcome.output.count("DDP109") == 1, outcome.output


PREFLIGHT = (
    Case("torchrun-one-host", torchrun_standalone, ONE_HOST),
    Case("srun", srun_options(), needs=SLURM),
)


@pytest.mark.parametrize("case", PREFLIGHT, ids=[case.name for case in PREFLIGHT])
def test_preflight_shows_who_is_there(case: Case, place: Callable[[Case], Place]) -> None:
    outcome = place(case).run(case, "preflight")
    assert outcome.succeeded, outcome.output
    # rank, local rank, node, host: once, by rank 0.
    rows = re.findall(r"^ *(\d+) +(\d+) +(\d+) +(node\d)\b", outcome.output, re.MULTILINE)
    nodes = {"node0": "0", "node1": "1"}
    assert rows == [(str(rank), str(local), nodes[host], host) for rank, (host, local) in enumerate(case.places)]
    size = len(case.places)
    for rank, (host, _) in enumerate(case.places):
        assert f"ddplint preflight: rank {rank} of {size} on {host}: all {size} are there\n" in outcome.output


@pytest.mark.parametrize(
    ("wrapper", "speakers", "culprit"),
    [
        # One task takes itself for another; the last one never comes.
        pytest.param("[ $SLURM_PROCID = 3 ] && export SLURM_PROCID=2", 4, r"rank 2 .*node1 .*pid \d+", id="twice"),
        pytest.param("[ $SLURM_PROCID = 3 ] && exit 0", 3, r"rank 3 ", id="missing"),
    ],
)
def test_preflight_names_the_culprit(wrapper: str, speakers: int, culprit: str, place: Callable[[Case], Place]) -> None:
    case = Case("srun", srun_wrapped(wrapper), needs=SLURM)
    outcome = place(case).run(case, "preflight", more={"DDPLINT_ROLLCALL_TIMEOUT": "3"})
    assert outcome.statuses == (1,), outcome.output
    said = outcome.output.split("ddplint preflight: ")[1:]
    assert len(said) == speakers, outcome.output
    for text in said:
        assert re.search(culprit, text), text
