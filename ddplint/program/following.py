"""Which functions of the project a run follows: those whose words, or whose arguments, can matter."""

from __future__ import annotations

from collections.abc import Container, Iterable
from typing import TYPE_CHECKING

import libcst as cst

from ddplint.program.events import Arguments
from ddplint.program.module import FunctionFacts
from ddplint.program.values import Function, Items, Object, Value, leaves

if TYPE_CHECKING:
    from ddplint.program.run import Run

# Functions of at most this many statements are followed whatever they are about: rank arithmetic hides in them.
SMALL = 8


def worth(run: Run, function: Function, arguments: Arguments) -> bool:
    """Whether a call is worth following: by the words of the function, or by what it is handed."""
    return feeds(run, function, arguments) or _by_words(run, function.facts) or _hands_model(run, function, arguments)


def feeds(run: Run, function: Function, arguments: Arguments) -> bool:
    """Whether a function gets a loader or sampler: as an argument, or with the object that it is a method of."""
    return carries(run, arguments) or (bool(run.feeds) and _holds_feed(run, function.bound))


def _by_words(run: Run, facts: FunctionFacts) -> bool:
    """Whether a function can matter for the process group, judged cheaply by the words in it."""
    # what the script's own top level calls is its main function, whatever words are in it
    return not run.depth or facts.statements <= SMALL or run.project.matters(facts)


def carries(run: Run, arguments: Arguments) -> bool:
    """Whether a loader or sampler is among the arguments of a call, or one step inside them."""
    return bool(run.feeds) and any(_holds_feed(run, value) for value in _values(arguments))


def hand_over(run: Run, name: str, arguments: Arguments, node: cst.CSTNode) -> None:
    """Write down that a loader or sampler is given to something that the model does not follow."""
    if carries(run, arguments):
        given = (*arguments.positional, *arguments.keyword.values())
        run.record("handed", node, {str(place): one for place, one in enumerate(given)}, name=name)


def _holds_feed(run: Run, value: Value | None) -> bool:
    if isinstance(value, Items):
        return any(_is_among(inner, run.feeds) for inner in value.values)
    if isinstance(value, Object) and value.id not in run.feeds:
        return any(_is_among(inner, run.feeds) for inner in value.fields.values())
    return value is not None and _is_among(value, run.feeds)


def _hands_model(run: Run, function: Function, arguments: Arguments) -> bool:
    """Whether a wrapped model is handed over: the run goes where it goes."""
    if not run.wrapped:
        return False
    handed = list(_values(arguments))
    if isinstance(function.bound, Object):
        handed += function.bound.fields.values()
    return any(_is_among(value, run.wrapped) for value in handed)


def _values(arguments: Arguments) -> Iterable[Value]:
    return (argument.value for argument in (*arguments.positional, *arguments.keyword.values()))


def _is_among(value: Value, ids: Container[int]) -> bool:
    """Whether a value may be one of those with these ids."""
    return any(leaf.id in ids for leaf in leaves(value))
