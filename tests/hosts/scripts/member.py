"""One process of a job whose group is started by ``ddplint.runtime``; it writes down with which jobs it has trained.

``MEMBER_NUMBER`` tells the processes of a launch apart and ``MEMBER_JOB`` (0 or 1) its jobs; the runtime knows neither.
A process comes ``MEMBER_DELAY`` seconds late, and trains for ``MEMBER_TRAINS`` seconds.
"""

from __future__ import annotations

import json
import os
import socket
import time
from typing import Any

import torch
import torch.distributed as dist

from ddplint.runtime import init_process_group

NUMBER, JOB = int(os.environ["MEMBER_NUMBER"]), int(os.environ.get("MEMBER_JOB", "0"))


def record(event: str, **facts: Any) -> None:
    host, pid = socket.gethostname(), os.getpid()
    line = json.dumps({"event": event, "host": host, "pid": pid, "number": NUMBER, "job": JOB, **facts}) + "\n"
    with open(os.path.join(os.environ["STANDIN_RECORDS"], f"{host}-{pid}.jsonl"), "a", encoding="utf-8") as file:
        file.write(line)


time.sleep(float(os.environ.get("MEMBER_DELAY", "0")))
record("started", rank=int(os.environ["RANK"]), time=time.monotonic())
process = init_process_group()
members = torch.zeros(2)
members[JOB] = 1
dist.all_reduce(members)
record("trained", rank=process.rank, world_size=process.world_size, members=[int(count) for count in members])
time.sleep(float(os.environ.get("MEMBER_TRAINS", "0")))
record("finished", rank=process.rank)
