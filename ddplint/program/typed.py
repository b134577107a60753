"""Which inputs a person has to type differently on every machine, or for every process."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ddplint.program import launchers
from ddplint.program.group import Group
from ddplint.program.judge import Verdict, sources
from ddplint.program.launchers import Role
from ddplint.program.program import Program
from ddplint.program.sizes import has_fallback, inputs
from ddplint.program.topology import Topology, Typed
from ddplint.program.values import Choice, Const, Input, Op, Origin, Value, walk

NODE_RANK = re.compile(r"^(node|machine|host)_?(rank|id|index)$|^nr$", re.I)
_PLACES = (Role.RANK, Role.NODE_RANK, Role.LOCAL_RANK)


def node_ranks(program: Program) -> Iterator[tuple[Input, Origin, str]]:
    """Options that are the node rank (or the whole rank), where they are written, and how often they are typed."""
    seen: set[int] = set()
    for group in program.judged_groups:
        for option, role in _answered(group):
            if option.id in seen or option.filed or has_fallback(option):
                continue
            seen.add(option.id)
            origin = option.spec.origin if option.spec is not None else option.origin
            if origin is None:
                continue
            if option.spec is None and group.rank is not None and group.rank.origin is not None:
                origin = group.rank.origin  # no declaration in sight: show where it is used
            yield option, origin, "for every process" if role is Role.RANK else "on every node"
    if not any(group.rank_failure for group in program.judged_groups):
        return
    for option in program.options:
        # declared as the node rank and then forgotten: the ranks repeat, and somebody types a number that does nothing
        if (
            option.id not in seen
            and option.spec is not None
            and NODE_RANK.match(option.name)
            and not has_fallback(option)
        ):
            seen.add(option.id)
            yield option, option.spec.origin, ""


def node_constants(program: Program) -> Iterator[tuple[Const, Origin]]:
    """Literals that stand for the node rank: were they typed, the ranks would come out right."""
    for group in program.judged_groups:
        rank = group.rank
        if rank is None or group.rank_failure is None or any(_tells_place(name) for name in sources(rank)):
            continue
        for part in walk(rank):
            if not isinstance(part, Const) or part.origin is None or part.value not in (0, 1):
                continue
            trial = Group(group.event, program.launch_passes_local_rank)
            trial.rank = replace(rank, part, Input("node rank", None, part.origin))
            scenario = group.scenarios[0]
            if trial.judge(scenario, Topology(2, 4), trial.ranks_are_right, thorough=True).verdict is Verdict.RIGHT:
                yield part, part.origin


def replace(value: Value, old: Value, new: Value) -> Value:
    """``value`` with one part exchanged."""
    if value is old:
        return new
    if isinstance(value, Op):
        return Op(value.name, tuple(replace(arg, old, new) for arg in value.args), value.type, value.origin)
    if isinstance(value, Choice):
        return Choice(
            replace(value.condition, old, new),
            replace(value.then, old, new),
            replace(value.other, old, new),
            value.origin,
        )
    return value


def _answered(group: Group) -> Iterator[tuple[Input, Role]]:
    """The inputs that made the ranks right by telling the nodes or processes apart."""
    if group.rank is None or any(_tells_place(name) for name in sources(group.rank)):
        return
    for scenario in group.scenarios:
        judged = group.judge(scenario, Topology(2, 2), group.ranks_are_right, thorough=True)
        if judged.verdict is not Verdict.RIGHT or judged.answers is None:
            continue
        for option in inputs(group.rank):
            answer = judged.answers.get(("input", option.id))
            if isinstance(answer, Typed) and answer.role in (Role.NODE_RANK, Role.RANK):
                yield option, answer.role
        return


def _tells_place(name: str) -> bool:
    return launchers.meaning(name) in _PLACES
