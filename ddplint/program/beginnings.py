"""When the process group starts: what a script asks of it before that, or in runs in which it never does."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import libcst as cst

from ddplint.program import alternatives, launchers
from ddplint.program.events import Event, Spawn
from ddplint.program.imports import dotted_name
from ddplint.program.launchers import TORCHRUN
from ddplint.program.state import Path, steps
from ddplint.program.topology import ABSENT, UNKNOWN, Infeasible, Process, Question, Scenario, Topology
from ddplint.program.values import EnvHas, EnvVar, Input, Origin, Symbol, Unknown, Value, walk
from ddplint.program.walk import everything_in

if TYPE_CHECKING:
    from ddplint.program.program import Program

# torch 2.13, torch/distributed/distributed_c10d.py: they all come down to _get_default_group(), which raises.
_ASKS = frozenset(
    "all_gather all_gather_into_tensor all_gather_object all_reduce all_to_all all_to_all_single barrier broadcast "
    "broadcast_object_list gather gather_object new_group reduce reduce_scatter reduce_scatter_tensor scatter "
    "scatter_object_list".split()
)
# torch 2.13, torch/nn/parallel/distributed.py, torch/distributed/fsdp/_init_utils.py: without a group of their own.
# fully_shard starts the default group by itself.
_WRAPS = ("torch.nn.parallel.DistributedDataParallel", "torch.distributed.fsdp.FullyShardedDataParallel")
# torch 2.13, torch/utils/data/distributed.py: what is not given is asked of the group.
_SAMPLER = "torch.utils.data.distributed.DistributedSampler"

# Packages that start no process group by themselves.
_NEUTRAL = frozenset(sys.stdlib_module_names) | frozenset(
    "PIL apex cv2 matplotlib numpy pandas scipy sklearn tensorboard tensorboardX torch torchaudio torchtext "
    "torchvision tqdm wandb yaml".split()
)


@dataclass(frozen=True, slots=True)
class Premature:
    """``event`` asks for a process group at a time when there is none; ``site`` is where that was decided.

    ``start`` is the start that comes later, or that this run goes without; None where the script has none at all.
    ``alone`` says how the script was started for that, where it is one process that goes without: "by torchrun".
    """

    event: Event
    site: Origin
    start: Event | None
    alone: str | None = None
    condition: Value | None = None


def premature(program: Program) -> Premature | None:
    """The first thing that asks for the process group where there is certainly none. None where it is not known."""
    evidence = program.evidence
    if evidence.test or program.events("managed", "rpc"):
        return None
    events = program.entry_run.events
    asking = [event for event in events if _asks(event)]
    if not asking:
        return None
    starts = [event for event in events if event.kind == "init"]
    if not starts:
        return _never(program, asking)
    for event in asking:
        if event.kind != "wrap" and _inside_try(event):
            continue
        earlier = [one for one in starts if one.order < event.order and _reaches(one.context, event.context)]
        found = _skipped(program, event, earlier) if earlier else _late(program, event, starts)
        if found is not None:
            return found
    return None


def name(event: Event) -> str:
    """What asks for the group, as the script's reader knows it."""
    last = event.name.rpartition(".")[2]
    return last if last[0].isupper() else f"{last}()"


def _asks(event: Event) -> bool:
    if event.kind == "asked":
        return True
    if event.kind == "wrap":
        return event.name in _WRAPS and not event.arguments.keys() & {"process_group", "open"}
    if event.kind != "call" or "open" in event.arguments:
        return False
    if event.name == _SAMPLER:
        return not ("num_replicas" in event.arguments and "rank" in event.arguments)
    package, _, last = event.name.rpartition(".")
    return package == "torch.distributed" and last in _ASKS and "group" not in event.arguments


def _reaches(outer: tuple[Spawn, ...], inner: tuple[Spawn, ...]) -> bool:
    """Whether a group of one kind of process may be there in another: the same, or a fork of it."""
    return outer == inner[: len(outer)]


def _inside_try(event: Event) -> bool:
    for origin in (*[call.origin for call in event.calls], Origin(event.module, event.node)):
        piece = origin.module.positions.statement_line(origin.node)
        if piece is None or any(isinstance(one, cst.Try) and one.handlers for one in piece.around):
            return True
    return False


# -- before the start ---------------------------------------------------------------------------------------------


def _late(program: Program, event: Event, starts: Sequence[Event]) -> Premature | None:
    """A start that the same process gets to later: had there been a group before, it would raise."""
    ends = [one for one in program.entry_run.events if one.name == "torch.distributed.destroy_process_group"]
    for start in starts:
        later = start.order > event.order and start.context == event.context and start.name == "init_process_group"
        if later and _both(event, start) and not any(one.order < start.order for one in ends):
            return Premature(event, _site(event, start), start)
    return None


def _both(event: Event, start: Event) -> bool:
    """Whether one run certainly may get to both, with nothing that could tell that the group is there already."""
    known = {condition.id: truth for condition, truth in steps(event.path)}
    only_start: list[Value] = []
    for condition, truth in steps(start.path):
        held = alternatives.holds(condition, known)
        if held is (not truth):
            return False
        if held is None:
            only_start.append(condition)
    shared = {condition.id for condition, _ in steps(start.path)}
    only_event = [condition for condition, _ in steps(event.path) if condition.id not in shared]
    if any(_may_tell(condition) for condition in (*only_event, *only_start)):
        return False
    return not (_atoms(only_event) & _atoms(only_start))


