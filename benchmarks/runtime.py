"""What the runtime adds to the start of a job.

usage: python benchmarks/runtime.py [--repeats N]

Needs torch for the first figure. Prints each figure beside its budget:

- what detection and validation take in a fresh process that has imported torch, their own imports included;
- how long the roll-call of eight processes of this machine takes, from the first that calls to the last that knows.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from multiprocessing import get_context

from ddplint.runtime.ports import listen

OVERHEAD_BUDGET = 30.0
ROLL_CALL_BUDGET = 1.0
RANKS = 8

# A task of a Slurm step: the launcher with the most to read.
STEP = {
    "SLURM_JOB_ID": "7", "SLURM_STEP_ID": "0", "SLURM_PROCID": "5", "SLURM_LOCALID": "1", "SLURM_NODEID": "1",
    "SLURM_STEP_NUM_TASKS": "8", "SLURM_STEP_NUM_NODES": "2", "SLURM_STEP_TASKS_PER_NODE": "4(x2)",
    "SLURM_STEP_NODELIST": "localhost,node1",
}  # fmt: skip

OVERHEAD = """
import time
import torch
began = time.perf_counter()
import os
from ddplint.runtime import machine
from ddplint.runtime.detection import detect
from ddplint.runtime.files import file_text
from ddplint.runtime.validation import problems
topology = detect(os.environ, file_text)
assert topology.rank.value == 5
problems(topology, os.environ)
machine.problems(topology, os.environ, 4)
print(time.perf_counter() - began)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=7, help="of each measurement; the median counts (default: 7)")
    args = parser.parse_args()
    overhead = [_overhead() for _ in range(args.repeats)]
    roll_call = [_roll_call() for _ in range(args.repeats)]
    for name, values, unit, budget in (
        ("detection + validation beyond import torch", [1000 * one for one in overhead], "ms", OVERHEAD_BUDGET),
        (f"roll-call of {RANKS} local ranks", roll_call, "s", ROLL_CALL_BUDGET),
    ):
        median = statistics.median(values)
        verdict = "in budget" if median < budget else "OVER"
        spread = f"from {min(values):.2f} to {max(values):.2f}"
        print(f"{name}: {median:.2f} {unit} ({spread}), budget {budget:g}: {verdict}")


def _overhead() -> float:
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", OVERHEAD], env=STEP, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"torch is needed:\n{done.stderr}")
    return float(done.stdout)


def _roll_call() -> float:
    """Seconds from the call of the first to the return of the last; the processes are there before it begins."""
    context = get_context("spawn")
    with listen(0) as listener:
        port = listener.getsockname()[1]
    at = time.time() + 3
    with context.Pool(RANKS) as pool:
        ends = pool.starmap(_attend, [(rank, port, at) for rank in range(RANKS)], chunksize=1)
    return max(ends) - at


def _attend(rank: int, port: int, at: float) -> float:
    from ddplint.runtime.detection import detect
    from ddplint.runtime.meeting import Reported, meet

    environ = {
        "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(RANKS), "LOCAL_WORLD_SIZE": str(RANKS),
        "MASTER_ADDR": "localhost", "MASTER_PORT": str(port),
    }  # fmt: skip
    topology = detect(environ)
    time.sleep(max(0.0, at - time.time()))
    meeting = meet(topology, environ, Reported(), 30.0, lambda text: None)
    if meeting.listener is not None:
        meeting.listener.close()
    return time.time()


if __name__ == "__main__":
    main()
