"""Real process groups: what the model says each process gets is what it gets.

A node is one launch here. All share one host and the loopback interface. Two nodes that meet share one master port; two
that each look for rank 0 at their own localhost have one each.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn

import pytest

pytestmark = pytest.mark.torch

SCRIPTS = Path(__file__).parent / "scripts"
RIGHT = SCRIPTS / "rank_from_node_rank.py"
BROKEN = SCRIPTS / "spawn_index_as_rank.py"

# Six processes that import torch on two cores take 15 seconds; a cold disk, several times that.
DEADLINE = 150.0

# Nothing of the machine's own launcher or cluster may get in.
FOREIGN = re.compile(
    r"^(RANK|LOCAL_RANK|WORLD_SIZE|NODE_RANK|NNODES|MASTER_|SLURM_|OMPI_|PMI|TORCHELASTIC|GLOO_|GROUP_)"
)


@pytest.fixture(autouse=True)
def _torch(unavailable: Callable[[str], NoReturn]) -> None:
    if find_spec("torch") is None:
        unavailable('torch is not installed: pip install -e ".[test]"')


def test_one_node() -> None:
    with launched(RIGHT, node=0, nodes=1, port=free_port()) as launch:
        real = wait_for(launch, "is", 2)
    assert sorted(real) == predicted(RIGHT, nodes=1) == [(0, 2), (1, 2)]


def test_two_nodes() -> None:
    port = free_port()
    with launched(RIGHT, node=0, nodes=2, port=port) as first, launched(RIGHT, node=1, nodes=2, port=port) as second:
        real = [*wait_for(first, "is", 2), *wait_for(second, "is", 2)]
    assert sorted(real) == predicted(RIGHT, nodes=2) == [(0, 4), (1, 4), (2, 4), (3, 4)]
    assert findings(RIGHT) == []


def test_spawn_index_claims_every_rank_twice() -> None:
    with (
        launched(BROKEN, node=0, nodes=2, port=free_port()) as first,
        launched(BROKEN, node=1, nodes=2, port=free_port()) as second,
    ):
        # They now wait for ranks that never come. Nobody waits with them.
        claims = [*wait_for(first, "claims", 2), *wait_for(second, "claims", 2)]
        assert first.ranks("is") == second.ranks("is") == []
    assert sorted(claims) == predicted(BROKEN, nodes=2) == [(0, 4), (0, 4), (1, 4), (1, 4)]
    [finding] = [found for found in findings(BROKEN) if found["code"] == "DDP101"]
    counterexample = finding["counterexample"]
    assert (counterexample["nnodes"], counterexample["nproc_per_node"]) == (2, 2)
    proof = [process["rank"] for process in counterexample["processes"]]
    assert sorted(proof) == sorted(rank for rank, _ in claims)


def predicted(script: Path, nodes: int) -> list[tuple[int, int]]:
    """Rank and world size of every process, as ``ddplint ranks`` says; in the order of the ranks."""
    nodes_given = ["--set", f"NNODES={nodes}", "--set", "NODE_RANK=" + ",".join(map(str, range(nodes)))]
    table = ddplint("ranks", str(script), "--nnodes", str(nodes), "--nproc-per-node", "2", *nodes_given)
    cells = [process["values"] for process in table["processes"]]
    return sorted((int(cell["rank"]["value"]), int(cell["world_size"]["value"])) for cell in cells)


def findings(script: Path) -> list[dict[str, Any]]:
    """What ddplint reports."""
    # Under a name of its own: what lies in a folder of tests passes for a test, which runs on one machine by design.
    words = ("check", "--isolated", "--exit-zero", "--stdin-filename", "train.py", "-")
    found: list[dict[str, Any]] = ddplint(*words, stdin=script.read_bytes())["findings"]
    return found


def ddplint(*words: str, stdin: bytes = b"") -> Any:
    """The JSON that a command prints."""
    command = [sys.executable, "-m", "ddplint", *words, "--output-format", "json"]
    return json.loads(subprocess.run(command, input=stdin, capture_output=True, check=True, timeout=60).stdout)


@dataclass(frozen=True)
class Launch:
    """A script that runs as one node, and what its processes have printed so far."""

    process: subprocess.Popen[str]
    reader: threading.Thread
    lines: list[str]

    def ranks(self, verb: str) -> list[tuple[int, int]]:
        """Rank and world size in what was printed such as ``is rank 1 of 4``."""
        # Not line by line: several processes write here, and the end of a line may come after another's text.
        return [(int(rank), int(world)) for rank, world in re.findall(rf"{verb} rank (\d+) of (\d+)", self.printed)]

    @property
    def printed(self) -> str:
        return "".join(self.lines)


@contextmanager
def launched(script: Path, *, node: int, nodes: int, port: int) -> Iterator[Launch]:
    """Start a script as one node of a job. In the end all of it is killed."""
    environment = {name: value for name, value in os.environ.items() if not FOREIGN.match(name)}
    environment |= {"NODE_RANK": str(node), "NNODES": str(nodes), "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"}
    if sys.platform == "linux":
        environment["GLOO_SOCKET_IFNAME"] = "lo"
    process = subprocess.Popen(
        [sys.executable, str(script)],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # A group of its own, so that what mp.spawn started can be killed with it.
        start_new_session=True,
    )
    assert process.stdout is not None
    lines: list[str] = []
    reader = threading.Thread(target=lines.extend, args=(process.stdout,), daemon=True)
    reader.start()
    try:
        yield Launch(process, reader, lines)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=10)
        reader.join(timeout=10)
        process.stdout.close()


def wait_for(launch: Launch, verb: str, count: int) -> list[tuple[int, int]]:
    """The first ``count`` ranks that the processes print with this verb."""
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        over = not launch.reader.is_alive()
        ranks = launch.ranks(verb)
        if len(ranks) >= count:
            return ranks[:count]
        if over:
            pytest.fail(f'it ended, status {launch.process.poll()}, without "{verb} rank ...":\n{launch.printed}')
        time.sleep(0.05)
    pytest.fail(f'not {count} times "{verb} rank ..." in {DEADLINE:.0f} s:\n{launch.printed}')


def free_port() -> int:
    """A port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
