"""Calls that all processes of a group must make, in the same order: what torch's documentation calls collectives.

Torch 2.13: ``torch/distributed/distributed_c10d.py``; ``torch/nn/parallel/distributed.py`` (the constructor compares
the parameters of all ranks and broadcasts them; backward reduces the gradients); ``torch/distributed/checkpoint``
(save and load agree on a plan; state_dict.py gathers with full_state_dict); ``torch/distributed/tensor/_api.py``
(``full_tensor`` gathers).
"""

from __future__ import annotations

from collections.abc import Iterable

from ddplint.program.events import Event
from ddplint.program.library import wrapping
from ddplint.program.values import Const, External, Made, Value, is_made, leaves, walk

_DIST = "torch.distributed."
_PLAIN = frozenset(
    _DIST + name
    for name in (
        "all_gather all_gather_into_tensor all_gather_object all_reduce all_to_all all_to_all_single barrier broadcast "
        "broadcast_object_list destroy_process_group gather gather_object monitored_barrier new_group reduce "
        "reduce_scatter reduce_scatter_tensor scatter scatter_object_list"
    ).split()
)
_STATE = _DIST + "checkpoint.state_dict."
_FILES = (_DIST + "checkpoint.save", _DIST + "checkpoint.load")
# Of sharded models: what hangs there is DDP801.
SHARDED = frozenset(
    (
        *_FILES,
        *(
            f"{_STATE}{verb}_{what}"
            for verb in ("get", "set")
            for what in ("model_state_dict", "optimizer_state_dict", "state_dict")
        ),
    )
)


class Collectives:
    """Which events of a program are collectives of the whole job, and how they are told apart."""

    def __init__(self, wraps: Iterable[Event]) -> None:
        self._sharded = frozenset(
            part.id
            for wrap in wraps
            if wrap.name == wrapping.FULLY_SHARD and "module" in wrap.arguments
            for part in leaves(wrap.arguments["module"].value)
        )

    def name(self, event: Event) -> str | None:
        """A name that tells collectives apart; None for anything else.

        None too where it is about a group of its own, whose members the model does not know.
        """
        if event.kind == "wrap" and event.name == wrapping.DDP:
            return None if "process_group" in event.arguments else event.name
        if event.kind == "method":
            return self._hidden(event)
        if event.kind != "call" or not (event.name in _PLAIN or event.name in SHARDED):
            return None
        if event.name.endswith(".new_group"):
            return _new_group(event)
        return event.name.removeprefix(_DIST) if _of_all(event) else None

    def _hidden(self, event: Event) -> str | None:
        owner = event.arguments["self"].value
        if event.name == "backward":
            reduced = any(is_made(part, wrapping.DDP) or self._is_sharded(part) for part in walk(owner))
            return "backward" if reduced else None
        if event.name == "full_tensor":
            return "full_tensor"
        if event.name in ("state_dict", "optim_state_dict"):
            return event.name if is_made(owner, wrapping.FSDP) else None
        if event.name == "save_checkpoint":
            return event.name if is_made(owner, wrapping.DEEPSPEED) else None
        if event.name == "__call__":
            return "forward" if self._is_sharded(owner) else None
        return None

    def _is_sharded(self, model: Value) -> bool:
        return is_made(model, wrapping.FSDP) or model.id in self._sharded

    def forward(self, event: Event) -> str | None:
        """The forward pass of a DDP model, in which rank 0 broadcasts the buffers, if there are any.

        Torch 2.13, ``torch/nn/parallel/distributed.py``, ``_pre_forward`` and ``_sync_buffers``.
        """
        if event.kind != "method" or event.name != "__call__":
            return None
        owner = event.arguments["self"].value
        if not isinstance(owner, Made) or owner.name != wrapping.DDP or owner.arguments.open:
            return None
        buffers = owner.arguments.value("broadcast_buffers", 4)
        return "forward" if buffers is None or (isinstance(buffers, Const) and buffers.value is True) else None


def _new_group(event: Event) -> str | None:
    if "use_local_synchronization" in event.arguments or "open" in event.arguments:
        return None
    ranks = event.arguments.get("ranks")
    return f"new_group of {ranks.value.id if ranks is not None else 'all'}"


def _of_all(event: Event) -> bool:
    group = event.arguments.get("group")
    if group is None:
        return "open" not in event.arguments
    return is_world(group.value)


def is_world(group: Value) -> bool:
    """Whether a group is the default one, of all processes (torch 2.13, distributed_c10d.py, ``GroupMember.WORLD``)."""
    if isinstance(group, External):
        return group.name.endswith(("group.WORLD", "GroupMember.WORLD"))
    return group.type == "none"


def is_sharded(event: Event) -> bool:
    """Whether a collective gathers the state of a sharded model."""
    return event.name in SHARDED or (event.kind == "method" and event.name not in ("backward", "__call__"))


def phrase(event: Event) -> str:
    """A collective as a reader would call it."""
    if event.kind == "wrap":
        return "the constructor of DistributedDataParallel"
    if event.name == "__call__":
        return "the forward pass of the wrapped model"
    if event.name in _FILES:
        return f"{event.name.removeprefix(_DIST)}()"
    return f"{event.name.rpartition('.')[2]}()"
