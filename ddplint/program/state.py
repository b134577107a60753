"""The changing part of an execution: an undo log over all tables of names and fields, and the path taken so far.

Every write goes through :meth:`State.write`, so that the two branches of an ``if`` can be run one after the other
from the same start and merged: only what a branch really wrote is touched.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from ddplint.program.values import FALSE, HEAVIEST, TRUE, Const, Op, Unknown, Value, choose, negate

Table = dict[object, Value]
Changes = dict[tuple[int, object], tuple[Table, object, Value]]


@dataclass(frozen=True, slots=True)
class Path:
    """The conditions that hold here: a linked list, newest first."""

    condition: Value
    truth: bool
    before: Path | None

    def items(self) -> list[tuple[Value, bool]]:
        """Every condition with its truth, oldest first."""
        found: list[tuple[Value, bool]] = []
        step: Path | None = self
        while step is not None:
            found.append((step.condition, step.truth))
            step = step.before
        return found[::-1]


def steps(path: Path | None, since: Path | None = None) -> list[tuple[Value, bool]]:
    """The conditions of ``path`` that came after ``since``, oldest first."""
    found: list[tuple[Value, bool]] = []
    while path is not None and path is not since:
        found.append((path.condition, path.truth))
        path = path.before
    return found[::-1]


def assume(path: Path | None, condition: Value, truth: bool) -> Path | None:
    """``path`` with one more condition; conjunctions are taken apart so that each part is known by itself."""
    if isinstance(condition, Const):
        return path
    if isinstance(condition, Op):
        if condition.name == "not":
            return assume(path, condition.args[0], not truth)
        if condition.name == ("and" if truth else "or"):
            for part in condition.args:
                path = assume(path, part, truth)
            return path
    return Path(condition, truth, path)


def is_implied(condition: Value) -> bool:
    """Whether a condition says what is left after a branch that ends: ``not first or second``; nobody wrote it."""
    if not isinstance(condition, Op) or condition.name != "or":
        return False
    first = condition.args[0]
    return first.origin is condition.origin and isinstance(first, Op) and first.name == "not"


def conjunction(items: list[tuple[Value, bool]]) -> Value:
    """One value for "all of these hold"."""
    parts = [condition if truth else negate(condition) for condition, truth in items]
    parts = [part for part in parts if part.id != TRUE.id]
    if not parts:
        return TRUE
    if len(parts) == 1:
        return parts[0]
    if sum(part.weight for part in parts) > HEAVIEST:
        return Unknown("a condition that depends on too much", parts[0].origin, type="bool")
    return Op("and", tuple(parts), "bool", parts[0].origin)


@dataclass(slots=True)
class Exit:
    """One way out of a region: where it was on, what it had changed since the region began, and what it returns."""

    path: Path | None
    changes: Changes
    value: Value


@dataclass(slots=True)
class Region:
    """A function body or a loop body: what `return`, `break` and `continue` leave."""

    mark: int
    path: Path | None
    exits: list[Exit] = field(default_factory=list)


@dataclass(slots=True)
class Loop:
    """A loop being executed: what `break` leaves (``whole``) and what `continue` leaves (``one`` pass).

    ``repeats``: the pass being executed stands for any number of them.
    """

    whole: Region
    one: Region
    repeats: bool


class State:
    """All tables of one execution, seen through their undo log."""

    __slots__ = ("_log", "fallback", "path")

    def __init__(self, fallback: Callable[[Table, object], Value | None]) -> None:
        self._log: list[tuple[Table, object, Value | None]] = []
        self.path: Path | None = None
        # what a slot holds that nobody wrote: an environment variable for os.environ, nothing for a variable
        self.fallback = fallback

    def write(self, table: Table, key: object, value: Value) -> None:
        """Set a variable or field."""
        self._log.append((table, key, table.get(key)))
        table[key] = value

    def mark(self) -> int:
        """A point that :meth:`undo` and :meth:`changes` count from."""
        return len(self._log)

    def changes(self, mark: int) -> Changes:
        """What was written since ``mark``, with its value now."""
        return {(id(table), key): (table, key, table[key]) for table, key, _ in self._log[mark:]}

    def undo(self, mark: int) -> Changes:
        """Take back all writes since ``mark`` and return them."""
        taken = self.changes(mark)
        log = self._log
        while len(log) > mark:
            table, key, old = log.pop()
            if old is None:
                table.pop(key, None)
            else:
                table[key] = old
        return taken

    def apply(self, changes: Changes) -> None:
        """Write what a branch had written."""
        for table, key, value in changes.values():
            self.write(table, key, value)

    def merge(self, condition: Value, then: Changes, other: Changes) -> None:
        """Join two branches that both go on."""
        for slot in {**then, **other}:
            table, key, _ = then.get(slot) or other[slot]
            old = table.get(key) or self.fallback(table, key)
            first = then[slot][2] if slot in then else old
            second = other[slot][2] if slot in other else old
            if first is None or second is None:
                # bound on one side only: whoever reads it later relies on that side
                value = first or second
                assert value is not None
            else:
                value = choose(condition, first, second)
            self.write(table, key, value)

    def enter(self) -> Region:
        """Begin a function or loop body."""
        return Region(self.mark(), self.path)

    def leave(self, region: Region, value: Value) -> None:
        """Leave the region here (`return`, `break`, `continue`); the caller must then treat the path as dead."""
        region.exits.append(Exit(self.path, self.changes(region.mark), value))

    def join(self, region: Region, live: bool, value: Value) -> Value | None:
        """End the region: merge all ways out of it. None if no path comes out alive."""
        exits = region.exits
        if live and not exits:
            return value
        if live:
            self.leave(region, value)
        if not exits:
            return None
        self.undo(region.mark)
        last = exits[-1]
        merged, result = last.changes, last.value
        for exit in reversed(exits[:-1]):
            condition = conjunction(steps(exit.path, region.path))
            mark = self.mark()
            self.merge(condition, exit.changes, merged)
            merged = self.undo(mark)
            result = choose(condition, exit.value, result)
        self.apply(merged)
        # paths that raised are gone for good; ways that returned come together again
        self.path = last.path if len(exits) == 1 else _in_all([exit.path for exit in exits], region.path)
        return result


def _in_all(paths: list[Path | None], since: Path | None) -> Path | None:
    """``since`` with the conditions that all of these paths have met: others have raised on every way."""
    others = [{(condition.id, truth) for condition, truth in steps(path, since)} for path in paths[1:]]
    found = since
    for condition, truth in steps(paths[0], since):
        if all((condition.id, truth) in other for other in others):
            found = Path(condition, truth, found)
    return found


__all__ = ["FALSE", "TRUE", "Changes", "Path", "Region", "State", "Table", "assume", "conjunction", "steps"]
