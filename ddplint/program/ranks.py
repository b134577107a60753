"""The table of ``ddplint ranks``: what every process of one run would get, as the script computes it.

A script can be started in more than one way and may start its process group in more than one place. The table shows
the launcher that was asked for, else the one with which the most processes get to a process group with a known rank;
of equals, processes that the script starts itself come first, then torchrun.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ddplint.program import launchers
from ddplint.program.endpoint import NOWHERE, endpoint, from_environment
from ddplint.program.events import Event, Spawn
from ddplint.program.group import Group
from ddplint.program.hosts import is_loopback
from ddplint.program.launchers import HYDRA, MVAPICH, OPENMPI, SRUN, TORCHRUN, Launcher, Role
from ddplint.program.place import Conditions, Place, typed_at, with_defaults
from ddplint.program.program import Program
from ddplint.program.reasons import at, code, example, flag, reason
from ddplint.program.topology import OTHER, UNKNOWN, Infeasible, Scenario, Topology
from ddplint.program.values import EnvHas, EnvVar, Input, Origin, Value

COLUMNS = ("rank", "local_rank", "device", "world_size", "master_addr", "master_port")

# More processes than this on one node are nothing that anybody reads, and no node has as many GPUs.
_MOST_PROCESSES = 1024


@dataclass(frozen=True, slots=True)
class Cell:
    """One value: what it is, or why it is not known; ``trouble``: what is wrong with it. All None: there is none."""

    value: str | None = None
    why: str | None = None
    trouble: str | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One process, by its node and its place among the processes of that node."""

    node: int
    local_rank: int
    values: Mapping[str, Cell]


@dataclass(frozen=True, slots=True)
class RankTable:
    """Every process of a run; ``remarks`` say what is true of the run as a whole."""

    launcher: str
    rows: tuple[Row, ...]
    remarks: tuple[str, ...]


def table(
    program: Program, nnodes: int, nproc_per_node: int, launcher: str | None, inputs: Mapping[str, Sequence[str]]
) -> RankTable:
    """What every process would get on ``nnodes`` nodes with ``nproc_per_node`` GPUs each.

    ``launcher`` is torchrun, spawn, srun or mpirun; None: the one that the script is written for. ``inputs`` are values
    of options and environment variables: one for all processes, one for each node, or one for each process.
    """
    topology = Topology(nnodes, nproc_per_node)
    ways = [_Way(program, topology, scenario, groups, inputs) for scenario, groups in _ways(program, launcher)]
    if not ways:
        return RankTable(launcher or "torchrun", (), tuple(_no_group(program, launcher)))
    chosen = max(ways, key=lambda way: way.score)  # the first of equals
    return chosen.table(launcher)


# -- ways of starting it --------------------------------------------------------------------------------------------


def _ways(program: Program, launcher: str | None) -> Iterator[tuple[Scenario, list[Group]]]:
    """The scenarios to choose from, best first, each with the groups that are started in it."""
    called = {id(event) for event in program.entry_run.events}
    groups = [group for group in program.groups if id(group.event) in called] or list(program.groups)
    spawned: list[tuple[tuple[Spawn, ...], list[Group]]] = []
    direct: list[Group] = []
    for group in groups:
        context = group.event.context
        if not context:
            direct.append(group)
        elif spawned and spawned[-1][0] == context:
            spawned[-1][1].append(group)
        else:
            spawned.append((context, [group]))
    mentioned = {one for group in groups for one in group.mentioned}
    if launcher in (None, "spawn"):
        yield from ((Scenario(None, context), several) for context, several in spawned)
    if launcher == "spawn":
        return
    if direct:
        if launcher is None and not mentioned and _typed_ranks(direct):
            yield Scenario(None), direct
        yield from ((Scenario(one), direct) for one in _starters(launcher, mentioned))
    if launcher is not None:
        starter = next(iter(_starters(launcher, mentioned)))
        yield from ((Scenario(starter, context), several) for context, several in spawned)


def _starters(launcher: str | None, mentioned: set[Launcher]) -> list[Launcher]:
    if launcher is None:
        # what nothing in the script speaks of is still started by torchrun
        return [one for one in launchers.LAUNCHERS if one in mentioned] or [TORCHRUN]
    if launcher == "mpirun":
        return [next((one for one in (OPENMPI, HYDRA, MVAPICH) if one in mentioned), OPENMPI)]
    return [SRUN if launcher == "srun" else TORCHRUN]


def _typed_ranks(groups: Sequence[Group]) -> bool:
    """Whether a rank comes from the command line alone: then a person starts every process."""
    parts = [part for group in groups if group.rank is not None for part in with_defaults([group.rank])]
    return any(isinstance(part, Input) for part in parts) and not any(isinstance(part, EnvVar) for part in parts)


def _no_group(program: Program, launcher: str | None) -> Iterator[str]:
    managed = list(dict.fromkeys((event.name, event.module.positions.line(event.node)) for event in program.events("managed")))
    if program.groups:
        yield "the script starts no processes itself: leave out --launcher, or name another one"
    elif managed:
        names = ", ".join(f"{name} (line {line})" for name, line in managed[:3])
        yield f"the script starts no process group itself: a framework does it: {names}"
    else:
        yield "the script starts no process group"


# -- one way --------------------------------------------------------------------------------------------------------


class _Way:
    """One way of starting the script: its processes, and the process group that each of them gets to."""

    def __init__(
        self,
        program: Program,
        topology: Topology,
        scenario: Scenario,
        groups: list[Group],
        inputs: Mapping[str, Sequence[str]],
    ) -> None:
        self.program, self.module = program, program.module
        self.topology, self.scenario, self.groups, self.inputs = topology, scenario, groups, inputs
        self.devices = self._devices()
        self.parts = list(with_defaults(self._values()))
        self.options = {part.id: part for part in self.parts if isinstance(part, Input)}
        self.options.update((option.id, option) for option in program.options)
        self.remarks: dict[str, None] = {}
        self.places = self._places()
        self.reached = [self._reached(place) for place in self.places]
        if self.places and not any(self.reached):
            self._suppose()

    @property
    def score(self) -> tuple[int, int]:
        """How many processes get to a group, and how many of those with a rank."""
        arrived = [(place, group) for place, group in zip(self.places, self.reached, strict=True) if group is not None]
        if self.remarks.get(_SUPPOSED, False) is None:
            return 0, 0
        return len(arrived), sum(_is_int(self.number(place, group, "rank")) for place, group in arrived)
