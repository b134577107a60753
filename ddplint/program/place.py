"""One process of a run that somebody describes: every question is answered by what was typed, else by the default.

Rules search for a way of starting a script that works (:func:`ddplint.program.topology.search`); ``ddplint ranks``
shows one way of starting it. An option that was not typed has its default, a variable that nobody set is absent.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import libcst as cst

from ddplint.program.topology import ABSENT, UNKNOWN, Infeasible, Process, Question
from ddplint.program.values import Input, OptionSpec, Value, walk

Conditions = list[tuple[Value, bool]]

# Variables of torchrun that batch scripts export as well, for processes that something else starts.
EXPORTED = ("MASTER_ADDR", "MASTER_PORT", "WORLD_SIZE")

# Conditions that are not known, one inside the other: both sides of each are tried.
_DEEPEST = 5


def with_defaults(values: Iterable[Value]) -> Iterator[Value]:
    """Every part of the values, and of what their options are when nobody types them."""
    seen: set[int] = set()
    pending = list(values)
    while pending:
        for part in walk(pending.pop()):
            if part.id in seen:
                continue
            seen.add(part.id)
            yield part
            if isinstance(part, Input) and part.spec is not None and part.spec.default is not None:
                pending.append(part.spec.default)


@dataclass(slots=True)
class Place(Process):
    """A process with its command line and environment: ``typed`` by name, ``options`` by the id of their value."""

    answers: dict[object, object]
    assumed: dict[int, bool]
    typed: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[int, Input] = field(default_factory=dict)
    depth: int = 0

    def __post_init__(self) -> None:
        for option in self.options.values():
            text = self.typed.get(option.name)
            if text is not None:
                self.answers["input", option.id] = converted(text, option.spec)

    def variable(self, name: str) -> Any:
        """A variable as it was typed, else as the launcher sets it; nobody else sets one."""
        if name in self.typed:
            return self.typed[name]
        if self.scenario.launcher is not None and name in self.scenario.launcher.variables:
            return Process.variable(self, name)
        return ABSENT

    def settle(self, value: Value) -> Any:
        """The value here, or UNKNOWN.

        Raises:
            Infeasible: the script fails while it computes this.
        """
        while True:
            try:
                return self.evaluate(value)
            except Question as question:
                if not self._answered(question):
                    return self._either(value, question.key)

    def holds(self, condition: Value) -> bool | None:
        """Whether a condition holds here; None if that is not known."""
        while True:
            try:
                return self.truth(condition)
            except Infeasible:
                return None
            except Question as question:
                if not self._answered(question):
                    return None

    def obstacle(self, path: Conditions) -> tuple[Value, bool] | None:
        """The first condition of a path that does not hold here. Those that are not known are taken to hold."""
        for condition, truth in path:
            known = self.holds(condition)
            if known is None:
                self.suppose(condition, truth)
            elif known is not truth:
                return condition, truth
        return None

    def suppose(self, condition: Value, truth: bool) -> None:
        """Go on as if a condition held (or did not), whatever is known of it."""
        self.assumed[condition.id] = truth
        self.forget()

    def forget(self) -> None:
        """Compute everything anew: what was assumed has changed."""
        self._memo.clear()

    def _answered(self, question: Question) -> bool:
        kind, key = question.key if isinstance(question.key, tuple) else ("", None)
        if kind != "input":
            return False
        option = self.options.get(key)
        self.answers[question.key] = UNKNOWN if option is None else self._untyped(option)
        return True

    def _untyped(self, option: Input) -> Any:
        spec = option.spec
        if spec is None:
            return UNKNOWN
        if spec.default is None:
            # argparse and click leave None where no default is declared
            return UNKNOWN if spec.required or spec.parser != "argparse" else None
        found = self.settle(spec.default)
        # argparse converts a default that is a string (Python 3.11, Lib/argparse.py, _get_values)
        return converted(found, spec) if isinstance(found, str) and spec.typed else found

    def _either(self, value: Value, key: object) -> Any:
        """The value if it is the same on both sides of a condition that is not known."""
        if self.depth >= _DEEPEST:
            return UNKNOWN
        found = []
        for side in (True, False):
            answers = {**self.answers, key: side}
            fork = Place(
                self.scenario, self.topology, self.node, self.local, answers, dict(self.assumed), self.started,
                typed=self.typed, options=self.options, depth=self.depth + 1,
            )  # fmt: skip
            try:
                found.append(fork.settle(value))
            except Infeasible:
                return UNKNOWN
        return found[0] if found[0] == found[1] and type(found[0]) is type(found[1]) else UNKNOWN


def converted(text: str, spec: OptionSpec | None) -> Any:
    """What a script makes of a text that somebody typed; UNKNOWN if it refuses it."""
    kind = spec.type if spec is not None else None
    if spec is not None and not spec.typed and spec.parser == "argparse" and not _is_click(spec):
        return text  # argparse converts nothing without type=
    try:
        if kind == "int":
            return int(text)
        if kind == "float":
            return float(text)
    except ValueError:
        return UNKNOWN
    if kind == "bool" or (kind is None and text.lower() in ("true", "false")):
        return text.lower() not in ("0", "false", "no", "off", "")
    if kind is None and text.lstrip("-").isdecimal():
        return int(text)
    return text


def _is_click(spec: OptionSpec) -> bool:
    """Whether an option is declared by ``@click.option(...)``, which takes its type from the default."""
    call = spec.origin.node
    name = call.func if isinstance(call, cst.Call) else None
    name = name.attr if isinstance(name, cst.Attribute) else name
    return isinstance(name, cst.Name) and name.value in ("option", "argument")


def typed_at(inputs: Mapping[str, Sequence[str]], nnodes: int, node: int, position: int) -> Mapping[str, str]:
    """What is typed for one process: a name has one value for all, one for each node, or one for each process."""
    found: dict[str, str] = {}
    for name, values in inputs.items():
        place = 0 if len(values) == 1 else node if len(values) == nnodes else position
        if place < len(values):
            found[name] = values[place]
    return found
