"""The other end of ``warm_ranks.py``: start it, give it orders, read what it answers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROGRAM = Path(__file__).with_name("warm_ranks.py")
# Nodes and processes on each, for scripts whose first line asks for something else than two processes.
SIZES = {
    "three processes": (1, 3),
    "four processes": (1, 4),
    "two nodes of two": (2, 2),
    "script starts itself": (1, 1),
}


@dataclass(frozen=True)
class Outcome:
    """What became of the ranks of a job, in their order. A status of None: it was alive at the deadline."""

    statuses: tuple[int | None, ...]
    # What each wrote. If it was alive at the deadline or was aborted, it ends with the lines that it was in.
    outputs: tuple[str, ...]

    @property
    def hung(self) -> bool:
        return None in self.statuses

    @property
    def succeeded(self) -> bool:
        return all(status == 0 for status in self.statuses)

    @property
    def failed(self) -> bool:
        return not self.hung and not self.succeeded

    def __str__(self) -> str:
        ends = zip(self.statuses, self.outputs, strict=True)
        return "\n".join(f"--- rank {rank}, status {status}\n{text}" for rank, (status, text) in enumerate(ends))


@dataclass(frozen=True)
class Server:
    process: subprocess.Popen[str]

    def run(self, right: Path, folder: Path) -> Outcome:
        """What a script comes to in a folder that does not exist yet."""
        return self._ask(right, folder)["right"]

    def compare(self, right: Path, wrong: Path, folder: Path, factor: float, least: float) -> tuple[Outcome, Outcome]:
        """What two scripts come to at the same time; the second one has ``factor`` times as long as the first one took,
        and at least so many seconds."""
        outcomes = self._ask(right, folder, wrong=str(wrong), factor=factor, least=least)
        return outcomes["right"], outcomes["wrong"]

    def _ask(self, right: Path, folder: Path, **more: Any) -> dict[str, Outcome]:
        first_line = right.read_text(encoding="utf-8").partition("\n")[0]
        nnodes, nproc_per_node = next((size for words, size in SIZES.items() if words in first_line), (1, 2))
        order = {"right": str(right), "nnodes": nnodes, "nproc_per_node": nproc_per_node, "folder": str(folder), **more}
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        assert answer, f"the server has ended: {self.process.wait()}"
        return {
            kind: Outcome(tuple(found["statuses"]), tuple(found["outputs"]))
            for kind, found in json.loads(answer).items()
        }


@contextmanager
def serving() -> Iterator[Server]:
    process = subprocess.Popen(
        [sys.executable, str(PROGRAM)],
        # A process that has threads is not to be forked, and the libraries below torch start some as they are loaded.
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    # Closes its standard input, and waits for it.
    with process:
        yield Server(process)
