"""Small scripts, read by the model on one side and really run by Python on the other.

:func:`run` executes the text of a script as one process of a job, with stand-ins for torch, and says what it hands to
``init_process_group``: the truth that the model is held against.
"""

from __future__ import annotations

import contextlib
import os
import sys
import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from ddplint.program import Program, load_project
from ddplint.program.group import Group
from ddplint.program.launchers import LAUNCHERS, TORCHRUN, Launcher, Role
from ddplint.program.topology import ABSENT, UNKNOWN, Answers, Infeasible, Process, Question, Scenario, Topology, Typed
from ddplint.program.values import Value
from ddplint.settings import Settings
from ddplint.sources import from_bytes, read

# What a person exports by hand on every node before starting a script that starts its own processes.
BY_HAND = {"NODE_RANK": Role.NODE_RANK, "NNODES": Role.NNODES, "NPROC_PER_NODE": Role.LOCAL_WORLD_SIZE}


def program(text: str) -> Program:
    """The model of a script that is a project of its own."""
    project = load_project([from_bytes(text.encode(), "train.py", None)], Settings())
    assert project.problems == []
    return project.programs[0]


def project(folder: Path, files: Mapping[str, str]) -> dict[str, Program]:
    """The models of several files that are linted together, by their names."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    loaded = load_project([read(folder / name, name) for name in files], Settings())
    assert loaded.problems == []
    return {one.path: one for one in loaded.programs}


# -- the truth ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Place:
    """One process of a job, and the arguments typed there; under spawn the script starts the processes of a node."""

    topology: Topology
    node: int
    local: int
    launcher: Launcher | None = TORCHRUN
    spawned: bool = False
    argv: tuple[str, ...] = ()

    def count(self, role: Role) -> object:
        """What ``role`` counts here, for a process that a launcher (or a person) starts."""
        nodes, nproc = self.topology.nnodes, self.topology.nproc
        return {
            Role.RANK: self.node if self.spawned else self.node * nproc + self.local,
            Role.LOCAL_RANK: 0 if self.spawned else self.local,
            Role.NODE_RANK: self.node,
            Role.WORLD_SIZE: nodes if self.spawned else nodes * nproc,
            Role.LOCAL_WORLD_SIZE: 1 if self.spawned else nproc,
            Role.NNODES: nodes,
            Role.GPUS: nproc,
            Role.MASTER_ADDR: "node0",
            Role.MASTER_PORT: 29500,
        }.get(role)

    def environ(self) -> dict[str, str]:
        """The environment that the process is started with."""
        if self.launcher is None:
            counted = {name: self.count(role) for name, role in BY_HAND.items()}
            return {name: str(value) for name, value in counted.items()} | {"NPROC_PER_NODE": str(self.topology.nproc)}
        counted = {name: self.count(role) for name, role in self.launcher.variables.items()}
        return {name: str(value) for name, value in counted.items() if value is not None}


def places(topology: Topology, launcher: Launcher | None = TORCHRUN, *, spawned: bool = False) -> list[Place]:
    """Every process of a job."""
    return [
        Place(topology, node, local, launcher, spawned)
        for node in range(topology.nnodes)
        for local in range(topology.nproc)
    ]


class _Child(BaseException):
    """The process that was asked for has been found among the children: leave the parent."""


@dataclass
class Started:
    """What one process handed to ``init_process_group``: its rank and world size as torch reads them."""

    rank: object
    world_size: object


def run(text: str, place: Place) -> Started | None:
    """Execute a script as one process. None if it never starts a group; what the script raises is raised."""
    started: list[Started] = []

    def init_process_group(
        backend: object = None,
        init_method: object = None,
        timeout: object = None,
        world_size: int | None = None,
        rank: int | None = None,
        store: object = None,
        **others: object,
    ) -> None:
        started.append(
            Started(
                int(os.environ["RANK"]) if rank is None else rank,
                os.environ.get("WORLD_SIZE") if world_size is None else world_size,
            )
        )
        raise _Child

    def spawn(fn: Any, args: Sequence[object] = (), nprocs: int = 1, join: bool = True, **others: object) -> None:
        if place.local < nprocs:
            fn(place.local, *args)
        raise _Child

    class ChildProcess:
        seen = 0

        def __init__(
            self, group: object = None, target: Any = None, name: object = None, args: Any = (), kwargs: Any = None
        ) -> None:
            self.work = lambda: target(*args, **(kwargs or {}))
            self.turn = ChildProcess.seen == place.local
            ChildProcess.seen += 1

        def start(self) -> None:
            if self.turn:
                self.work()
                raise _Child

        def join(self) -> None:
            pass

    modules = {
        name: types.ModuleType(name) for name in ("torch", "torch.cuda", "torch.distributed", "torch.multiprocessing")
    }
    modules["torch.cuda"].__dict__.update(device_count=lambda: place.topology.nproc, is_available=lambda: True)
    modules["torch.distributed"].__dict__.update(
        init_process_group=init_process_group, is_available=lambda: True, is_initialized=lambda: bool(started)
    )
    modules["torch.multiprocessing"].__dict__.update(
        spawn=spawn,
        start_processes=spawn,
        Process=ChildProcess,
        get_context=lambda method=None: types.SimpleNamespace(Process=ChildProcess),
    )
    for name, module in modules.items():
        parent, _, child = name.rpartition(".")
        if parent:
            setattr(modules[parent], child, module)
    main = types.ModuleType("__main__")
    modules["__main__"] = main  # dataclasses ask for the module of a class
    with (
        mock.patch.dict(sys.modules, modules),
        mock.patch.dict(os.environ, place.environ(), clear=True),
        mock.patch.object(sys, "argv", ["train.py", *place.argv]),
        contextlib.suppress(_Child),
    ):
        exec(compile(text, "train.py", "exec", dont_inherit=True), main.__dict__)
    return started[0] if started else None


# -- what the model says --------------------------------------------------------------------------------------------


def scenario(group: Group, launcher: Launcher | None) -> Scenario:
    """The way of starting a script that :class:`Place` stands for."""
    return Scenario(launcher, group.event.context)


class Exported(dict[object, object]):
    """Answers for a person who exported some variables, by role or as a text, and no others."""

    def __init__(self, variables: Mapping[str, Role | str]) -> None:
        roles = {name: Typed(told) if isinstance(told, Role) else told for name, told in variables.items()}
        super().__init__({("variable", name): told for name, told in roles.items()})

    def __contains__(self, key: object) -> bool:
        return super().__contains__(key) or (isinstance(key, tuple) and key[0] == "variable")

    def __missing__(self, key: object) -> object:
        return ABSENT


def processes(group: Group, topology: Topology, launcher: Launcher | None, answers: Answers) -> list[Process] | None:
    """The processes of the model that reach the group; None if not all do."""
    try:
        return group.processes(scenario(group, launcher), topology, answers)
    except Infeasible:
        return None


def value(process: Process, of: Value | None) -> object:
    """A value in one process of the model: a plain number or text, UNKNOWN, or Infeasible itself."""
    if of is None:
        return UNKNOWN
    try:
        return process.evaluate(of)
    except Infeasible:
        return Infeasible
    except Question as question:
        if isinstance(question.key, tuple) and question.key[0] == "condition":
            return UNKNOWN  # which way a condition goes is not known here
        raise


def ranks(text: str, topology: Topology, launcher: Launcher | None = TORCHRUN) -> list[object]:
    """The rank of every process of a job, as the model computes it for the first group of a script."""
    group = program(text).groups[0]
    answers = Exported(BY_HAND if launcher is None else {})
    found = processes(group, topology, launcher, answers)
    assert found is not None, "the group is not reached"
    return [value(process, group.rank) for process in found]


def true_ranks(
    text: str, topology: Topology, launcher: Launcher | None = TORCHRUN, *, spawned: bool = False
) -> list[object]:
    """The rank of every process of a job, as Python computes it."""
    found = [run(text, place) for place in places(topology, launcher, spawned=spawned)]
    assert None not in found, "the group is not reached"
    return [one.rank for one in found if one is not None]


__all__ = [
    "BY_HAND",
    "LAUNCHERS",
    "Exported",
    "Place",
    "Started",
    "places",
    "processes",
    "program",
    "project",
    "ranks",
    "run",
    "scenario",
    "true_ranks",
    "value",
]
