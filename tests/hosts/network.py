"""Two machines and a controller out of namespaces, joined by a bridge. Nothing of it is visible from outside.

Each machine has its own network, host name, /etc/hosts, mounts and processes. Disks and the kernel are shared. The
namespaces have no names and no files that could outlive them: they last as long as their first process
(``machine.py``), and that one as long as its standard input, which the tests hold. If they are killed, all of it goes.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
SCRIPTS = HERE / "scripts"
NODES = ("node0", "node1")
CONTROLLER = "ctl"
ADDRESSES = {CONTROLLER: "10.77.0.1", "node0": "10.77.0.10", "node1": "10.77.0.11"}
# Long, because CI's disk may be cold; torch is imported in this time.
START = 120.0

NAMESPACES = ("unshare", "--net", "--uts", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
# Names are looked up in the machine's own hosts file and nowhere else.
SET_UP = """
set -e
mount --bind "$1/hosts" /etc/hosts
[ ! -e /etc/resolv.conf ] || mount --bind "$1/resolv.conf" /etc/resolv.conf
hostname "$2"
ip link set lo up
shift 2
exec "$@"
"""


class Refused(Exception):
    """This machine does not let us make namespaces; the text says what it refused."""


@dataclass(frozen=True)
class Machine:
    """One simulated machine. ``pid`` is its first process, as the tests see it."""

    name: str
    pid: int
    folder: Path

    @property
    def socket(self) -> Path:
        return self.folder / f"{self.name}.socket"

    @property
    def address(self) -> str:
        return ADDRESSES[self.name]


@dataclass(frozen=True)
class Network:
    """Two nodes and the controller, which is also the switch between them."""

    folder: Path
    nodes: tuple[Machine, ...]
    controller: Machine


@contextmanager
def network(folder: Path) -> Iterator[Network]:
    """Make two machines, and take them away in the end. ``folder`` is new; sockets lie there, so its path is short.

    Raises Refused if the kernel does not let us.
    """
    hosts = ["127.0.0.1 localhost", *(f"{address} {name}" for name, address in ADDRESSES.items())]
    (folder / "hosts").write_text("\n".join(hosts) + "\n", encoding="utf-8")
    (folder / "resolv.conf").write_text("", encoding="utf-8")
    for tool in ("unshare", "nsenter", "ip"):
        if shutil.which(tool) is None:
            raise Refused(f"{tool} is not installed (Debian: util-linux, iproute2)")
    with ExitStack() as stack:
        processes = [stack.enter_context(first_process(folder, name)) for name in (CONTROLLER, *NODES)]
        controller, *nodes = (
            Machine(name, child(process), folder) for name, process in zip((CONTROLLER, *NODES), processes, strict=True)
        )
        connect(controller, nodes)
        for machine, process in zip((controller, *nodes), processes, strict=True):
            wait_until_ready(machine, process)
        yield Network(folder, tuple(nodes), controller)


@contextmanager
def first_process(folder: Path, name: str) -> Iterator[subprocess.Popen[str]]:
    words = [sys.executable, str(HERE / "machine.py"), str(folder), *(["--warm"] if name in NODES else [])]
    environment = {**base_environment(), "TMPDIR": str(folder)}
    with (folder / f"{name}.log").open("w") as log:
        process = subprocess.Popen(
            [*NAMESPACES, "sh", "-c", "echo made; " + SET_UP, "sh", str(folder), name, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env=environment,
            text=True,
        )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        if process.stdout.readline() != "made\n":
            raise Refused(f"namespaces: {(folder / f'{name}.log').read_text(encoding='utf-8').strip()}")
        yield process
    finally:
        # End of its input; and if it does not look, its namespace dies with `unshare`.
        process.stdin.close()
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


def child(process: subprocess.Popen[str]) -> int:
    """The process inside, as a number outside."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text(encoding="ascii").split()
    return int(children[0])


def connect(switch: Machine, nodes: Sequence[Machine]) -> None:
    ip = ["nsenter", "--target", str(switch.pid), "--net", "ip"]
    commands = [
        [*ip, "link", "add", "br0", "type", "bridge"],
        [*ip, "address", "add", f"{switch.address}/24", "dev", "br0"],
        [*ip, "link", "set", "br0", "up"],
    ]
    for number, node in enumerate(nodes):
        inside = ["nsenter", "--target", str(node.pid), "--net", "ip"]
        commands += [
            [*ip, "link", "add", f"v{number}", "type", "veth", "peer", "name", "eth0", "netns", str(node.pid)],
            [*ip, "link", "set", f"v{number}", "master", "br0", "up"],
            [*inside, "address", "add", f"{node.address}/24", "dev", "eth0"],
            [*inside, "link", "set", "eth0", "up"],
        ]
    for command in commands:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30)
        if done.returncode:
            raise Refused(f"{' '.join(command)}: {done.stderr.strip()}")


def wait_until_ready(machine: Machine, process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + START
    while not machine.socket.exists():
        if process.poll() is not None or time.monotonic() > end:
            log = (machine.folder / f"{machine.name}.log").read_text(encoding="utf-8")
            raise RuntimeError(f"{machine.name} did not start: {log}")
        time.sleep(0.02)


def base_environment() -> dict[str, str]:
    """What every process in there starts with; nothing of this machine's launchers and clusters gets in."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": "/root",
        "PYTHONPATH": str(SCRIPTS),
        "OMP_NUM_THREADS": "1",
    }
