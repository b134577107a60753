"""The corrected start of a process group. Everything that touches torch is here, but for the hand-over to torchrun.

``ddplint.runtime`` has the names that scripts use, and imports this room when one of them is first asked for.
"""

from ddplint.runtime.process_group.accelerator import default_backend, equipment, pinned, visible_devices
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
    "visible_devices",
]
