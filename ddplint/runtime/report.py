"""Who this process is, who says so and what is wrong with it, for people and for programs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from ddplint.runtime.detection import OVERRIDE, detect
from ddplint.runtime.launchers.launcher import Environ, Read, unreadable
from ddplint.runtime.problem import ERROR, Problem
from ddplint.runtime.topology import DetectionError, Field, Topology
from ddplint.runtime.validation import problems

# Of the JSON; a new one where a program that reads the old one would go wrong.
VERSION = 1
_NAMES = tuple(name for name, _ in Topology("").fields())
_NOTHING: dict[str, object] = {
    "value": None,
    "source": None,
    "others": [],
    "reason": "the environment could not be resolved",
}


@dataclass(frozen=True)
class Report:
    """A topology, where there is one, and its problems."""

    topology: Topology | None
    problems: tuple[Problem, ...]

    @property
    def fails(self) -> bool:
        return any(problem.severity == ERROR for problem in self.problems)


Look = Callable[[Topology, Environ], Iterable[Problem]]


def report(
    environ: Environ, read: Read = unreadable, launcher: str | None = None, look: Look = lambda topology, environ: ()
) -> Report:
    """Resolve an environment and look for what is wrong; what cannot be resolved is a problem as well.

    ``look`` adds what only the machine of the process shows.
    """
    try:
        topology = detect(environ, read, launcher)
        return Report(topology, tuple(dict.fromkeys((*problems(topology, environ), *look(topology, environ)))))
    except DetectionError as error:
        return Report(None, (_undecided(error),))


def _undecided(error: DetectionError) -> Problem:
    return Problem(
        ERROR,
        str(error),
        "the variables of one launcher say where this process stands, and no others contradict",
        f"unset or correct the variables named above, or name the launcher that is right: {OVERRIDE}=NAME",
    )


def as_json(result: Report) -> str:
    """The documented JSON; a value that the launcher does not give is null, with a reason."""
    found = dict(result.topology.fields()) if result.topology else {}
    data = {
        "version": VERSION,
        "launcher": result.topology.launcher if result.topology else None,
        "inside": list(result.topology.inside) if result.topology else [],
        "fields": {name: _field(found[name]) if found else _NOTHING for name in _NAMES},
        "problems": [
            {
                "severity": problem.severity,
                "detected": problem.detected,
                "requirement": problem.requirement,
                "fix": problem.fix,
            }
            for problem in result.problems
        ],
    }
    return json.dumps(data, indent=2)


def _field(field: Field[Any]) -> dict[str, object]:
    value: dict[str, object] = {
        "value": list(field.value) if isinstance(field.value, tuple) else field.value,
        "source": field.source,
        "others": [{"source": claim.source, "value": claim.value} for claim in field.others],
    }
    if field.reason is not None:
        value["reason"] = field.reason
    return value


def as_text(result: Report) -> str:
    """The table of values, sources and other claims, and below it the problems."""
    blocks: list[str] = []
    if result.topology is not None:
        blocks.append("\n".join(_table(result.topology)))
    blocks += [f"{problem.severity}\n{problem}" for problem in result.problems]
    return "\n\n".join(blocks) + "\n"


def _table(topology: Topology) -> Iterator[str]:
    around = f", started inside {' and '.join(topology.inside)}" if topology.inside else ""
    yield f"launcher: {topology.launcher}{around}"
    rows = [(name.replace("_", " "), *_cells(field)) for name, field in topology.fields()]
    names, values = (max(len(row[column]) for row in rows) for column in range(2))
    for name, value, source in rows:
        yield f"  {name:{names}}  {value:{values}}  {source}".rstrip()


def _cells(field: Field[Any]) -> tuple[str, str]:
    others = [f"{claim.source}={_shown(claim.value)}" for claim in field.others]
    if field.value is None:
        return "-", "; ".join([field.reason or "", *others])
    also = f" (also {', '.join(others)})" if others else ""
    return _shown(field.value), f"{field.source}{also}"


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return ",".join(value) if len(value) < 3 else f"{value[0]} and {len(value) - 1} more"
    return str(value)
