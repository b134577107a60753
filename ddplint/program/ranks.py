"""The table of ``ddplint ranks``: what every process of one run would get, as the script computes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ddplint.program.hosts import is_host, is_loopback
from ddplint.program.module import Module
from ddplint.program.program import Program
from ddplint.program.reasons import at, code
from ddplint.program.received import Received, device, endpoint, number
from ddplint.program.remarks import no_start, remarks
from ddplint.program.starts import Arrival, Start, find_start
from ddplint.program.topology import Topology


@dataclass(frozen=True, slots=True)
class Cell:
    """One value: what it is, or why it is not known; ``trouble``: what is wrong with it. All None: there is none."""

    value: str | None = None
    why: str | None = None
    trouble: str | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One process: its node, its place among the processes of that node, and a cell for each column.

    The columns are ``rank``, ``local_rank``, ``device``, ``world_size``, ``master_addr`` and ``master_port``.
    """

    node: int
    local_rank: int
    values: Mapping[str, Cell]


@dataclass(frozen=True, slots=True)
class RankTable:
    """Every process of a run. ``remarks`` say what is true of the run as a whole."""

    launcher: str
    rows: tuple[Row, ...]
    remarks: tuple[str, ...]


def table(
    program: Program, nnodes: int, nproc_per_node: int, launcher: str | None, inputs: Mapping[str, Sequence[str]]
) -> RankTable:
    """What every process would get on ``nnodes`` nodes with ``nproc_per_node`` GPUs each.

    ``launcher`` is torchrun, spawn, srun or mpirun; None: what the script is written for. ``inputs`` are values of
    options and environment variables: one for all processes, one for each node, or one for each process.
    """
    start = find_start(program, Topology(nnodes, nproc_per_node), launcher, inputs)
    if start is None:
        return RankTable(launcher or "torchrun", (), tuple(no_start(program, launcher)))
    claims = [_claims(start, arrival, program.module) for arrival in start.arrivals]
    run = _Claims(start, claims, _holders(start, claims), start.arrived)
    rows = tuple(
        Row(arrival.place.node, arrival.place.local, _cells(run, position))
        for position, arrival in enumerate(start.arrivals)
    )
    arrived = [position for position, arrival in enumerate(start.arrivals) if arrival.obstacle is None]
    ranks = [claims[position]["rank"].value for position in arrived]
    worlds = [claims[position]["world_size"].value for position in arrived]
    return RankTable(start.name, rows, tuple(remarks(program, start, launcher, inputs, ranks, worlds)))


@dataclass(frozen=True, slots=True)
class _Claims:
    """What all processes claim, by process and column; who claims the same rank or GPU, and how many join."""

    start: Start
    claims: Sequence[Mapping[str, Received]]
    holders: Mapping[tuple[object, ...], Sequence[int]]
    arrived: int

    def value(self, position: int, name: str) -> Any:
        return self.claims[position][name].value

    def node(self, position: int) -> int:
        return self.start.arrivals[position].place.node

    def others(self, position: int, *key: object) -> str | None:
        """The other processes that claim the same, from where one of them stands."""
        others = [other for other in self.holders[key] if other != position]
        if len(others) != 1:
            return f"{len(others)} others" if others else None
        own, other = self.start.arrivals[position].place, self.start.arrivals[others[0]].place
        if own.node == other.node:
            return f"process {other.local}"
        return f"node {other.node}" if own.local == other.local else f"node {other.node} process {other.local}"


def _holders(start: Start, claims: Sequence[Mapping[str, Received]]) -> Mapping[tuple[object, ...], Sequence[int]]:
    found: dict[tuple[object, ...], list[int]] = {}
    for position, claim in enumerate(claims):
        found.setdefault(("rank", claim["rank"].value), []).append(position)
        found.setdefault(("device", start.arrivals[position].place.node, claim["device"].value), []).append(position)
    return found


