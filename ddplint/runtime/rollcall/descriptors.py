"""Room for the connections of a roll-call among the open files that a process may have."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator

# For what else the process opens meanwhile.
SPARE = 32
# If nobody says how many files are open.
ASSUMED_OPEN = 256
# Of the connections, whatever the world size says.
MOST = 1 << 16


@contextlib.contextmanager
def room(wanted: int) -> Iterator[int]:
    """How many connections there may be, at most as many as wanted; the limit of open files is raised meanwhile."""
    wanted = min(wanted, MOST)
    if sys.platform == "win32":
        yield wanted
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken = _open_files() + SPARE
    if soft == resource.RLIM_INFINITY or soft >= taken + wanted:
        yield wanted
        return
    raised = taken + wanted if hard == resource.RLIM_INFINITY else min(taken + wanted, hard)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (raised, hard))
    except (OSError, ValueError):
        yield max(1, min(wanted, soft - taken))
        return
    try:
        yield max(1, min(wanted, raised - taken))
    finally:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def spare() -> int:
    """How many files may stay open beside those of the training: a quarter of what is left."""
    if sys.platform == "win32":
        return MOST
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST if soft == resource.RLIM_INFINITY else max(0, (soft - _open_files()) // 4)


def _open_files() -> int:
    try:
        return len(os.listdir("/proc/self/fd"))
    except OSError:
        return ASSUMED_OPEN
