"""What a running training job can lean on: who this process is, who says so, and what is wrong with it.

This room stands apart from the linter: neither imports the other. Detection needs nothing but the standard library;
torch is imported when one of the names below is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ddplint.runtime.problem import StartError

if TYPE_CHECKING:
    from ddplint.runtime.process_group import (
        Process,
        init_process_group,
        is_main_process,
        local_rank,
        main_process_first,
        print_on_main,
    )

__all__ = [
    "Process",
    "StartError",
    "init_process_group",
    "is_main_process",
    "local_rank",
    "main_process_first",
    "print_on_main",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from ddplint.runtime import process_group

    return getattr(process_group, name)
