"""The end of a job that nothing names, when a process comes late that has a place in it (see ``rollcall.watch``).

The training may be waiting in a collective, so the process is ended from a thread of its own.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Sequence

import torch.distributed as dist

from ddplint.runtime.problem import ERROR, Problem
from ddplint.runtime.rollcall import AtTheDoor, Inside

# What the script has printed gets so long to be written; somebody may have stopped reading.
FLUSH_SECONDS = 1.0

Watch = AtTheDoor | Inside
_formed = False


def open_door(watch: Watch | None) -> int | None:
    """Listen to those who come late, and say at which port, in rank 0 of a job that waits for them."""
    if not isinstance(watch, AtTheDoor):
        return None
    try:
        return watch.open()
    except OSError:
        return None


def begin(watch: Watch | None, who: str) -> None:
    """Wait for those who come late, beside the training."""
    if watch is not None:
        # A daemon: nobody waits for it at the end. A fork has no thread, and does not notice.
        threading.Thread(target=_stand, args=(watch, who), name="ddplint watch", daemon=True).start()


def formed() -> None:
    """The group stands: once it is destroyed nobody can join it any more."""
    global _formed
    _formed = True


def _stand(watch: Watch, who: str) -> None:
    wrong: list[Problem] = []

    def announce(problems: Sequence[Problem]) -> None:
        wrong.extend(problem for problem in problems if problem.severity == ERROR)
        if wrong and not _over():
            text = "\n\n".join([f"ddplint: the process group is ended ({who})", *map(str, wrong)])
            # The interpreter's own stream may be in use just now.
            with contextlib.suppress(OSError):
                os.write(2, f"{text}\n".encode("utf-8", "replace"))

    watch.stand(announce, _over)
    if wrong and not _over():
        _end()


def _over() -> bool:
    return _formed and not dist.is_initialized()


def _end() -> None:
    flush = threading.Thread(target=_flush, daemon=True)
    flush.start()
    flush.join(FLUSH_SECONDS)
    os._exit(1)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):
            continue