def _may_tell(condition: Value) -> bool:
    return any(
        isinstance(part, Unknown) or (isinstance(part, Symbol) and part.name == "initialized")
        for part in walk(condition)
    )


def _atoms(conditions: Sequence[Value]) -> set[int]:
    return {
        part.id
        for condition in conditions
        for part in walk(condition)
        if isinstance(part, (Input, EnvVar, EnvHas, Symbol))
    }


def _site(event: Event, start: Event) -> Origin:
    """The call in the function that leads to both: there the order was decided."""
    own = (*[call.origin for call in event.calls], Origin(event.module, event.node))
    other = (*[call.origin for call in start.calls], Origin(start.module, start.node))
    for one, two in zip(own, other, strict=False):
        if one.node is not two.node:
            return one
    return own[-1]


# -- without a start ----------------------------------------------------------------------------------------------


class Single(Process):
    """The only process of a run; nothing was typed, and no process group has been started."""

    __slots__ = ()

    def evaluate(self, value: Value) -> Any:
        if isinstance(value, Input):
            default = value.spec.default if value.spec is not None and not value.spec.required else None
            return UNKNOWN if default is None else self.evaluate(default)
        if isinstance(value, Symbol) and value.name == "initialized":
            return False
        return Process.evaluate(self, value)

    def variable(self, name: str) -> Any:
        launcher = self.scenario.launcher
        if launcher is not None and name in launcher.variables:
            return str(self.role(launcher.variables[name], started=True))
        if launchers.owner(name) is not None:
            return ABSENT
        raise Question(("variable", name), ())

    def holds(self, condition: Value) -> bool | None:
        """Whether a condition holds here; None where that is not known."""
        try:
            return self.truth(condition)
        except (Infeasible, Question):
            return None

    def meets(self, path: Path | None) -> bool:
        """Whether all conditions of a path certainly hold here."""
        return all(self.holds(condition) is truth for condition, truth in steps(path))


def _skipped(program: Program, event: Event, earlier: Sequence[Event]) -> Premature | None:
    """A run of one process that goes past every start, and gets there all the same."""
    for started_by, single in _alone(event.context):
        launcher = single.scenario.launcher
        if launcher is None and not event.context and any(map(launchers.owner, program.entry_run.reads)):
            continue  # it is written for a launcher, and need not work without one
        if not single.meets(event.path) or _leaves(program, single, event):
            continue
        missed = [_missed(single, start) for start in earlier]
        conditions = [one for one in missed if one is not None]
        if len(conditions) == len(missed):
            return Premature(event, _site(event, earlier[-1]), earlier[-1], started_by, conditions[-1])
    return None


def _leaves(program: Program, single: Single, event: Event) -> bool:
    """Whether the process certainly raises or exits before an event."""
    return any(
        mark.kind in ("raise", "exit")
        and mark.order <= event.order
        and mark.context == event.context
        and single.meets(mark.path)
        for mark in program.entry_run.marks
    )


def _missed(single: Single, start: Event) -> Value | None:
    """The condition that keeps the process from a start, where one certainly does."""
    return next(
        (condition for condition, truth in steps(start.path) if single.holds(condition) is (not truth)),
        None,
    )


def _alone(context: tuple[Spawn, ...]) -> Iterator[tuple[str, Single]]:
    one = Topology(1, 1)
    if context:
        yield "on one GPU", Single(Scenario(None, context), one, 0, 0, {}, {}, 1)
    else:
        yield "by torchrun", Single(Scenario(TORCHRUN), one, 0, 0, {}, {}, 1)
        yield "without a launcher", Single(Scenario(None), one, 0, 0, {}, {}, 1)


# -- no start at all ----------------------------------------------------------------------------------------------


def _never(program: Program, asking: Sequence[Event]) -> Premature | None:
    """Nothing that the script is made of can start a group: it is read whole, with all that it imports."""
    if not _is_script(program) or not all(_is_closed(program, module.tree) for module in program.modules):
        return None
    for module in program.modules:
        if any(word.startswith(("init_", "initialize", "setup_dist")) and word != "init_seed" for word in module.words):
            return None
    for event in asking:
        plain = not any(_may_tell(condition) for condition, _ in steps(event.path))
        if plain and not _inside_try(event):
            return Premature(event, Origin(event.module, event.node), None)
    return None


def _is_script(program: Program) -> bool:
    return "__name__" in program.module.top_words


def _is_closed(program: Program, tree: cst.Module) -> bool:
    known = {id(module.tree) for module in program.modules}
    for node in everything_in(tree):
        if isinstance(node, cst.ImportFrom):
            names = [dotted_name(node.module) if node.module is not None else ""]
            level = len(node.relative)
        elif isinstance(node, cst.Import):
            names, level = [dotted_name(alias.name) for alias in node.names], 0
        else:
            continue
        for one in names:
            if level == 0 and one.partition(".")[0] in _NEUTRAL:
                continue
            file = program.project.find(program.module, one, level)
            module = file.module if file is not None else None
            if module is None or id(module.tree) not in known:
                return False
    return True
