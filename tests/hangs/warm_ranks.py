"""A server that has imported torch once and runs scripts as the ranks of a job, each in a process forked from it.

    python warm_ranks.py

An import of torch takes two seconds and a fork a hundredth of that: with it a script that ends well does so at once,
and one that never ends is told from it soon. A forked process has its own session, environment, folder and
``__main__``, as if a launcher had just started it; what it has not is an interpreter of its own.

A line on standard input is an order, the answer to it a line on standard output (see ``carry_out``). The server ends
when its standard input does, that is, at the latest when the tests die, and leaves no process behind.
"""

from __future__ import annotations

import faulthandler
import importlib
import json
import os
import runpy
import signal
import socket
import sys
import tempfile
import time
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

# DDP imports torch._dynamo when the first model is wrapped, which takes nearly as long as torch itself.
WARM = (
    "torch",
    "torch._dynamo",
    "torch.distributed.checkpoint.state_dict",
    "torch.distributed.fsdp",
    "torch.distributed.tensor",
)

LOOPBACK = "lo0" if sys.platform == "darwin" else "lo"

# Seconds that a job may take at most, on a busy machine too; a right one takes a quarter of one.
LONGEST = 60.0


class Job:
    """The processes of one run of a script: what became of them, and what they wrote."""

    def __init__(self, script: Path, nnodes: int, nproc_per_node: int, folder: Path) -> None:
        folder.mkdir(parents=True)
        environments = torchrun(nnodes, nproc_per_node)
        self.outputs = [folder / f"output-{rank}" for rank in range(len(environments))]
        # None: it has not ended.
        self.statuses: list[int | None] = [None] * len(environments)
        self.pids: list[int] = []
        self.began = time.monotonic()
        for environment, output in zip(environments, self.outputs, strict=True):
            pid = os.fork()
            if pid == 0:
                become(script, environment, folder, output)
            self.pids.append(pid)

    def wait(self, seconds: float) -> float:
        """Until all have ended, but at most until so many seconds after the start. Returns how many it took."""
        while True:
            for rank, pid in enumerate(self.pids):
                if self.statuses[rank] is None and (ended := os.waitpid(pid, os.WNOHANG)) != (0, 0):
                    self.statuses[rank] = os.waitstatus_to_exitcode(ended[1])
            taken = time.monotonic() - self.began
            if None not in self.statuses or taken > seconds:
                return taken
            time.sleep(0.01)

    def stop(self) -> dict[str, Any]:
        """Kill what is left; the state before that."""
        statuses = list(self.statuses)
        if None in statuses:
            for rank, status in enumerate(statuses):
                if status is None:
                    # They write where they are: see become().
                    self.signal(rank, signal.SIGUSR1)
            time.sleep(0.2)
        for rank, status in enumerate(statuses):
            # Its session too when it has ended itself: it may have started others.
            self.signal(rank, signal.SIGKILL)
            if status is None:
                os.waitpid(self.pids[rank], 0)
        texts = [output.read_text(errors="replace") if output.exists() else "" for output in self.outputs]
        return {"statuses": statuses, "outputs": texts}

    def signal(self, rank: int, number: int) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.pids[rank], number)
        if self.statuses[rank] is None and number == signal.SIGKILL:
            # It may not lead its session yet.
            os.kill(self.pids[rank], number)


def carry_out(order: dict[str, Any]) -> dict[str, Any]:
    """Run ``right``, and at the same time ``wrong`` if there is one. That one ends, or has ``factor`` times as long as
    the right one took, and at least ``least`` seconds."""
    size = order["nnodes"], order["nproc_per_node"]
    folder = Path(order["folder"])
    jobs = {}
    try:
        for kind in ("right", "wrong"):
            if order.get(kind):
                jobs[kind] = Job(Path(order[kind]), *size, folder / kind)
        taken = jobs["right"].wait(LONGEST)
        if "wrong" in jobs and taken <= LONGEST:
            jobs["wrong"].wait(max(order["least"], order["factor"] * taken))
    finally:
        answer: dict[str, Any] = {kind: job.stop() for kind, job in jobs.items()}
    return answer


def torchrun(nnodes: int, nproc_per_node: int) -> list[dict[str, str]]:
    """What torchrun sets for the processes of a job, in the order of their ranks; all nodes are this machine."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH") if name in os.environ}
    common = {
        **kept,
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "WORLD_SIZE": str(nnodes * nproc_per_node),
        "LOCAL_WORLD_SIZE": str(nproc_per_node),
        "GROUP_WORLD_SIZE": str(nnodes),
        "GLOO_SOCKET_IFNAME": LOOPBACK,
        "OMP_NUM_THREADS": "1",
    }
    return [
        {
            **common,
            "RANK": str(node * nproc_per_node + local_rank),
            "LOCAL_RANK": str(local_rank),
            "GROUP_RANK": str(node),
        }
        for node in range(nnodes)
        for local_rank in range(nproc_per_node)
    ]


def become(script: Path, environment: dict[str, str], folder: Path, output: Path) -> NoReturn:
    """Never returns: the forked process is the script."""
    status = 1
    try:
        os.setsid()
        os.chdir(folder)
        nothing = os.open(os.devnull, os.O_RDONLY)
        written = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        for target, descriptor in enumerate((nothing, written, written)):
            os.dup2(descriptor, target)
        sys.stdin, sys.stdout, sys.stderr = (os.fdopen(number, mode) for number, mode in enumerate(("r", "w", "w")))
        # Where it is: when it is asked, and when gloo aborts it.
        faulthandler.register(signal.SIGUSR1, all_threads=True)
        faulthandler.enable()
        os.environ.clear()
        os.environ.update(environment)
        tempfile.tempdir = None
        status = run_python(script)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        # Without the end of an interpreter: on a busy machine torch 2.13 with gloo aborts there now and then, after the
        # group is destroyed and all is done ("terminate called without an active exception").
        os._exit(status)


def run_python(script: Path) -> int:
    """Run the script as the main program; its exit status."""
    sys.argv = [str(script)]
    sys.path[0] = str(script.parent)
    try:
        runpy.run_path(str(script), run_name="__main__")
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        print(end.code, file=sys.stderr)
        return 1
    return 0


def main() -> None:
    # What torch prints goes to standard error; here only answers do.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for name in WARM:
        importlib.import_module(name)
    for line in sys.stdin:
        answers.write(json.dumps(carry_out(json.loads(line))) + "\n")
        answers.flush()
    # Without taking torch apart first, which takes a second.
    os._exit(0)


if __name__ == "__main__":
    main()
