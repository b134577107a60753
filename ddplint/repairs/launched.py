"""Scripts whose processes a launcher starts: it has told each of them its rank in the whole job.

The name that holds the local rank goes on to do so; beside it a second one takes the global rank from the launcher's
own variable, and every use that means the whole job becomes that one. Where nothing needs the local rank, only the
variable that is read changes.
"""

from __future__ import annotations

from collections.abc import Iterator

import libcst as cst

from ddplint.program import launchers
from ddplint.program.group import Group
from ddplint.program.launchers import Launcher, Role
from ddplint.program.module import FunctionFacts
from ddplint.program.sizes import made_at, plain_input, unconverted, world_size_fault
from ddplint.program.values import Choice, Const, EnvVar, Origin, Value
from ddplint.program.walk import everything_in
from ddplint.repairs import job
from ddplint.repairs.afterwards import ask_rank
from ddplint.repairs.declarations import declaration
from ddplint.repairs.draft import Draft, NoPlaceError, names_in
from ddplint.repairs.launcher_options import default_from
from ddplint.repairs.roles import Roles, merged, not_assigned, only_called_from, roles
from ddplint.repairs.way import Level, first_statement, statements_after, top_level, where_both_are_known


def repair(draft: Draft, group: Group, rank_is_wrong: bool, world_is_wrong: bool) -> None:
    """Write the repair of a group that a launcher's processes start into ``draft``.

    Raises:
        NoPlaceError: there is no repair that is known to be right.
    """
    rank = _Rank(draft, group) if group.rank is not None else None
    if rank is not None and rank_is_wrong:
        rank.write()
    if world_is_wrong:
        _write_world(draft, group, rank.launcher if rank is not None else None)


class _Rank:
    def __init__(self, draft: Draft, group: Group) -> None:
        self.draft = draft
        self.group = group
        self.given = draft.program.written_at(group, "rank", "RANK")
        assert group.rank is not None
        self.rank = group.chosen(group.rank_failure, group.rank)
        scenario = group.rank_failure.scenario if group.rank_failure is not None else group.scenarios[0]
        read = _variable(self.rank)
        owner = launchers.owner(read.name) if read is not None else None
        self.replaced: set[int] = set()
        self.after: list[cst.CSTNode] = []  # statements that run when the process group has been started
        self.launcher: Launcher = owner or scenario.launcher or launchers.TORCHRUN

    def write(self) -> None:
        read = _variable(self.rank)
        branch = isinstance(self.group.rank, Choice) and self.rank is not self.group.rank
        levels = list(self._levels())
        device = any(level.roles.device for level in levels)
        # read right where it is given, and nowhere else
        direct = read is not None and _holds_read(self.given.node, read)
        other_role = read is not None and launchers.meaning(read.name) is not Role.LOCAL_RANK
        if read is not None and (direct or (not device and (branch or other_role))):
            _rename(self.draft, read, launchers.name_of(self.launcher, Role.RANK))
            return
        at = where_both_are_known(levels)
        split = [level for level in levels[: at + 1] if level.index is not None and _is_split(level.roles)]
        if not split:
            self.draft.replace(self.given, self._code(self.given, self._old()))
            return
        if read is not None and len(split) == 1 and not device:
            assigned = _assignment(split[0].facts, split[0].index)
            if assigned is not None and _holds_read(assigned, read):
                _rename(self.draft, read, launchers.name_of(self.launcher, Role.RANK))
                return
        ways = [*(level.frame.call for level in levels[1:]), Origin(self.group.event.module, self.group.event.node)]
        for level, way in zip(levels, ways, strict=True):
            later = statements_after(level.body, way.node) if way is not None else None
            self.after += later[1] if later is not None else ()
        done: set[int] = set()
        for level in split:
            assert level.index is not None
            self._split(level.facts, level.index, level.roles, done)

    def _levels(self) -> Iterator[Level]:
        values = [self.rank] if self.group.rank is None else [self.rank, self.group.rank]
        for frame in self.group.event.frames:
            facts = frame.facts or top_level(frame.module)
            names = not_assigned(facts, list(job.held(frame, *values, facts=facts)))
            size = self.group.world_size
            sizes = frozenset(job.held(frame, size, facts=facts) if size is not None else ())
            found = [roles(self.draft.program, facts, name, (self.given.node,), frame.names, sizes) for name in names]
            yield Level(frame, facts, names[0] if names else None, merged(names, found))

    def _split(self, facts: FunctionFacts, index: str, found: Roles, done: set[int]) -> None:
        """A second name beside the local rank, for the uses that mean the whole job."""
        if id(facts.node) in done:
            return
        done.add(id(facts.node))
        found.here = [use for use in found.here if id(use.node) not in self.replaced]
        if found.here:
            self._write_split(facts, index, found)
        for attribute in found.attributes:
            for method in facts.cls.methods.values() if facts.cls is not None else ():
                read = roles(self.draft.program, method, attribute, (self.given.node,))
                for use in read.here:
                    if id(use.node) not in self.replaced:
                        self.replaced.add(id(use.node))
                        place = Origin(method.module, use.node)
                        self.draft.replace(place, self._code(place, attribute))
                for _, target, name in read.passed:
                    self._split(target, name, roles(self.draft.program, target, name, (self.given.node,)), done)
        for _, target, name in found.passed:
            inner = roles(self.draft.program, target, name, (self.given.node,))
            if inner.here and not inner.attributes and only_called_from(self.draft.program, target, self.after):
                ask_rank(self.draft, target, [use for use in inner.here if id(use.node) not in self.replaced])
                self.replaced |= {id(use.node) for use in inner.here}
                inner.here = []
            self._split(target, name, inner, done)

    def _write_split(self, facts: FunctionFacts, index: str, found: Roles) -> None:
        if len(found.here) == 1 and any(
            node is self.given.node for node in (found.here[0].node, *found.here[0].around)
        ):
            place = Origin(facts.module, found.here[0].node)
            self.replaced.add(id(found.here[0].node))
            self.draft.replace(place, self._code(place, index))
            return
        taken = names_in(facts.node)
        name = next((name for name in ("global_rank", "world_rank") if name not in taken), None)
        if name is None:
            raise NoPlaceError("there is a global_rank already")
        assigned = _assignment(facts, index)
        if assigned is not None:
            place = Origin(facts.module, assigned)
            self.draft.after(place, f"{name} = {self._code(place, index)}")
        else:
            place = Origin(facts.module, first_statement(facts.node.body.body, [use.node for use in found.here]))
            self.draft.before(place, f"{name} = {self._code(place, index)}")
        for use in found.here:
            self.replaced.add(id(use.node))
            self.draft.replace(Origin(facts.module, use.node), name)

    def _code(self, at: Origin, old: str | None) -> str:
        """The global rank from the launcher; the old value where the launcher's variables need not be there."""
        environ = self.draft.name(at, "os.environ", "os")
        name = launchers.name_of(self.launcher, Role.RANK)
        if old is None or self._required():
            return f'int({environ}["{name}"])'
        default = _default(self.rank) or (_default(self.group.rank) if self.group.rank is not None else None)
        return f'int({environ}.get("{name}", {default or old}))'

    def _required(self) -> bool:
        """Whether the process ends anyway where the launcher says nothing."""
        has_default = self.group.rank is not None and isinstance(unconverted(self.group.rank), Choice)
        return isinstance(unconverted(self.rank), EnvVar) and not has_default

    def _old(self) -> str | None:
        text = self.draft.text(self.given)
        return text if "\n" not in text and text != "-1" else None


