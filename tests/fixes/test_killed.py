"""``ddplint --fix`` over 200 files, killed at random moments: every file is the old one or the new one."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

FILES = 200
TRIALS = 10
MOST_TRIALS = 60  # until one of them came in the middle of the writing: a busy machine wakes us up late

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals of Unix")


def old(number: int) -> bytes:
    return b"import torch.distributed as dist  # noqa: DDP101\n" + b"x = %d\n" % number * (number % 5)


def new(number: int) -> bytes:
    return old(number).replace(b"  # noqa: DDP101", b"")


def start() -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "ddplint", "--fix", "--isolated", "--quiet", "."]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=_hear_ctrl_c)


def _hear_ctrl_c() -> None:
    """A job in the background of a shell is started deaf to it, and hands that on."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def reset() -> None:
    for number in range(FILES):
        Path(f"{number:03}.py").write_bytes(old(number))


def states() -> list[bool]:
    """For each file whether it is the new one; any other content fails."""
    found = []
    for number in range(FILES):
        data = Path(f"{number:03}.py").read_bytes()
        assert data in (old(number), new(number)), f"{number:03}.py is half a file"
        found.append(data == new(number))
    return found


def left_behind() -> list[str]:
    return [name for name in os.listdir() if not name.endswith(".py")]


def wait_for_writing(process: subprocess.Popen[bytes]) -> None:
    """Until the first file was replaced."""
    before = os.stat("000.py").st_ino
    while os.stat("000.py").st_ino == before and process.poll() is None:
        time.sleep(0.0002)


def moments(chance: random.Random) -> Iterator[tuple[bool, float]]:
    """How long to wait before the signal: from the start of the process, or from that of the writing.

    After the first ``TRIALS`` not at all.
    """
    reset()
    started = time.monotonic()
    process = start()
    wait_for_writing(process)
    middle = time.monotonic()
    process.communicate()
    ended = time.monotonic()
    assert all(states())
    yield from ((False, chance.uniform(0, ended - started)) for _ in range(TRIALS // 3))
    yield from ((True, chance.uniform(0, (ended - middle) / 2)) for _ in range(TRIALS - TRIALS // 3))
    yield from ((True, 0) for _ in range(MOST_TRIALS - TRIALS))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT], ids=["kill -9", "Ctrl-C"])
def test_every_file_is_old_or_new(number: signal.Signals) -> None:
    halfway = 0
    for trial, (from_writing, delay) in enumerate(moments(random.Random(number))):
        if trial >= TRIALS and halfway:
            break
        reset()
        process = start()
        if from_writing:
            wait_for_writing(process)
        time.sleep(delay)
        process.send_signal(number)
        process.communicate()
        found = states()
        halfway += any(found) and not all(found)
        if number == signal.SIGINT:
            assert left_behind() == []
    # Otherwise the signals came when nothing was being written, and this has shown nothing.
    assert halfway > 0
    Path(".ddplint-0123456789abcdef.tmp").write_text("half of a fi")
    process = start()
    _, errors = process.communicate()
    assert (process.returncode, errors) == (0, b"")
    assert all(states())
