"""After the start of a process group, torch knows the global rank: whoever runs then asks for it.

Functions above the one that starts the group get a variable behind the call; functions that are called later, and need
the local rank too, keep what they are given and ask ``torch.distributed.get_rank()`` where they mean the job.
"""

from __future__ import annotations

from collections.abc import Sequence

import libcst as cst

from ddplint.program.module import FunctionFacts
from ddplint.program.values import Origin, Value
from ddplint.program.walk import everything_in
from ddplint.repairs import job
from ddplint.repairs.draft import Draft, NoPlaceError, names_in
from ddplint.repairs.roles import about, arguments, only_called_from, roles
from ddplint.repairs.uses import Kind, Use, assigned_to, is_logged, spelling, uses_in
from ddplint.repairs.way import Level, Way, holds, holds_any, statements_after


class Afterwards:
    """What comes after the start in the functions that led to it. ``sizes`` are the values of a world size that was
    repaired in the function at ``way.at``; the ``formula`` of a rank that is right already means the size as it was."""

    def __init__(self, way: Way, sizes: Sequence[Value], formula: Sequence[cst.CSTNode] = ()) -> None:
        self.way = way
        self.draft = way.draft
        self.levels = way.levels
        self.sizes = sizes
        self.formula = formula

    def write(self, rank_too: bool) -> None:
        """Let functions above and later ones ask torch: for the size, and with ``rank_too`` for the rank."""
        inside: list[cst.CSTNode] = []
        for level, below in zip(self.levels[: self.way.at], self.levels[1:], strict=False):
            call = below.frame.call
            after = statements_after(level.body, call.node) if call is not None else None
            if after is None:
                continue
            inside += after[1]
            self._ask_above(level, *after, rank_too)
            assert call is not None
            self._ask_for_constant(level, call.node, below, after[1])
        after = statements_after(self.way.level.body, self.way.starts)
        if after is not None:
            inside += after[1]
        for level in self.levels[: self.way.at + 1] if rank_too else ():
            for use, target, name in level.roles.passed:
                later = holds_any(inside, use.node)
                # what a function above calls elsewhere is another way than the one that is repaired
                if (later or level is self.way.level) and not any(target is one.facts for one in self.levels):
                    self._ask_in(target, name, inside)

    def _ask_above(self, level: Level, call: cst.CSTNode, later: Sequence[cst.CSTNode], rank_too: bool) -> None:
        below = {id(node) for root in later for node in everything_in(root)}
        uses = [use for use in level.roles.here if id(use.node) in below] if rank_too else []
        module = level.facts.module
        place = Origin(module, call)
        early = [use for use in level.roles.here if rank_too and id(use.node) not in below]
        if any(not holds(call, {id(use.node)}) and not is_logged(use) for use in early):
            raise NoPlaceError(f"{level.facts.qualified}() needs the global rank before the process group starts")
        lines: list[str] = []
        if uses:
            name = "global_rank"
            if name in names_in(level.facts.node):
                raise NoPlaceError(f"the name {name} is taken")
            lines.append(f"{name} = {self.draft.name(place, 'torch.distributed.get_rank')}()")
            for use in uses:
                self.draft.replace(Origin(module, use.node), name)
        names = list(job.held(level.frame, *self.sizes))
        for name in names:
            self._refuse_early(level, name, [call, *self.formula, *later])
        carried = [name for name in names if uses_in(later, name)]
        if carried:
            size = f"{self.draft.name(place, 'torch.distributed.get_world_size')}()"
            lines.append(f"{' = '.join(carried)} = {size}")
        if lines:
            self.draft.after(place, *lines)

    def _ask_for_constant(self, level: Level, call: cst.CSTNode, below: Level, later: Sequence[cst.CSTNode]) -> None:
        """A world size that a function above hands on under a name that is not its own: a constant of the module."""
        wanted = {size.id for size in self.sizes}
        own = set(job.held(level.frame, *self.sizes))
        for arg, name in arguments(call, below.facts):
            known = below.frame.names.get(name)
            written = spelling(arg.value)
            if known is not None and known.id in wanted and written and written not in own:
                self._refuse_early(level, written, [call, *self.formula, *later])
                for use in uses_in(later, written):
                    place = Origin(level.facts.module, use.node)
                    self.draft.replace(place, f"{self.draft.name(place, 'torch.distributed.get_world_size')}()")

    def _refuse_early(self, level: Level, name: str, allowed: Sequence[cst.CSTNode]) -> None:
        """Nothing above the start may read a size that means all nodes only from there on, unless for a device."""
        for use in uses_in(level.body, name):
            # a field that keeps the size is repaired where it is read
            if holds_any(allowed, use.node) or isinstance(assigned_to(use), cst.Attribute):
                continue
            if about(self.draft.program, level.facts, use, level.body) is not Kind.LOCAL:
                raise NoPlaceError(f"{level.facts.qualified}() reads {name} before the process group starts")

    def _ask_in(self, facts: FunctionFacts, name: str, inside: Sequence[cst.CSTNode]) -> None:
        """A function that needs both: it keeps the local rank it is given, and asks for the global one."""
        if not only_called_from(self.draft.program, facts, inside):
            raise NoPlaceError(f"{facts.qualified}() guards with a local rank, and may run without a process group")
        found = roles(self.draft.program, facts, name)
        ask_rank(self.draft, facts, found.here)
        for attribute in found.attributes:
            assert facts.cls is not None
            for method in facts.cls.methods.values():
                read = roles(self.draft.program, method, attribute)
                ask_rank(self.draft, method, read.here)
                for _, target, inner in read.passed:
                    self._ask_in(target, inner, [*inside, *(one.node for one in facts.cls.methods.values())])
        for _, target, inner in found.passed:
            self._ask_in(target, inner, [*inside, facts.node])


def ask_rank(draft: Draft, facts: FunctionFacts, uses: Sequence[Use]) -> None:
    """Let a function that runs after the start of the process group ask for the global rank at these places."""
    for use in uses:
        place = Origin(facts.module, use.node)
        draft.replace(place, f"{draft.name(place, 'torch.distributed.get_rank')}()")
