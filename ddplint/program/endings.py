"""How the processes of a script end: whether the process group that it starts is ever destroyed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ddplint.program.events import Event
from ddplint.program.values import Const

if TYPE_CHECKING:
    from ddplint.program.program import Program

# Words that show that somebody ends the group, or the process at once. A helper whose body is not known counts.
_ENDS = re.compile(
    r"\b(destroy_process_group|_abort_process_group|destroy_model_parallel|os\._exit|"
    r"(destroy|cleanup|clean_up|teardown|tear_down|shutdown|finali[sz]e|end_training)_?\w*\s*\()"
)
# torch warns of NCCL only (2.4 on, torch/csrc/distributed/c10d/ProcessGroupNCCL.cpp, the destructor).
_QUIET = ("gloo", "mpi", "fake")


def never_destroyed(program: Program) -> Event | None:
    """The first start of a process group by the script itself, where nothing that it executes destroys it.

    None for a module without an entry of its own, for a backend that needs no end, and where it is not known.
    """
    if program.evidence.test or program.events("managed", "rpc"):
        return None
    starts = [event for event in program.entry_run.events if event.kind == "init" and event.name != "init_device_mesh"]
    if not starts or any(_ENDS.search(module.source.text) for module in program.modules):
        return None
    return next((event for event in starts if not _is_quiet(event)), None)


def _is_quiet(event: Event) -> bool:
    backend = event.arguments.get("backend")
    if backend is None or "open" in event.arguments:
        return False
    value = backend.value
    return isinstance(value, Const) and isinstance(value.value, str) and value.value.lower() in _QUIET