def _is_split(found: Roles) -> bool:
    return bool(found.here or found.attributes or found.passed)


def _write_world(draft: Draft, group: Group, launcher_of_rank: Launcher | None) -> None:
    assert group.world_size is not None
    size = group.chosen(group.world_failure, group.world_size)
    read = _variable(size)
    scenario = group.world_failure.scenario if group.world_failure is not None else group.scenarios[0]
    owner = launchers.owner(read.name) if read is not None else None
    launcher = owner or launcher_of_rank or scenario.launcher or launchers.TORCHRUN
    name = launchers.name_of(launcher, Role.WORLD_SIZE)
    if read is not None:
        _rename(draft, read, name)
        return
    typed = plain_input(size)
    if typed is not None:
        declared = declaration(typed)
        if declared is None:
            raise NoPlaceError("where the option is declared is not known")
        default_from(draft, typed, declared, [name])
        return
    if group.event.frames and group.event.frames[0].facts is not None:
        raise NoPlaceError("who calls this function, and how its processes are started, is not known")
    fault = world_size_fault(draft.program, group)
    origin = made_at(draft.program, group, fault, size) if fault is not None else None
    if origin is None or not isinstance(origin.node, cst.BaseExpression) or isinstance(size, Choice):
        raise NoPlaceError("where the world size is made is not known")
    old = draft.text(origin)
    if "\n" in old:
        raise NoPlaceError("the world size is made on several lines")
    environ = draft.name(origin, "os.environ", "os")
    draft.replace_text(origin, draft.layout(origin.module).requoted(f'int({environ}.get("{name}", ') + f"{old}))")


def _variable(value: Value) -> EnvVar | None:
    """The variable that a value is, or is by default."""
    core = unconverted(value)
    if isinstance(core, Choice):
        core = unconverted(core.then) if isinstance(unconverted(core.other), Const) else core
    return core if isinstance(core, EnvVar) else None


def _default(value: Value) -> str | None:
    """The literal that stands in for a variable that is not set."""
    core = unconverted(value)
    other = unconverted(core.other) if isinstance(core, Choice) else None
    if isinstance(other, Const) and _variable(core) is not None:
        try:
            return str(int(str(other.value)))
        except ValueError:
            return None
    return None


def _rename(draft: Draft, read: EnvVar, name: str) -> None:
    """Another name in the read of a variable, where it is written out."""
    if read.origin is None:
        raise NoPlaceError("where the variable is read is not known")
    literal = next(
        (
            node
            for node in everything_in(read.origin.node)
            if isinstance(node, cst.SimpleString) and node.evaluated_value == read.name
        ),
        None,
    )
    if literal is None:
        raise NoPlaceError("the name of the variable is not written where it is read")
    draft.replace_text(Origin(read.origin.module, literal), f"{literal.quote}{name}{literal.quote}")


def _holds_read(statement: cst.CSTNode, read: EnvVar) -> bool:
    return read.origin is not None and any(node is read.origin.node for node in everything_in(statement))


def _assignment(facts: FunctionFacts, name: str | None) -> cst.CSTNode | None:
    """The one statement that binds a name in a function."""
    found = [
        node
        for node in everything_in(facts.node.body)
        if isinstance(node, cst.SimpleStatementLine)
        for small in node.body
        if isinstance(small, cst.Assign)
        for target in small.targets
        if isinstance(target.target, cst.Name) and target.target.value == name
    ]
    return found[0] if len(found) == 1 else None