def _claims(start: Start, arrival: Arrival, module: Module) -> dict[str, Received]:
    """What one process computes, by column."""
    place, group = arrival.place, arrival.group
    index = place.scenario.spawns[-1].index if place.scenario.spawns else None
    local = Received(place.local if index is None else place.settle(index))
    if arrival.obstacle is not None:
        nothing = Received(why=_kept_out(arrival, module))
        return {name: local if name == "local_rank" else nothing for name in _COLUMNS}
    address, port = endpoint(place, group, module)
    found = {
        "rank": number(place, group, "rank", module),
        "local_rank": local,
        "device": device(place, start.devices[id(group)], module),
        "world_size": number(place, group, "world_size", module),
        "master_addr": address,
        "master_port": port,
    }
    if start.scenario.launcher is None and not start.scenario.spawns:
        found["local_rank"] = Received()  # started by hand: nobody counts
    return found


_COLUMNS = ("rank", "local_rank", "device", "world_size", "master_addr", "master_port")


def _kept_out(arrival: Arrival, module: Module) -> str:
    assert arrival.obstacle is not None
    condition, truth = arrival.obstacle
    if condition.origin is None:
        return "this process starts no group"
    does = "does not hold" if truth else "holds"
    return f"this process starts no group: `{code(condition.origin)}` {does}{at(condition.origin, module)}"


# -- what is wrong --------------------------------------------------------------------------------------------------


def _cells(run: _Claims, position: int) -> dict[str, Cell]:
    cells: dict[str, Cell] = {}
    for name, received in run.claims[position].items():
        value = received.value
        if value is None:
            cells[name] = Cell(why=received.why)
            continue
        text = f"cuda:{value}" if name == "device" and isinstance(value, int) else str(value)
        trouble = _TROUBLES.get(name)
        cells[name] = Cell(text, None, trouble(run, position) if trouble is not None else None)
    return cells


def _rank_trouble(run: _Claims, position: int) -> str | None:
    rank, world = run.value(position, "rank"), run.value(position, "world_size")
    if not isinstance(rank, int):
        return f"{rank!r} is no number"
    others = run.others(position, "rank", rank)
    if others is not None:
        return f"also rank of {others}"
    if rank < 0 or (isinstance(world, int) and rank >= world):
        return f"no such rank in a world of {world}" if isinstance(world, int) else "no such rank"
    return None


def _device_trouble(run: _Claims, position: int) -> str | None:
    index, gpus = run.value(position, "device"), run.start.topology.nproc
    if not isinstance(index, int):
        return f"{index!r} is no index"
    if not 0 <= index < gpus:
        return f"no GPU {index}: a node has 0 to {gpus - 1}" if gpus > 1 else f"no GPU {index}: a node has only 0"
    others = run.others(position, "device", run.node(position), index)
    return f"also GPU of {others}" if others is not None else None


def _world_trouble(run: _Claims, position: int) -> str | None:
    world = run.value(position, "world_size")
    if not isinstance(world, int):
        return f"{world!r} is no number"
    count = run.arrived
    if world == count:
        return None
    return f"world size {world}, but {count} {'process runs' if count == 1 else 'processes run'}"


def _address_trouble(run: _Claims, position: int) -> str | None:
    address = str(run.value(position, "master_addr"))
    if run.node(position) > 0 and is_loopback(address):
        return f"{address} is this node"
    if not is_host(address):
        return f"{address} is a list of hosts" if "[" in address else f"{address!r} is no host"
    return _differs(run, position, "master_addr")


def _port_trouble(run: _Claims, position: int) -> str | None:
    port = str(run.value(position, "master_port"))
    if not (port.isdecimal() and int(port) < 65536):
        return f"{port!r} is no port"
    return _differs(run, position, "master_port")


def _differs(run: _Claims, position: int, name: str) -> str | None:
    first, own = run.value(0, name), run.value(position, name)
    return f"the first process has {first}" if first is not None and str(first) != str(own) else None


_TROUBLES: Mapping[str, Callable[[_Claims, int], str | None]] = {
    "rank": _rank_trouble,
    "device": _device_trouble,
    "world_size": _world_trouble,
    "master_addr": _address_trouble,
    "master_port": _port_trouble,
}
