"""Master addresses and ports that a script writes down itself."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from ddplint.program import launchers
from ddplint.program.group import Group
from ddplint.program.judge import possible, sources
from ddplint.program.program import Program
from ddplint.program.state import Path
from ddplint.program.values import Choice, Const, EnvHas, EnvVar, Input, Op, Origin, Value, negate, walk

_LOOPBACK = re.compile(r"^(localhost(\.localdomain)?|ip6-localhost|127(\.\d+){3}|::1|0\.0\.0\.0)$", re.I)
_HOST = re.compile(r"^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$|^[0-9A-Fa-f:]+$")
_URL = re.compile(r"^tcp://(\[[^\]]*\]|[^:/?\[]*)(?::([^/?]*))?")


@dataclass(frozen=True, slots=True)
class Written:
    """A host or port that stands in the source: its text, where, and whether an option can change it."""

    text: str
    origin: Origin
    option: Input | None


def is_loopback(host: str) -> bool:
    """Whether an address means "this machine" on every machine."""
    return _LOOPBACK.match(host) is not None


def is_host(text: str) -> bool:
    """Whether a text can be a host name or address at all."""
    return _HOST.match(text) is not None


def is_port(text: str) -> bool:
    """Whether a text is a number that a port can have."""
    return text.strip().isdigit() and 1 <= int(text) <= 65535


def guarded(path: Path | None, name: str | None = None) -> bool:
    """Whether a place is only reached where the environment or a single-node test allows it.

    ``if "MASTER_ADDR" not in os.environ``, the last branch of a launcher chain, ``if world_size == 1``.
    """
    items = path.items() if path else []
    there = {
        launcher
        for condition, truth in items
        if isinstance(condition, EnvHas) and truth and (launcher := launchers.owner(condition.name)) is not None
    }
    for condition, truth in items:
        if not truth and name is not None and name in sources(condition):
            return True  # however it is written: the variable that is stored here was found wanting
        if _falls_back(condition, truth):
            missing = {launchers.owner(name) for name in sources(condition) if name not in launchers.RENDEZVOUS[2:]}
            missing.discard(None)
            # "torchrun did not start it" is no single-machine fallback where another launcher did
            if not missing or not (there - missing):
                return True
    return False


def _falls_back(condition: Value, truth: bool) -> bool:
    """Whether a condition holds only where the environment says nothing, or for a single process."""
    if isinstance(condition, (EnvHas, EnvVar)):
        return not truth  # not set, or set to nothing
    if isinstance(condition, Op) and condition.name == "not":
        return _falls_back(condition.args[0], not truth)
    if isinstance(condition, Op) and condition.name in ("and", "or"):
        # one such part decides a conjunction; of a disjunction every part must be one
        every = (condition.name == "or") == truth
        parts = [_falls_back(part, truth) for part in condition.args]
        return all(parts) if every else any(parts)
    return _counts_one(condition, truth) or _is_default(condition, truth)


def _is_default(condition: Value, truth: bool) -> bool:
    """``os.environ.get("MASTER_ADDR", "") == ""``: true where the variable is not set."""
    if not (isinstance(condition, Op) and condition.name in ("eq", "ne") and (condition.name == "eq") is truth):
        return False
    for one, two in (condition.args, condition.args[::-1]):
        if isinstance(one, Choice) and isinstance(one.condition, EnvHas) and one.other.id == two.id:
            return True
    return False


def _counts_one(condition: Value, truth: bool) -> bool:
    """A test that holds only for one process or one node: ``nnodes == 1``, not ``world_size > 1``."""
    if not (isinstance(condition, Op) and len(condition.args) == 2):
        return False
    name = (
        condition.name
        if truth
        else {"gt": "le", "ge": "lt", "ne": "eq", "lt": "ge", "le": "gt"}.get(condition.name, "")
    )
    bound = condition.args[1]
    if not (isinstance(bound, Const) and isinstance(bound.value, int)):
        return False
    return (name == "eq" and bound.value in (0, 1, -1)) or (name in ("lt", "le") and bound.value <= 2)


# What a value may come down to where the script itself says what it is.
_TOLD = (Const, Input, Op)


def written(value: Value, origin: Origin, path: Path | None = None) -> list[Written]:
    """The literals that a value may come down to; empty where the environment can decide it."""
    if sources(value) or any(not isinstance(leaf, _TOLD) for leaf in possible(value)):
        return []  # the environment decides, or something that the model does not know
    found: list[Written] = []
    _collect(value, origin, None, found, path)
    return found


def _collect(
    value: Value, origin: Origin, option: Input | None, found: list[Written], path: Path | None = None
) -> None:
    if isinstance(value, Choice):
        asked = next((part for part in walk(value.condition) if isinstance(part, Input)), None)
        for side, truth in ((value.then, True), (value.other, False)):
            if not _opted_in(value.condition, truth, path):
                _collect(side, origin, option or asked, found, path)
    elif isinstance(value, Const) and isinstance(value.value, (str, int)) and not isinstance(value.value, bool):
        found.append(Written(str(value.value), value.origin or origin, option))
    elif isinstance(value, Input) and value.spec is not None and value.spec.default is not None:
        default = value.spec.default
        if not sources(default):
            _collect(default, value.spec.origin, value, found, path)
    elif isinstance(value, Op) and value.name in ("str", "int"):
        _collect(value.args[0], origin, option, found, path)


def _opted_in(condition: Value, truth: bool, path: Path | None) -> bool:
    """Whether somebody must type a special value to get here (``dist_url == "auto"``), or the environment be empty.

    Or a test inside the branch let only one machine through: the path remembers what a branch implied.
    """
    if _falls_back(condition, truth) or _implied(condition, truth, path):
        return True
    if not (isinstance(condition, Op) and condition.name == "eq" and truth):
        return False
    for one, two in (condition.args, condition.args[::-1]):
        if isinstance(one, Input) and isinstance(two, Const) and isinstance(two.value, str):
            default = one.spec.default if one.spec else None
            return default is None or default.id != two.id
    return False


def _implied(condition: Value, truth: bool, path: Path | None) -> bool:
    excluded = (negate(condition) if truth else condition).id
    for known, holds in path.items() if path else ():
        if holds and isinstance(known, Op) and known.name == "or" and known.args[0].id == excluded:
            return any(_falls_back(part, True) for part in _conjuncts(known.args[1]))
    return False


def _conjuncts(value: Value) -> tuple[Value, ...]:
    return value.args if isinstance(value, Op) and value.name == "and" else (value,)


def url_parts(value: Value, origin: Origin, path: Path | None = None) -> tuple[list[Written], list[Written]]:
    """The literal hosts and the literal ports of an ``init_method`` URL."""
    hosts: list[Written] = []
    ports: list[Written] = []
    if isinstance(value, Choice):
        for side, truth in ((value.then, True), (value.other, False)):
            if not _opted_in(value.condition, truth, path):
                more = url_parts(side, origin, path)
                hosts += more[0]
                ports += more[1]
        return hosts, ports
    if isinstance(value, Input) and value.spec is not None and isinstance(value.spec.default, Op):
        hosts, ports = url_parts(value.spec.default, value.spec.origin, path)
        return [replace(one, option=value) for one in hosts], [replace(one, option=value) for one in ports]
    if isinstance(value, Op) and value.name == "format":
        return _formatted_url(value, origin)
    for text in written(value, origin, path):
        match = _URL.match(text.text)
        if match:
            hosts.append(Written(match.group(1).strip("[]"), text.origin, text.option))
            if match.group(2):
                ports.append(Written(match.group(2), text.origin, text.option))
    return hosts, ports


def _formatted_url(value: Op, origin: Origin) -> tuple[list[Written], list[Written]]:
    first = value.args[0]
    if not (isinstance(first, Const) and str(first.value).startswith("tcp://")):
        return [], []
    made = value.origin or origin
    prefix = str(first.value)[len("tcp://") :]
    hosts: list[Written] = []
    if prefix:
        hosts.append(Written(prefix.partition(":")[0], made, None))
    elif len(value.args) > 1:
        hosts += written(value.args[1], made)
    last = value.args[-1]
    ports: list[Written] = []
    if isinstance(last, Const):
        port = str(last.value).rpartition(":")[2]
        if port.isdigit():
            ports.append(Written(port, made, None))
    elif len(value.args) > 1:
        ports += written(last, made)
    return hosts, ports


def checked(program: Program, port: Written) -> bool:
    """Whether a test looks at the option that a text is the default of: then an impossible one means "not given"."""
    if port.option is None:
        return False
    wanted = port.option.id
    return any(part.id == wanted for run in program.runs for check in run.checks for part in walk(check))


def starts_group(program: Program) -> bool:
    """Whether addresses and ports matter: the project's own code starts a process group."""
    return any(not _by_mpi(group) for group in program.judged_groups)


def _by_mpi(group: Group) -> bool:
    """Whether MPI brings the processes together: torch 2.13, distributed_c10d.py, init_process_group asks no store."""
    backend = group.event.arguments.get("backend")
    return backend is not None and all(
        isinstance(value, Const) and value.value == "mpi" for value in possible(backend.value)
    )


def init_methods(program: Program) -> list[tuple[Group, Value, Origin]]:
    """The ``init_method`` of every group that has one."""
    return [
        (group, group.init_method.value, Origin(group.event.module, group.init_method.node))
        for group in program.judged_groups
        if group.init_method is not None
    ]
