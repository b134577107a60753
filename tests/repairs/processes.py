"""The processes of a job whose script has torch's stand-in: each is run in turn, and notes what it did."""

from __future__ import annotations

import builtins
import copy
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import CodeType, ModuleType
from typing import Any
from unittest import mock


@dataclass
class Process:
    """One process: its true place, and everything that it did, in order."""

    node: int
    local: int
    each: int
    environment: Environment
    code: Mapping[str, CodeType]  # by the name of the module; "train" is the script
    events: list[tuple[object, ...]] = field(default_factory=list)
    group: tuple[int, int] | None = None
    started: list[Process] = field(default_factory=list)

    def all(self, event: str) -> list[tuple[object, ...]]:
        """What is known about all events of this kind."""
        return [entry[1:] for entry in self.events if entry[0] == event]


class Environment(dict[str, str]):
    """``os.environ`` of one process; like the real one it takes nothing but text."""

    def __setitem__(self, name: str, text: str) -> None:
        if not isinstance(name, str) or not isinstance(text, str):
            raise TypeError(f"str expected, not {type(text).__name__}")
        super().__setitem__(name, text)

    def setdefault(self, name: str, text: str) -> str:  # type: ignore[override]
        if name not in self:
            self[name] = text
        return self[name]

    def update(self, *others: Any, **texts: str) -> None:
        for name, text in dict(*others, **texts).items():
            self[name] = text


_current: list[Process] = []
ENVIRON = Environment()


def here() -> Process:
    """The process that is running."""
    return _current[-1]


def record(*event: object) -> None:
    here().events.append(event)


def execute(process: Process, arguments: Sequence[str]) -> None:
    """Run the script as the main module of a process."""
    with _as(process), mock.patch.object(sys, "argv", ["train.py", *arguments]):
        try:
            _executed(process, "__main__")
        except SystemExit as ended:
            raise AssertionError(f"the script ends itself with {ended.code}") from None


@contextmanager
def _as(process: Process) -> Iterator[None]:
    # One object with changing contents: after a fork, a name for it in the script is one for the child's own.
    before = dict(ENVIRON)
    _current.append(process)
    _contain(process.environment)
    try:
        with mock.patch.object(os, "environ", ENVIRON):
            yield
    finally:
        _current.pop()
        process.environment = Environment(ENVIRON)
        _contain(before)


def _contain(variables: Mapping[str, str]) -> None:
    ENVIRON.clear()
    ENVIRON.update(variables)


def _namespace(name: str) -> dict[str, Any]:
    def print_(*values: object, **_: object) -> None:
        record("print", " ".join(map(str, values)))

    return {"__name__": name, "__builtins__": {**vars(builtins), "print": print_}}


def _executed(process: Process, name: str) -> dict[str, Any]:
    """What the script defines, after its own modules have been imported anew."""
    for own, code in process.code.items():
        if own != "train":
            module = ModuleType(own)
            vars(module).update(_namespace(own))
            sys.modules[own] = module
            exec(code, vars(module))
    namespace = _namespace(name)
    exec(process.code["train"], namespace)
    return namespace


def start(function: Callable[..., object], arguments: Sequence[object], position: int, anew: bool) -> None:
    """Run a function in a process of its own. ``anew``: it is spawned, and runs the script first; otherwise forked."""
    parent = here()
    process = Process(parent.node, position, parent.each, Environment(ENVIRON), parent.code)
    parent.started.append(process)
    with _as(process):
        if anew:
            function = _executed(process, "__mp_main__")[function.__name__]
        function(*copy.deepcopy(tuple(arguments)))
