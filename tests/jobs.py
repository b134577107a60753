"""Scripts of the fixtures, repaired and run as jobs of real processes on this machine."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from ddplint.fixes import repair
from ddplint.linter import examine
from ddplint.settings import Settings

FIXTURES = Path(__file__).parent / "fixtures"


@dataclass(frozen=True)
class Process:
    """How one process of a job ended."""

    code: int
    out: str
    err: str


def job(script: Path, processes: int = 2, nodes: int = 1) -> list[Process]:
    """Run a script as torchrun would; the first process is rank 0. The ``nodes`` are all this machine."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    common = {
        **{name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"},
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "WORLD_SIZE": str(processes),
        "GLOO_SOCKET_IFNAME": "lo",
        "OMP_NUM_THREADS": "1",
    }
    started = [
        subprocess.Popen(
            [sys.executable, str(script)],
            env={**common, "RANK": str(rank), "LOCAL_RANK": str(rank % (processes // nodes))},
            cwd=script.parent,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(processes)
    ]
    try:
        ended = [process.communicate(timeout=120) for process in started]
    finally:
        for process in started:
            process.kill()
    return [Process(_code(one.returncode, err), out, err) for one, (out, err) in zip(started, ended, strict=True)]


def _code(code: int, err: str) -> int:
    """What is taken for the exit code that the script itself would have given.

    A thread of gloo that outlives the interpreter aborts a few processes in a hundred at their end, with this very text
    (torch 2.13). An abort by an error says which exception it was.
    """
    aborted = code == -signal.SIGABRT and "terminate called without an active exception" in err
    return int("Traceback (most recent call last)" in err) if aborted else code


def repaired(folder: Path, rule: str, code: str, unsafe: bool = False) -> tuple[Path, Path]:
    """The broken script of a rule, and what ``--fix`` makes of it; with ``unsafe``, what ``--unsafe-fixes`` makes.

    Both are in ``folder``, which must be the working directory.
    """
    before, after = folder / "before.py", folder / "after.py"
    for path in (before, after):
        shutil.copy(FIXTURES / rule / "broken.py", path)
    check = examine(["after.py"], Settings(select=(code,))).check
    assert check is not None
    outcome = repair(check, unsafe=unsafe)
    assert outcome.changed
    assert not outcome.refused
    for _, text in outcome.changed.values():
        after.write_text(text.text, encoding="utf-8")
    return before, after
