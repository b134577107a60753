"""What ``ddplint ranks`` says below its table: what is true of the run as a whole, and how to ask for another one."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence

from ddplint.program.group import Group
from ddplint.program.hosts import is_loopback
from ddplint.program.judge import Verdict
from ddplint.program.launchers import RENDEZVOUS, TORCHRUN, Role
from ddplint.program.module import Module
from ddplint.program.place import with_defaults
from ddplint.program.program import Program
from ddplint.program.reasons import at, code, example, flag
from ddplint.program.received import endpoint, number
from ddplint.program.starts import MOST_PROCESSES, Start, exported_by_hand, start_with
from ddplint.program.topology import Answers, Typed
from ddplint.program.values import EnvHas, EnvVar, Input, Origin, Value

# Advice is tried out, once for every word of it.
_MOST_ADVISED = 64


def no_start(program: Program, launcher: str | None) -> Iterator[str]:
    """Why there is no table at all."""
    managed = {event.name: event.module.positions.line(event.node) for event in reversed(program.events("managed"))}
    if program.groups:
        yield f"the script starts no processes itself: leave out --launcher {launcher}, or name another one"
    elif managed:
        names = ", ".join(f"{name}() in line {line}" for name, line in reversed(managed.items()))
        yield f"the script starts no process group itself, a framework does: {names}"
    else:
        yield "the script starts no process group"


def remarks(
    program: Program,
    start: Start,
    launcher: str | None,
    inputs: Mapping[str, Sequence[str]],
    ranks: Sequence[object],
    worlds: Sequence[object],
) -> Iterator[str]:
    """The remarks on a start whose processes claim ``ranks`` and ``worlds`` (None: not known).

    Processes that start no group are left out of both.
    """
    yield from _gaps(ranks, worlds)
    yield from _reached(program, start, launcher)
    yield from _count(program, start)
    yield from _local_rank(start)
    if sorted(rank for rank in ranks if isinstance(rank, int)) != list(range(len(ranks))) or set(worlds) != {
        len(ranks)
    }:
        yield from _advice(program, start, inputs)
    if start.arrivals and not any(start.devices.values()):
        yield "no GPU is chosen by its index"
    yield from _unused(program, start, inputs)


def _gaps(ranks: Sequence[object], worlds: Sequence[object]) -> Iterator[str]:
    claimed = {rank for rank in ranks if isinstance(rank, int)}
    if not ranks or any(not isinstance(rank, int) for rank in ranks):
        return
    size = max([len(ranks), *(world for world in worlds if isinstance(world, int))])
    missing = [rank for rank in range(min(size, 10 * MOST_PROCESSES)) if rank not in claimed]
    if missing:
        yield f"no process has {'rank' if len(missing) == 1 else 'ranks'} {_listed(missing)}"


def _listed(numbers: Sequence[int]) -> str:
    """``1 and 4 to 7``."""
    runs: list[list[int]] = []
    for one in numbers:
        if runs and runs[-1][1] == one - 1:
            runs[-1][1] = one
        else:
            runs.append([one, one])
    texts: list[str] = []
    for first, last in runs:
        texts += [f"{first} to {last}"] if last > first + 1 else [str(one) for one in range(first, last + 1)]
    if len(texts) > 8:
        return f"{', '.join(texts[:8])} and more"
    return _joined(texts)


def _joined(texts: Sequence[str]) -> str:
    return " and ".join([", ".join(texts[:-1]), texts[-1]] if len(texts) > 1 else texts)


def _reached(program: Program, start: Start, launcher: str | None) -> Iterator[str]:
    if not start.arrivals:
        return
    module, group = program.module, start.arrivals[0].group
    where = at(Origin(group.event.module, group.event.node), module).removeprefix(", ")
    if start.supposed:
        names = [condition.name for condition, truth in start.supposed if truth and isinstance(condition, EnvHas)]
        wanted = [f"{_joined(names)} {'were' if len(names) > 1 else 'was'} set"] if names else []
        wanted += [
            _condition(condition, truth, module)
            for condition, truth in start.supposed
            if not (truth and isinstance(condition, EnvHas))
        ]
        by = f"started by {start.name}, " if launcher else ""
        yield f"{by}the script does not get to the process group in {where}: shown as if {' and '.join(wanted)}"
    if not any(event is group.event for event in program.entry_run.events):
        yield f"nothing in the script calls the function that starts the process group in {where}"
    if start.scenario.spawns and start.scenario.launcher is not None:
        spawn = start.scenario.spawns[-1]
        where = at(Origin(spawn.module, spawn.node), module)
        yield f"the script starts the processes itself{where}: {start.name} is to start one on each node"
    if launcher is None and start.name == "hand":
        yield "only what is typed tells the processes apart: a person starts every one of them"


def _condition(condition: Value, truth: bool, module: Module) -> str:
    if isinstance(condition, EnvHas):
        return f"{condition.name} was not set"
    if isinstance(condition, Input) and condition.spec is not None:
        return f"{flag(condition)} was {'' if truth else 'not '}given"
    if condition.origin is None:
        return "it did"
    line = at(condition.origin, module).removeprefix(", ")
    return f"`{code(condition.origin)}` ({line}) {'held' if truth else 'did not hold'}"


def _count(program: Program, start: Start) -> Iterator[str]:
    if not start.scenario.spawns or start.count is None:
        return
    spawn = start.scenario.spawns[-1]
    where = at(Origin(spawn.module, spawn.node), program.module).removeprefix(", ")
    told, gpus = start.count.value, start.topology.nproc
    if not isinstance(told, int):
        yield f"how many processes {where} starts is not known ({start.count.why}): shown with {gpus} on each node"
    elif told < 1:
        yield f"{where} starts {told} processes"
    elif told > MOST_PROCESSES:
        yield f"{where} starts {told:,} processes on each node: the first {MOST_PROCESSES:,} are shown"
    elif told != gpus:
        yield f"{where} starts {told} process{'es' * (told != 1)} on a node with {gpus} GPU{'s' * (gpus != 1)}"


def _local_rank(start: Start) -> Iterator[str]:
    """``--local_rank``, which torchrun does not pass: torch 2.13, torch/distributed/run.py."""
    if start.scenario.launcher is not TORCHRUN or start.scenario.legacy or not start.arrivals:
        return
    place = start.arrivals[0].place
    for option in place.options.values():
        if option.name == "local_rank" and option.spec is not None and option.name not in place.typed:
            yield f"torchrun does not pass {flag(option)}: it has its default in every process"
            return


def _advice(program: Program, start: Start, inputs: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """What a person has to type so that ranks and world size come out right, if anything does."""
    if not 0 < len(start.arrivals) <= _MOST_ADVISED:
        return
    group = start.arrivals[0].group
    if group.rank is None or group.world_size is None:
        return
    judged = group.judge(start.scenario, start.topology, group.both_are_right, thorough=True)
    if judged.verdict is Verdict.WRONG:
        if any(isinstance(part, Input) for part in with_defaults([group.rank, group.world_size])):
            yield "nothing that can be typed makes ranks and world size right"
    elif judged.verdict is Verdict.RIGHT and judged.answers is not None:
        needed = _needed(program, start, inputs, _wanted(start, judged.answers))
        if needed:
            words = " ".join(f"--set {name}={text}" for name, text in {**needed, **_address(start, group)}.items())
            yield f"ranks and world size are right with {words}"


def _wanted(start: Start, answers: Answers) -> dict[str, str]:
    """Answers in the words of the command line; variables first, which an option may override."""
    wanted: list[tuple[bool, str, str]] = []
    options = start.arrivals[0].place.options
    for question, answer in answers.items():
        kind, key = question if isinstance(question, tuple) else ("", None)
        name = options[key].name if kind == "input" and key in options else key
        if isinstance(answer, Typed) and isinstance(name, str):
            wanted.append((kind == "input", name, example(start.topology, answer.role)))
    return {name: text for _, name, text in sorted(wanted)}


def _needed(
    program: Program, start: Start, inputs: Mapping[str, Sequence[str]], wanted: dict[str, str]
) -> dict[str, str]:
    """As much of ``wanted`` as makes everything right; empty if even all of it does not."""

    def right(trial: Mapping[str, str]) -> bool:
        words = {**inputs, **{name: text.split(",") for name, text in trial.items()}}
        made = start_with(program, start.topology, start.scenario, start.groups, words)
        count, module = len(made.arrivals), program.module
        arrived = [one for one in made.arrivals if one.obstacle is None]
        ranks = [number(one.place, one.group, "rank", module).value for one in arrived]
        worlds = {number(one.place, one.group, "world_size", module).value for one in arrived}
        free = all(exported_by_hand(condition) for condition, _ in made.supposed)
        return free and set(ranks) == set(range(count)) and worlds == {count}

    for condition, truth in start.supposed:
        if isinstance(condition, Input) and truth:
            wanted[condition.name] = "true"
    if not right(wanted):
        return {}
    for name in list(wanted):
        rest = {other: text for other, text in wanted.items() if other != name}
        if right(rest):
            wanted = rest
    return wanted


def _address(start: Start, group: Group) -> dict[str, str]:
    """The option or variable that has to name the first node, where the address is this one."""
    address = str(endpoint(start.arrivals[0].place, group, group.event.module)[0].value)
    written = group.event.environ.get("MASTER_ADDR")
    if start.topology.nnodes == 1 or not is_loopback(address) or written is None:
        return {}
    for part in with_defaults([written]):
        is_option = isinstance(part, Input) and part.spec is not None and part.spec.type == "str"
        if isinstance(part, (Input, EnvVar)) and (is_option or part.name == "MASTER_ADDR"):
            return {part.name: example(start.topology, Role.MASTER_ADDR)}
    return {}


def _unused(program: Program, start: Start, inputs: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Names behind ``--set`` that mean nothing here."""
    known = {option.name for option in program.options}
    known.update(option.name for one in start.arrivals[:1] for option in one.place.options.values())
    known.update(name for run in program.runs for name in run.reads)
    known.update(RENDEZVOUS)
    for name in inputs:
        if name not in known:
            close = difflib.get_close_matches(name, known, 1)
            hint = f": did you mean {close[0]}?" if close else ""
            yield f"--set {name}: the script has no such option and reads no such variable{hint}"
