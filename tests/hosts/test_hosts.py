"""The two hosts themselves: what the proofs rest on."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from launch import Command, Outcome, launch
from launchers import Job, srun
from network import SCRIPTS, Machine, Network

pytestmark = [pytest.mark.torch, pytest.mark.hosts]


def sh(machine: Machine, text: str) -> Command:
    return Command(machine, ("sh", "-c", text), fork=False)


def test_each_host_has_its_own_name_and_address(hosts: Network, tmp_path: Path) -> None:
    commands = [sh(node, "hostname; getent hosts $(hostname)") for node in hosts.nodes]
    outcome = launch(commands, tmp_path / "names")
    assert outcome.succeeded
    assert outcome.output.split() == [
        *("--- node0, status 0 node0 10.77.0.10 node0".split()),
        *("--- node1, status 0 node1 10.77.0.11 node1".split()),
    ]


SERVE = "import socket; s = socket.create_server(('', 5000)); s.settimeout(30); s.accept()"
CALL = """
import socket, time
for _ in range(50):
    try:
        socket.create_connection(("{host}", 5000), timeout=5)
    except ConnectionRefusedError:
        time.sleep(0.02)
    else:
        raise SystemExit("met")
raise SystemExit("refused")
"""


@pytest.mark.parametrize(("host", "said"), [("node0", "met"), ("localhost", "refused")])
def test_localhost_is_another_one_on_each_host(host: str, said: str, hosts: Network, tmp_path: Path) -> None:
    first, second = hosts.nodes
    (tmp_path / "serve.py").write_text(SERVE, encoding="utf-8")
    (tmp_path / "call.py").write_text(CALL.format(host=host), encoding="utf-8")
    commands = [Command(first, (str(tmp_path / "serve.py"),)), Command(second, (str(tmp_path / "call.py"),))]
    outcome = launch(commands, tmp_path / "meeting", deadline=5)
    assert outcome.output.rstrip().endswith(said)


def test_nothing_of_this_environment_gets_in(hosts: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "SLURM_PROCID", "GLOO_SOCKET_IFNAME"):
        monkeypatch.setenv(name, "1")
    outcome = launch([sh(hosts.nodes[0], "env")], tmp_path / "environment")
    names = {line.partition("=")[0] for line in outcome.output.splitlines()[1:]}
    own = {"PATH", "HOME", "PYTHONPATH", "OMP_NUM_THREADS", "TMPDIR", "STANDIN_RECORDS", "STANDIN_FORK"}
    assert names - {"PWD", "OLDPWD", "SHLVL", "_"} == own


def test_what_hangs_is_killed_with_all_it_started(hosts: Network, tmp_path: Path) -> None:
    # One of them leads a session of its own, as torchrun's workers do.
    text = f"setsid sleep 987 & sleep 987 & echo started > {tmp_path}/started; wait"
    outcome = launch([sh(hosts.nodes[0], text)], tmp_path / "hang", deadline=2)
    assert (tmp_path / "started").exists()
    assert outcome.statuses == (None,)
    assert outcome.hung
    assert not [pid for pid in os.listdir("/proc") if pid.isdigit() and words(pid)[:2] == ["sleep", "987"]]


def words(pid: str) -> list[str]:
    try:
        return Path("/proc", pid, "cmdline").read_text(encoding="utf-8").split("\0")
    except OSError:
        return []


def test_a_step_that_hangs_is_ended_on_the_nodes(hosts: Network, slurm: dict[str, str], tmp_path: Path) -> None:
    job = Job(hosts, SCRIPTS / "scheduler_variable_misuse.py", 2, environment=slurm)
    assert launch(srun(job), tmp_path / "hang", claims=4).hung
    # Slurm kills the tasks a second after it has asked them to end.
    text = "for _ in $(seq 100); do [ -z $(squeue --noheader --format=%i) ] && exit; sleep 0.1; done; exit 1"
    command = Command(hosts.controller, ("sh", "-c", text), slurm, fork=False)
    assert launch([command], tmp_path / "queue").succeeded


def test_a_script_is_the_main_program(hosts: Network, tmp_path: Path) -> None:
    script = tmp_path / "main.py"
    script.write_text(
        "import os, sys\nprint(__name__, sys.argv[1:], os.getcwd(), os.getpid() == os.getpgrp())\nsys.exit(3)\n",
        encoding="utf-8",
    )
    outcome: Outcome = launch([Command(hosts.nodes[0], (str(script), "--epochs", "2"))], tmp_path / "main")
    assert outcome.statuses == (3,)
    assert outcome.output.splitlines()[1] == f"__main__ ['--epochs', '2'] {tmp_path}/main/node0 True"
