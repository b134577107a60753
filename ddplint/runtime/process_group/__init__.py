"""The corrected start of a process group. The only room of the runtime that imports torch.

from ddplint.runtime import init_process_group

process = init_process_group()
model = DistributedDataParallel(model.to(process.device))
"""

from ddplint.runtime.process_group.accelerator import default_backend, equipment, pinned
from ddplint.runtime.process_group.group import INIT_TIMEOUT, Process, existing, init_process_group, start
from ddplint.runtime.process_group.stores import agent_roll_call, default_store
from ddplint.runtime.process_group.turns import is_main_process, local_rank, main_process_first, print_on_main

__all__ = [
    "INIT_TIMEOUT",
    "Process",
    "agent_roll_call",
    "default_backend",
    "default_store",
    "equipment",
    "existing",
    "init_process_group",
    "is_main_process",
    "local_rank",
    "main_process_first",
    "pinned",
    "print_on_main",
    "start",
]
