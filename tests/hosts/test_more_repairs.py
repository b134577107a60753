"""What the table of cases does not show: too few GPUs, two jobs on one host, and options that somebody still types."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from launch import Outcome, launch
from launchers import Job, by_hand, torchrun_static
from network import SCRIPTS, Network
from repair import repair
from training import assert_own_gpus, assert_trained

pytestmark = [pytest.mark.torch, pytest.mark.hosts]


def copy(script: str, folder: Path) -> Path:
    target = folder / "train.py"
    shutil.copy(SCRIPTS / f"{script}.py", target)
    return target


def test_too_few_gpus_are_said_before_anything_starts(hosts: Network, tmp_path: Path) -> None:
    repaired = repair(copy("unchecked_gpu_count", tmp_path), "repaired")
    outcome = launch(by_hand(Job(hosts, repaired, 2, environment={"STANDIN_GPUS": "1"})), tmp_path / "run")
    assert outcome.statuses == (1, 1)
    assert outcome.events == ()
    for host in outcome.output.split("--- node")[1:]:
        last = host.strip().splitlines()[-1]
        assert "2" in last
        assert "1" in last
        assert "Error: CUDA" not in host


def test_two_jobs_on_one_host(hosts: Network, reference: Outcome, tmp_path: Path) -> None:
    """As written the second job finds the port taken, or joins the first; repaired each has its own."""
    script = copy("typical", tmp_path)
    jobs = [by_hand(Job(hosts, script, 1))[0] for _ in range(2)]
    together = launch(jobs, tmp_path / "written", claims=4)
    assert not together.succeeded or len({entry["digest"] for entry in together.all("report")}) > 1
    repaired = repair(script, "repaired")
    jobs = [by_hand(Job(hosts, repaired, 1))[0] for _ in range(2)]
    outcome = launch(jobs, tmp_path / "repaired-jobs")
    assert outcome.succeeded
    assert outcome.ranks("report") == [("node0", 0, 2), ("node0", 0, 2), ("node0", 1, 2), ("node0", 1, 2)]
    assert len({entry["digest"] for entry in outcome.all("report")}) == 1


def test_a_node_rank_can_still_be_typed(hosts: Network, reference: Outcome, tmp_path: Path) -> None:
    repaired = repair(copy("manual_node_rank", tmp_path), "repaired")
    commands = [
        *by_hand(Job(hosts, repaired, 1, ("--node_rank", "0"), {"NNODES": "2", "MASTER_PORT": "19000"})),
        *by_hand(Job(hosts, repaired, 2, ("--node_rank", "1"), {"NNODES": "2", "MASTER_PORT": "19000"}))[1:],
    ]
    for command in commands:
        del command.environment["NODE_RANK"]
    outcome = launch(commands, tmp_path / "typed")
    assert_trained(outcome, reference, nnodes=2)
    assert_own_gpus(outcome)


@pytest.mark.parametrize("spelling", ["--local_rank", "--local-rank"])
def test_a_local_rank_can_still_be_passed(spelling: str, hosts: Network, tmp_path: Path) -> None:
    """``torch.distributed.launch`` passes it, with a dash since torch 2.0."""
    repaired = repair(copy("local_rank_argument", tmp_path), "repaired")
    environment = {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0"}
    outcome = launch(by_hand(Job(hosts, repaired, 1, (f"{spelling}=1",), environment)), tmp_path / "passed")
    assert outcome.succeeded, outcome.output
    assert [entry["index"] for entry in outcome.all("device")] == [1]


def test_repaired_url_serves_torchrun_too(hosts: Network, reference: Outcome, tmp_path: Path) -> None:
    """A script that torchrun starts and that meets at a URL finds torchrun's own store there."""
    script = tmp_path / "train.py"
    text = (SCRIPTS / "device_from_global_rank.py").read_text(encoding="utf-8")
    url = 'dist.init_process_group("nccl", init_method="tcp://localhost:29511", rank=rank, world_size=world_size)'
    old = '    dist.init_process_group("nccl")\n    rank = dist.get_rank()\n    torch.cuda.set_device(rank)\n'
    new = f"""    rank = int(os.environ["RANK"])
    world_size = int(os.environ["WORLD_SIZE"])
    {url}
    torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
"""
    assert old in text
    text = text.replace(old, new).replace("import standin", "import os\n\nimport standin")
    script.write_text(
        text.replace("(rank)", '(int(os.environ["LOCAL_RANK"]))').replace("[rank]", "None"), encoding="utf-8"
    )
    outcome = launch(torchrun_static(Job(hosts, repair(script, "repaired"), 2)), tmp_path / "run")
    assert_trained(outcome, reference, nnodes=2)
