"""Slurm on the simulated machines: its controller, and a daemon on each node. No systemd, no cgroups.

Each node has GPUs that are copies of /dev/null: Slurm shares them out like real ones.
"""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from launch import Command, started
from network import Machine, Network, Refused, base_environment

START = 30.0
# On each node. Slurm only looks whether the files of these devices are there, and hands out their numbers.
GPUS = 4
NULL_DEVICE = os.makedev(1, 3)

CONFIGURATION = """
ClusterName=ddpl
SlurmctldHost=ctl(10.77.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
SlurmctldPort=16817
SlurmdPort=16818
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SchedulerType=sched/builtin
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
ReturnToService=2
InactiveLimit=0
KillWait=1
Waittime=0
GresTypes=gpu
NodeName=node[0-1] NodeAddr=10.77.0.[10-11] CPUs=8 RealMemory=4000 Gres=gpu:{gpus} State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=00:10:00 State=UP
"""


@contextmanager
def cluster(network: Network) -> Iterator[dict[str, str]]:
    """A cluster of two idle nodes; gives the environment with which srun finds it. Raises Refused without Slurm."""
    for tool in ("munged", "slurmctld", "slurmd", "srun"):
        if shutil.which(tool) is None:
            raise Refused(f"{tool} is not installed (Debian: slurm-wlm, munge)")
    folder = network.folder / "slurm"
    for name in ("state", "spool/node0", "spool/node1", "log", "dev"):
        (folder / name).mkdir(parents=True)
    make_devices(folder / "dev")
    configuration = folder / "slurm.conf"
    configuration.write_text(CONFIGURATION.format(folder=folder, gpus=GPUS), encoding="utf-8")
    devices = f"NodeName=node[0-1] Name=gpu File={folder}/dev/nvidia[0-{GPUS - 1}]\n"
    (folder / "gres.conf").write_text(devices, encoding="utf-8")
    # Inside a namespace slurmd looks for cgroups that are not there unless it is told the old kind.
    (folder / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\n", encoding="utf-8")
    key = folder / "munge.key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o400)
    environment = {"SLURM_CONF": str(configuration)}
    munged = [f"--{what}={folder}/munge.{what.removesuffix('-file')}" for what in ("key-file", "pid-file", "seed-file")]
    daemons: list[tuple[Machine, tuple[str, ...]]] = [
        (
            network.controller,
            (
                "munged",
                "--foreground",
                "--force",
                f"--socket={folder}/munge.socket",
                f"--log-file={folder}/munge.log",
                *munged,
            ),
        ),
        (network.controller, ("slurmctld", "-D", "-c")),
        *((node, ("slurmd", "-D")) for node in network.nodes),
    ]
    with ExitStack() as stack:
        for number, (machine, words) in enumerate(daemons):
            command = Command(machine, words, environment, fork=False, contain=False)
            stack.enter_context(started(command, number, folder / "log"))
            if words[0] == "munged":
                wait_for(folder / "munge.socket")
        wait_until_idle(network, environment, folder)
        yield environment


def make_devices(folder: Path) -> None:
    for number in range(GPUS):
        try:
            os.mknod(folder / f"nvidia{number}", 0o666 | stat.S_IFCHR, NULL_DEVICE)
        except PermissionError as error:
            raise Refused(f"mknod: {error.strerror}") from error


def wait_for(path: Path) -> None:
    end = time.monotonic() + START
    while not path.exists():
        if time.monotonic() > end:
            raise RuntimeError(f"no {path} after {START:.0f} s")
        time.sleep(0.02)


def wait_until_idle(network: Network, environment: dict[str, str], folder: Path) -> None:
    sinfo = ["nsenter", "--target", str(network.controller.pid), "--net", "--uts", "--mount"]
    sinfo += ["sinfo", "--noheader", "--states=idle", "--format=%D"]
    end = time.monotonic() + START
    while True:
        said = subprocess.run(sinfo, env=base_environment() | environment, capture_output=True, text=True, timeout=30)
        if said.stdout.strip() == "2":
            return
        if time.monotonic() > end:
            logs = "".join(path.read_text(encoding="utf-8") for path in sorted((folder / "log").rglob("output-*")))
            raise RuntimeError(f"Slurm's nodes are not idle: {said.stdout}{said.stderr}\n{logs}")
        time.sleep(0.05)
