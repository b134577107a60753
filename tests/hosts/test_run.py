"""``ddplint run``: broken scripts, unmodified, on two hosts. They train, and what was overruled is said."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest
from launch import Outcome, launch
from launchers import Job, Launcher, by_hand, srun, srun_one_task, torchrun_static
from network import HERE, SCRIPTS, Network
from training import assert_own_gpus, assert_trained

pytestmark = [pytest.mark.torch, pytest.mark.hosts]

FIXTURES = HERE.parent / "fixtures"
MAIN = HERE.parents[1] / "ddplint" / "__main__.py"


@dataclass(frozen=True)
class Broken:
    """A script that goes wrong on two hosts, its arguments, and what ``ddplint run`` says of it."""

    script: str
    said: tuple[tuple[str, str], ...]
    arguments: tuple[str, ...] = ("--epochs", "1")

    @property
    def path(self) -> Path:
        return FIXTURES / self.script / "broken.py"


# Each pair: the line of the script, as text that stands on it, and the rule.
BROKEN = (
    Broken("global_rank", (("mp.spawn", ""), ("init_process_group", "DDP101"))),
    Broken("localhost_master_addr", (("MASTER_ADDR", "DDP103"), ('["WORLD_SIZE"]', "DDP102"))),
    Broken("hardcoded_world_size", (("mp.spawn", ""), ("init_process_group", "DDP101"))),
    Broken("device_from_global_rank", (("set_device(rank)", "DDP109"),)),
    Broken("local_rank_argument", (("parse_args", "DDP112"),)),
)


def under_run(script: Path, *arguments: str) -> tuple[str, ...]:
    return ("run", str(script), *arguments)


def assert_one_model(outcome: Outcome) -> None:
    """Four processes in one group, on a GPU each, with the same parameters in the end."""
    assert outcome.succeeded, outcome.output
    wanted = [("node0", 0, 4), ("node0", 1, 4), ("node1", 2, 4), ("node1", 3, 4)]
    assert outcome.ranks("joined") == outcome.ranks("report") == wanted
    assert len({report["digest"] for report in outcome.all("report")}) == 1
    assert_own_gpus(outcome)


def corrections(outcome: Outcome) -> list[tuple[str, str]]:
    """The lines that were overruled, as they stand in the script, and the rules."""
    found = []
    for path, line, rule in re.findall(
        r"ddplint run: (?:rank \d+: )?(\S+?):(\d+): .*?(?:\[(DDP\d+)\])?$", outcome.output, re.M
    ):
        text = Path(path).read_text(encoding="utf-8").splitlines()[int(line) - 1]
        found.append((text.strip(), rule))
    return found


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.script)
def test_a_broken_script_trains(broken: Broken, hosts: Network, tmp_path: Path) -> None:
    before = broken.path.read_bytes()
    job = Job(hosts, MAIN, 2, under_run(broken.path, *broken.arguments), {"STANDIN_PRELOAD": "1"})
    outcome = launch(torchrun_static(job), tmp_path / "run")
    assert_one_model(outcome)
    said = corrections(outcome)
    for text, rule in broken.said:
        matching = [one for one in said if text in one[0] and one[1] == rule]
        assert len(matching) == 1, f"{text!r} {rule}: said of {said}"
    assert broken.path.read_bytes() == before


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.script)
def test_no_correct_refuses_it(broken: Broken, hosts: Network, tmp_path: Path) -> None:
    """Checked only: nobody trains, and every process says which line is at fault, or that the group cannot form."""
    options = ("run", "--no-correct", str(broken.path), *broken.arguments)
    job = Job(hosts, MAIN, 2, options, {"STANDIN_PRELOAD": "1", "DDPLINT_ROLLCALL_TIMEOUT": "10"})
    outcome = launch(torchrun_static(job), tmp_path / "run")
    assert not outcome.succeeded
    assert len(outcome.ranks("report")) < 4
    # The group is formed rightly before a GPU is chosen wrongly.
    late = broken.script == "device_from_global_rank"
    assert ("invalid device ordinal" if late else "the process group is not started") in outcome.output


def test_a_right_script_is_left_alone(hosts: Network, reference: Outcome, tmp_path: Path) -> None:
    job = Job(hosts, MAIN, 2, under_run(SCRIPTS / "hardcoded_master_port.py"))
    outcome = launch(torchrun_static(job), tmp_path / "run")
    assert_trained(outcome, reference, 2)


def test_each_rank_gets_data_of_its_own(hosts: Network, reference: Outcome, tmp_path: Path) -> None:
    """The sampler is given the same wrong rank as the group; with it both hosts would see the same data."""
    job = Job(hosts, MAIN, 2, under_run(SCRIPTS / "global_rank_torchrun.py"))
    outcome = launch(torchrun_static(job), tmp_path / "run")
    # Its own rank, which is 0 on both hosts, decides who writes the model; that is not corrected.
    assert_trained(outcome, reference, 2, writers=2)
    # After the start the first process that sees it says it: one of the two on the second host.
    assert re.search(r"DistributedSampler is given rank=(0, and 2|1, and 3) counts \[DDP101\]", outcome.output)


@pytest.mark.parametrize("launcher", [srun_one_task, srun])
def test_mp_spawn_in_a_slurm_step(launcher: Launcher, hosts: Network, slurm: dict[str, str], tmp_path: Path) -> None:
    """One task a node: it spawns, and the spawned processes are told their rank. One a rank: nothing is spawned."""
    job = Job(hosts, MAIN, 2, under_run(SCRIPTS / "typical.py"), slurm)
    outcome = launch(launcher(job), tmp_path / "run")
    assert_one_model(outcome)


def test_by_hand_one_process_a_node(hosts: Network, tmp_path: Path) -> None:
    """NNODES, NODE_RANK and MASTER_ADDR are exported on each host; torchrun is started by ddplint."""
    script = str(SCRIPTS / "typical.py")
    job = Job(hosts, MAIN, 2, ("run", "--nproc-per-node", "2", script), fork=False)
    outcome = launch(by_hand(job), tmp_path / "run", deadline=180)
    assert_one_model(outcome)
    assert "ddplint run: torchrun --nnodes=2 --nproc-per-node=2 --node-rank=0 --master-addr=node0" in outcome.output
