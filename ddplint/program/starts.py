"""The ways in which a script can be started on given nodes, and which of them a person most likely means."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ddplint.program import launchers
from ddplint.program.events import Event, Spawn
from ddplint.program.group import Group
from ddplint.program.launchers import HYDRA, MVAPICH, OPENMPI, RENDEZVOUS, SRUN, TORCHRUN, Launcher
from ddplint.program.place import EXPORTED, Place, typed_at, with_defaults
from ddplint.program.program import Program
from ddplint.program.received import Received, number, receive
from ddplint.program.state import steps
from ddplint.program.topology import Scenario, Topology
from ddplint.program.values import EnvHas, EnvVar, Input, Value

# No node has as many GPUs, and nobody reads a table of more processes.
MOST_PROCESSES = 1024


@dataclass(frozen=True, slots=True)
class Start:
    """One way of starting a script.

    ``arrivals`` are its processes, each with the process group it gets to and, if it gets to none, the condition that
    does not hold for it. ``supposed`` are conditions that were taken to hold because otherwise nobody arrives.
    ``count`` is how many processes the script starts on a node, where it starts any. ``devices`` are the events that
    choose a GPU, by the id of the group. ``groups`` are those that can be started so.
    """

    scenario: Scenario
    topology: Topology
    arrivals: tuple[Arrival, ...]
    supposed: tuple[tuple[Value, bool], ...]
    count: Received | None
    devices: Mapping[int, Sequence[Event]]
    groups: tuple[Group, ...]

    @property
    def arrived(self) -> int:
        """How many processes get to a process group."""
        return sum(arrival.obstacle is None for arrival in self.arrivals)

    @property
    def name(self) -> str:
        """Who starts the processes."""
        if self.scenario.legacy:
            return "torch.distributed.launch"
        if self.scenario.launcher is not None:
            return self.scenario.launcher.name
        return "spawn" if self.scenario.spawns else "hand"


@dataclass(frozen=True, slots=True)
class Arrival:
    """A process, and the group that it gets to; else what keeps it from the first one."""

    place: Place
    group: Group
    obstacle: tuple[Value, bool] | None


def find_start(
    program: Program, topology: Topology, launcher: str | None, inputs: Mapping[str, Sequence[str]]
) -> Start | None:
    """The start that was asked for; without ``launcher``, the one with which the most processes get somewhere.

    None if no process group can be started so.
    """
    made = [
        start_with(program, topology, scenario, groups, inputs) for scenario, groups in _scenarios(program, launcher)
    ]
    return max(made, key=lambda start: _arrived(start, program), default=None)  # the first of equals


def _arrived(start: Start, program: Program) -> tuple[int, int]:
    """How many processes get to a group, and how many of those with a rank."""
    if any(not exported_by_hand(condition) for condition, _ in start.supposed):
        return 0, 0
    arrived = [one for one in start.arrivals if one.obstacle is None]
    ranks = [number(one.place, one.group, "rank", program.module) for one in arrived]
    return len(arrived), sum(rank.value is not None for rank in ranks)


def exported_by_hand(condition: Value) -> bool:
    """Whether a condition asks for a variable that no launcher sets, so that a person may well have exported it."""
    return isinstance(condition, EnvHas) and (launchers.owner(condition.name) is None or condition.name in EXPORTED)


def called_groups(program: Program) -> list[Group]:
    """The groups that the script starts when it is run; if there are none, those in functions that nobody calls."""
    called = {id(event) for event in program.entry_run.events}
    return [group for group in program.groups if id(group.event) in called] or list(program.groups)


def _scenarios(program: Program, launcher: str | None) -> Iterator[tuple[Scenario, list[Group]]]:
    """The scenarios to choose from, best first: processes that the script starts itself, then torchrun, then others."""
    groups = called_groups(program)
    direct = [group for group in groups if not group.event.context]
    spawned: list[tuple[tuple[Spawn, ...], list[Group]]] = []
    for group in groups:
        context = group.event.context
        if context and spawned and spawned[-1][0] == context:
            spawned[-1][1].append(group)
        elif context:
            spawned.append((context, [group]))
    mentioned = {one for group in groups for one in group.mentioned}
    if launcher in (None, "spawn"):
        yield from ((Scenario(None, context), several) for context, several in spawned)
    if launcher != "spawn" and direct:
        if launcher is None and not mentioned and _only_typed(direct):
            yield Scenario(None), direct
        yield from ((Scenario(one), direct) for one in _launchers(launcher, mentioned))
        if launcher is None and program.launch_passes_local_rank:
            yield Scenario(TORCHRUN, legacy=True), direct
    if launcher not in (None, "spawn"):
        one = _launchers(launcher, mentioned)[0]
        yield from ((Scenario(one, context), several) for context, several in spawned)


def _launchers(launcher: str | None, mentioned: set[Launcher]) -> list[Launcher]:
    if launcher is None:
        return [one for one in launchers.LAUNCHERS if one in mentioned] or [TORCHRUN]
    if launcher == "mpirun":
        return [next((one for one in (OPENMPI, HYDRA, MVAPICH) if one in mentioned), OPENMPI)]
    return [SRUN if launcher == "srun" else TORCHRUN]


def _only_typed(groups: Sequence[Group]) -> bool:
    """Whether ranks come from the command line alone: then a person starts every process."""
    parts = list(with_defaults([group.rank for group in groups if group.rank is not None]))
    # torch.distributed.launch passes --local_rank
    return any(isinstance(part, Input) and part.name != "local_rank" for part in parts) and not any(
        isinstance(part, EnvVar) for part in parts
    )


def start_with(
    program: Program,
    topology: Topology,
    scenario: Scenario,
    groups: Sequence[Group],
    inputs: Mapping[str, Sequence[str]],
) -> Start:
    """The start in one scenario, with what is typed."""
    devices = {id(group): _devices(program, group) for group in groups}
    options = {part.id: part for part in with_defaults(_values(groups, devices)) if isinstance(part, Input)}
    module = program.module

    def place(node: int, local: int, started: int, position: int) -> Place:
        typed = typed_at(inputs, topology.nnodes, node, position)
        return Place(scenario, topology, node, local, {}, {}, started, typed=typed, options=options)

    places: list[Place] = []
    count: Received | None = None
    for node in range(topology.nnodes):
        started = topology.nproc
        if scenario.spawns and scenario.spawns[-1].count is not None:
            parent = place(node, 0, started, len(places))
            told = receive(parent, scenario.spawns[-1].count.value, module)
            count = count or told
            if isinstance(told.value, int):
                started = max(0, min(told.value, MOST_PROCESSES))
        places += [place(node, local, started, len(places) + local) for local in range(started)]
    supposed: list[tuple[Value, bool]] = []
    arrivals = [_arrive(one, groups) for one in places]
    while arrivals and all(one.obstacle is not None for one in arrivals):
        # nobody gets there: show what would be, were it not for this condition
        obstacle = arrivals[0].obstacle
        if obstacle is None or any(obstacle[0].id == condition.id for condition, _ in supposed):
            break  # it never gets there
        supposed.append(obstacle)
        for one in places:
            one.suppose(*obstacle)
        arrivals = [_arrive(one, groups) for one in places]
    return Start(scenario, topology, tuple(arrivals), tuple(supposed), count, devices, tuple(groups))


def _arrive(place: Place, groups: Sequence[Group]) -> Arrival:
    """The first group that a process gets to."""
    blocked: list[Arrival] = []
    for group in groups:
        assumed = dict(place.assumed)
        obstacle = place.obstacle(steps(group.event.path))
        if obstacle is None:
            return Arrival(place, group, None)
        blocked.append(Arrival(place, group, obstacle))
        place.assumed.clear()
        place.assumed.update(assumed)
        place.forget()
    return blocked[0]


def _devices(program: Program, group: Group) -> Sequence[Event]:
    """The GPUs that are chosen by index in the kind of process that starts a group."""
    for run in program.runs:
        if any(event is group.event for event in run.events):
            return [event for event in run.events if event.kind == "device" and event.context == group.event.context]
    return []


def _values(groups: Sequence[Group], devices: Mapping[int, Sequence[Event]]) -> Iterator[Value]:
    """Everything that is computed for the table, and the conditions on the way."""
    for group in groups:
        for event in (group.event, *devices[id(group)]):
            yield from (argument.value for argument in event.arguments.values())
            yield from (condition for condition, _ in steps(event.path))
        yield from (value for name, value in group.event.environ.items() if name in RENDEZVOUS)
        yield from (spawn.count.value for spawn in group.event.context if spawn.count is not None)
