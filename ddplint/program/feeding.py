"""The way of the data: from a DistributedSampler to its DataLoader to the loops that go through it, again and again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import libcst as cst

from ddplint.program import alternatives
from ddplint.program.events import Event, Mark
from ddplint.program.library import feeds
from ddplint.program.module import FunctionFacts
from ddplint.program.program import Program
from ddplint.program.run import Run
from ddplint.program.values import Const, Items, Made, Method, Object, Op, Value, leaves
from ddplint.program.walk import everything_in

# What a loop that trains does: gradients, and what an optimizer does with them. A loop without only looks at the data.
_GRADIENTS = frozenset(("backward",))
_UPDATES = frozenset(("step", "zero_grad"))

# Calls that a loader or sampler may be given to: they only look at it.
_LOOK = frozenset("bool getattr hasattr id isinstance len next print repr str type".split())


@dataclass(frozen=True, slots=True)
class Repeat:
    """A loop that trains on the same order again and again.

    ``loop`` counts the epochs; ``iterates`` is the loop inside it that goes through a loader made by the call
    ``loader``, whose sampler the call ``sampler`` made. ``alone``: no other loop between them counts anything.
    """

    run: Run
    loop: Mark
    iterates: Event
    loader: Event
    sampler: Event
    sampler_value: Value
    alone: bool


def repeats(program: Program) -> Iterator[Repeat]:
    """Loops over epochs that never tell a shuffling sampler which epoch it is, each sampler of a loop once."""
    if program.evidence.test or program.evidence.managed:
        return
    told: set[tuple[int, int]] = set()
    for run in program.runs:
        for event in run.events:
            if event.kind != "iterate":
                continue
            for repeat in _repeats(program, run, event):
                key = (id(repeat.loop.node), id(repeat.sampler.node))
                if key not in told:
                    told.add(key)
                    yield repeat


def _repeats(program: Program, run: Run, event: Event) -> Iterator[Repeat]:
    for loader, made, sampler, by in _fed(run, event):
        if by.name != feeds.SAMPLER or not _shuffles(by):
            continue
        around = [loop for loop in _loops(run, event) if loop.nest[-1] not in by.nest]
        inside = [loop for loop in around if not _goes_through(run, loop)]
        counting = [loop for loop in inside if _counts(loop)]
        if not counting or _is_told(program, run, sampler, loader) or not _trains(program, run, event):
            continue
        written = [loop for loop in counting if isinstance(loop.node, cst.For)] or counting
        yield Repeat(run, written[-1], event, made, by, sampler, alone=len(written) == 1)


def _loops(run: Run, event: Event) -> list[Mark]:
    """The loops around an event, those of the functions that led to it too, outermost first."""
    return [mark for mark in run.marks if mark.kind == "loop" and mark.nest[-1] in event.nest]


def _fed(run: Run, event: Event) -> Iterator[tuple[Value, Event, Value, Event]]:
    """Each loader that a loop goes through with the call that made it, and each sampler it may have with its call."""
    for part in _behind(event.arguments["iterable"].value):
        for case in alternatives.together((part,), event.path):
            made = run.feeds.get(case.values[0].id)
            if made is None:
                continue
            for sampler in samplers_of(run, made):
                by = run.feeds.get(sampler.id)
                if by is not None:
                    yield case.values[0], made, sampler, by


def _behind(value: Value) -> Iterator[Value]:
    """What is behind ``enumerate`` and progress bars."""
    if (isinstance(value, Op) and value.name == "enumerate") or (
        isinstance(value, Made) and feeds.is_passing(value.name)
    ):
        for part in value.parts():
            yield from _behind(part)
    else:
        yield value


def samplers_of(run: Run, loader: Event) -> Iterator[Value]:
    """The samplers that a loader may have, those inside batch samplers too."""
    for name in ("sampler", "batch_sampler"):
        given = loader.arguments.get(name)
        for value in leaves(given.value) if given is not None else ():
            inner = run.feeds.get(value.id)
            if inner is not None and inner.name == feeds.BATCHES:
                yield from samplers_of(run, inner)
            elif not (isinstance(value, Const) and value.value is None):
                yield value


def _shuffles(sampler: Event) -> bool:
    """Whether it certainly shuffles: ``shuffle`` is True by default."""
    given = sampler.arguments.get("shuffle")
    if given is None:
        return "open" not in sampler.arguments
    return isinstance(given.value, Const) and given.value.value is True


def _goes_through(run: Run, loop: Mark) -> bool:
    return loop.value is not None and any(feeds.through(run, loop.value))


def _counts(loop: Mark) -> bool:
    """Whether a loop counts passes, more than one: ``range``, a progress bar over it, ``while``."""
    return loop.value is None or is_counter(loop.value)


def is_counter(value: Value) -> bool:
    """Whether a value gives integers that count, more than one."""
    if isinstance(value, Op) and value.name == "range":
        start, stop, _ = value.args
        numbers = [one.value for one in (start, stop) if isinstance(one, Const) and isinstance(one.value, int)]
        return len(numbers) < 2 or numbers[1] - numbers[0] > 1
    if isinstance(value, Made):
        if feeds.is_passing(value.name):
            return any(is_counter(part) for part in value.parts()[:1])
        if value.name.startswith("tqdm.") and value.name.endswith(".trange"):
            return True
        return value.name == "itertools.count"
    return False


# -- whether somebody tells it ----------------------------------------------------------------------------------------


def _is_told(program: Program, run: Run, sampler: Value, loader: Value) -> bool:
    """Whether anybody calls ``set_epoch`` on a sampler, or may: in what is not followed, or on something unknown."""
    followed: set[int] = set()
    for one in program.runs:
        for event in one.events:
            if event.kind == "method" and event.name == "set_epoch":
                followed.add(id(event.node))
                receivers = _meant(one, event.arguments["self"].value) if one is run else set()
                if receivers is None or sampler.id in receivers or loader.id in receivers:
                    return True
            elif event.kind == "handed" and one is run and _hands(run, event, sampler, loader):
                return True
    modules = [module for module in program.modules if module.words & {"set_epoch", "epoch"}]
    nodes = (node for module in modules for node in everything_in(module.tree))
    return any(_may_tell(node) and id(node) not in followed for node in nodes)


def _hands(run: Run, event: Event, sampler: Value, loader: Value) -> bool:
    """Whether the sampler or loader may be among what is handed over."""
    if event.name in _LOOK:
        return False
    if not event.arguments:
        return True
    wanted = {sampler.id, loader.id}
    for argument in event.arguments.values():
        value = argument.value
        inner = value.values if isinstance(value, Items) else value.fields.values() if isinstance(value, Object) else ()
        if any(leaf.id in wanted for one in (value, *inner) for leaf in leaves(one)):
            return True
    return False


def _may_tell(node: cst.CSTNode) -> bool:
    """A call of ``set_epoch``, or ``sampler.epoch = epoch``, which does the same."""
    if isinstance(node, cst.Call):
        return isinstance(node.func, cst.Attribute) and node.func.attr.value == "set_epoch"
    if isinstance(node, cst.AssignTarget):
        target = node.target
        return isinstance(target, cst.Attribute) and target.attr.value == "epoch" and _about_a_sampler(target.value)
    return False


def _about_a_sampler(node: cst.BaseExpression) -> bool:
    return any(isinstance(part, cst.Name) and "sampler" in part.value.lower() for part in everything_in(node))


def _meant(run: Run, value: Value) -> set[int] | None:
    """What ``set_epoch`` is called on, by id: samplers, loaders, things of the project. None if that is not known."""
    if isinstance(value, Method) and value.name in ("sampler", "batch_sampler"):
        found: set[int] = set()
        for owner in leaves(value.owner):
            made = run.feeds.get(owner.id)
            inner = [owner] if isinstance(owner, Method) else list(samplers_of(run, made)) if made is not None else None
            if inner is None:
                return None
            for one in inner:
                meant = _meant(run, one)
                if meant is None:
                    return None
                found |= meant
        return found
    found = set()
    for leaf in leaves(value):
        if leaf is not value and isinstance(leaf, Method):
            meant = _meant(run, leaf)
            if meant is None:
                return None
            found |= meant
        elif leaf.id in run.feeds or isinstance(leaf, (Made, Object)):
            found.add(leaf.id)
        elif not (isinstance(leaf, Const) and leaf.value is None):
            return None
    return found


# -- whether it trains ------------------------------------------------------------------------------------------------


def _trains(program: Program, run: Run, event: Event) -> bool:
    """Whether what a loop does with the data leads to a step of an optimizer, in this pass through the code."""
    body = _consumer(event)
    own = body is event.node
    passes = {
        mark.nest[-1]
        for mark in run.marks
        if mark.node is body and mark.kind == "loop" and (not own or (*event.nest, mark.nest[-1]) == mark.nest)
    }
    methods = [one for one in run.events if one.kind == "method"]
    done = {one.name for one in methods if passes & set(one.nest)}
    if done & _GRADIENTS and done & _UPDATES:
        return True
    # a function that is followed would have told
    names = {node.value for node in everything_in(body) if isinstance(node, cst.Name)}
    return any(facts.name in names for facts in _leading_to_training(program) if id(facts.node) not in run.executed)


def _consumer(event: Event) -> cst.CSTNode:
    """The loop that uses the data: that of the caller where the loop itself only hands them on, in a generator."""
    frames = event.frames
    at = len(frames) - 1
    body: cst.CSTNode = event.node
    while at > 0 and (facts := frames[at].facts) is not None and facts.yields:
        call, caller = frames[at].call, frames[at - 1].facts
        if call is None:
            break
        root = caller.node if caller is not None else frames[at - 1].module.tree
        loops = [node for node in everything_in(root) if isinstance(node, cst.For)]
        body = next((loop for loop in loops if any(call.node is part for part in everything_in(loop.iter))), body)
        at -= 1
    return body


def _leading_to_training(program: Program) -> list[FunctionFacts]:
    """The functions and methods of the project that lead to a step of an optimizer."""
    functions = [facts for module in program.modules for facts in module.functions.values()]
    names = {facts.name for facts in functions if facts.words & _GRADIENTS and facts.words & _UPDATES}
    while True:
        found = [facts for facts in functions if facts.words & names or facts.name in names]
        more = {facts.name for facts in found} - names - {"__init__", "forward", "main"}
        if not more:
            return [facts for facts in found if facts.name in names]
        names |= more


def header(loop: Mark) -> cst.BaseExpression:
    """What a loop counts by: the expression after ``in`` or ``while``."""
    node = loop.node
    assert isinstance(node, (cst.For, cst.While))
    return node.iter if isinstance(node, cst.For) else node.test
