"""The table of ``ddplint ranks``: what every process of one run would get, as the script computes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

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
    rows = tuple(
        Row(arrival.place.node, arrival.place.local, _cells(start, position, claims))
        for position, arrival in enumerate(start.arrivals)
    )
    ranks = [claim["rank"].value for claim in claims]
    worlds = [claim["world_size"].value for claim in claims]
    return RankTable(start.name, rows, tuple(remarks(program, start, launcher, inputs, ranks, worlds)))


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


def _cells(start: Start, position: int, claims: Sequence[Mapping[str, Received]]) -> dict[str, Cell]:
    cells: dict[str, Cell] = {}
    for name, received in claims[position].items():
        value = received.value
        text = f"cuda:{value}" if name == "device" and isinstance(value, int) else str(value)
        cells[name] = Cell(None if value is None else text, received.why)
        trouble = None if value is None else _TROUBLES[name](start, position, claims)
        if trouble is not None:
            cells[name] = replace(cells[name], trouble=trouble)
    return cells


def _rank_trouble(start: Start, position: int, claims: Sequence[Mapping[str, Received]]) -> str | None:
    rank, world = claims[position]["rank"].value, claims[position]["world_size"].value
    if not isinstance(rank, int):
        return f"{rank!r} is no number"
    others = [other for other, claim in enumerate(claims) if other != position and claim["rank"].value == rank]
    if others:
        return f"also rank of {_named(start, position, others)}"
    if rank < 0 or (isinstance(world, int) and rank >= world):
        return f"no such rank in a world of {world}" if isinstance(world, int) else "no such rank"
    return None


def _device_trouble(start: Start, position: int, claims: Sequence[Mapping[str, Received]]) -> str | None:
    index, gpus = claims[position]["device"].value, start.topology.nproc
    if not isinstance(index, int):
        return f"{index!r} is no index"
    if not 0 <= index < gpus:
        return f"no GPU {index}: a node has 0 to {gpus - 1}" if gpus > 1 else f"no GPU {index}: a node has only 0"
    node = start.arrivals[position].place.node
    others = [
        other
        for other, claim in enumerate(claims)
        if other != position and claim["device"].value == index and start.arrivals[other].place.node == node
    ]
    return f"also GPU of {_named(start, position, others)}" if others else None


def _world_trouble(start: Start, position: int, claims: Sequence[Mapping[str, Received]]) -> str | None:
    world = claims[position]["world_size"].value
    if not isinstance(world, int):
        return f"{world!r} is no number"
    count = len(claims)
    if world == count:
        return None
    return f"world size {world}, but {count} {'process runs' if count == 1 else 'processes run'}"


def _address_trouble(start: Start, position: int, claims: Sequence[Mapping[str, Received]]) -> str | None:
    address, node = claims[position]["master_addr"].value, start.arrivals[position].place.node
    if node > 0 and is_loopback(str(address)):
        return f"{address} is this node"
    if not is_host(str(address)):
        return f"{address} is a list of hosts" if "[" in str(address) else f"{address!r} is no host"
    return _differs(position, claims, "master_addr")


def _port_trouble(start: Start, position: int, claims: Sequence[Mapping[str, Received]]) -> str | None:
    port = str(claims[position]["master_port"].value)
    if not (port.isdecimal() and int(port) < 65536):
        return f"{port!r} is no port"
    return _differs(position, claims, "master_port")


def _differs(position: int, claims: Sequence[Mapping[str, Received]], name: str) -> str | None:
    first, own = claims[0][name].value, claims[position][name].value
    return f"the first process has {first}" if first is not None and str(first) != str(own) else None


_TROUBLES = {
    "rank": _rank_trouble,
    "local_rank": lambda start, position, claims: None,
    "device": _device_trouble,
    "world_size": _world_trouble,
    "master_addr": _address_trouble,
    "master_port": _port_trouble,
}


def _named(start: Start, position: int, others: Sequence[int]) -> str:
    """The processes that claim the same, from where one of them stands."""
    if len(others) > 1:
        return f"{len(others)} others"
    own, other = start.arrivals[position].place, start.arrivals[others[0]].place
    if own.node == other.node:
        return f"process {other.local}"
    return f"node {other.node}" if own.local == other.local else f"node {other.node} process {other.local}"
