"""One process of a job that was started the right way, in which the values of a script are looked up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ddplint.program import launchers
from ddplint.program.launchers import TORCHRUN, Role
from ddplint.program.topology import UNKNOWN, Infeasible, Process, Question
from ddplint.program.values import Const, EnvHas, Op, Value

# Choices whose condition is not known, one inside the other: both sides of each are tried.
_DEEPEST = 5


@dataclass(slots=True)
class World(Process):
    """One process. Nothing was typed: whatever hangs on an option is not known, and the same for all."""

    depth: int = 0
    ranks: frozenset[int] = frozenset()  # values that the script gives the group as its rank

    def __str__(self) -> str:
        where = f" (local rank {self.local} of node {self.node})" if self.rank else ""
        return f"rank {self.rank}{where}"

    def evaluate(self, value: Value) -> Any:
        if value.id in self.assumed:
            return self.assumed[value.id]
        if value.id in self.ranks:
            return self.rank
        counts = [spawn.count.value.id for spawn in self.scenario.spawns[-1:] if spawn.count is not None]
        if value.id in counts and not isinstance(value, Const):
            return self.started  # as many processes on a node as the script starts there
        if isinstance(value, EnvHas):
            # Which launcher it is. What only torchrun sets is what scripts look for first.
            return True if not self.scenario.spawns and value.name in TORCHRUN.variables else UNKNOWN
        return Process.evaluate(self, value)

    def variable(self, name: str) -> Any:
        """A variable as a launcher sets it, whichever it is."""
        role = launchers.meaning(name)
        if role is None or role is Role.OTHER:
            raise Question(("variable", name), ())
        found = self.role(role, started=True)
        return str(found) if isinstance(found, int) else found

    def truth(self, condition: Value) -> bool | None:
        """Whether a part of a condition holds; what is assumed of its opposite counts."""
        if isinstance(condition, Op) and condition.name == "not" and condition.id not in self.assumed:
            inner = self.truth(condition.args[0])
            return None if inner is None else not inner
        return Process.truth(self, condition)

    def settle(self, value: Value) -> Any:
        """The value in this process, or UNKNOWN."""
        try:
            return self.evaluate(value)
        except Infeasible:
            return UNKNOWN
        except Question as question:
            kind = question.key[0] if isinstance(question.key, tuple) else ""
            if kind != "condition" or self.depth >= _DEEPEST:
                return UNKNOWN
            found = [self._supposing(question.key, side).settle(value) for side in (True, False)]
            return found[0] if found[0] == found[1] and type(found[0]) is type(found[1]) else UNKNOWN

    def holds(self, condition: Value) -> bool | None:
        """Whether a condition holds in this process; None if that is not known."""
        if condition.id in self.assumed:
            return self.assumed[condition.id]
        if isinstance(condition, Op) and condition.name == "not":
            inner = self.holds(condition.args[0])
            return None if inner is None else not inner
        found = self.settle(condition)
        return None if found is UNKNOWN else bool(found)

    def assuming(self, assumed: Mapping[int, bool]) -> World:
        """The same process, where these conditions hold or not."""
        return World(
            self.scenario, self.topology, self.node, self.local, self.answers, assumed, self.started, ranks=self.ranks,
        )  # fmt: skip

    def _supposing(self, key: object, side: bool) -> World:
        answers = {**self.answers, key: side}
        return World(
            self.scenario, self.topology, self.node, self.local, answers, self.assumed, self.started,
            depth=self.depth + 1, ranks=self.ranks,
        )  # fmt: skip
