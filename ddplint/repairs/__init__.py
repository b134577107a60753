"""What to write instead: fixes, built from what the program model knows.

A rule hands its finding's facts to one function here and gets a :class:`~ddplint.findings.Fix`, or None where no
repair is known to be right. All text goes through :class:`~ddplint.repairs.draft.Draft`, which knows the layout of
the files: their imports, quotes, indentation and line length.

The modules are imported when they are first asked for: a script without findings needs none of them.
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ddplint.repairs import address_stores as address_stores
    from ddplint.repairs import addresses as addresses
    from ddplint.repairs import backend_choice as backend_choice
    from ddplint.repairs import collectives as collectives
    from ddplint.repairs import counts as counts
    from ddplint.repairs import device_guards as device_guards
    from ddplint.repairs import environment_names as environment_names
    from ddplint.repairs import environment_values as environment_values
    from ddplint.repairs import epochs as epochs
    from ddplint.repairs import gather_lists as gather_lists
    from ddplint.repairs import gathered as gathered
    from ddplint.repairs import gpu_choice as gpu_choice
    from ddplint.repairs import gpu_count as gpu_count
    from ddplint.repairs import gpu_index as gpu_index
    from ddplint.repairs import launcher_options as launcher_options
    from ddplint.repairs import load_devices as load_devices
    from ddplint.repairs import loaders as loaders
    from ddplint.repairs import rank_guards as rank_guards
    from ddplint.repairs import silent_runs as silent_runs
    from ddplint.repairs import slurm as slurm
    from ddplint.repairs import topology as topology
    from ddplint.repairs import turns as turns
    from ddplint.repairs import workers as workers
    from ddplint.repairs import works as works
    from ddplint.repairs import wrappers as wrappers


def __getattr__(name: str) -> ModuleType:
    if name.startswith("_"):
        raise AttributeError(name)
    return importlib.import_module(f"{__name__}.{name}")
