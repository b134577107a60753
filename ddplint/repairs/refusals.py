"""What speaks against raising the rank of a worker to the whole job: things that only the processes of a node share."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ddplint.program import hosts
from ddplint.program.group import Group
from ddplint.program.module import FunctionFacts
from ddplint.program.values import Const, Value, walk
from ddplint.repairs import addresses
from ddplint.repairs.draft import Draft, NoPlaceError
from ddplint.repairs.roles import roles
from ddplint.repairs.way import Level


def names_a_device(draft: Draft, facts: FunctionFacts, name: str) -> bool:
    """Whether any method of the object takes a field of it for a device."""
    methods = facts.cls.methods.values() if facts.cls is not None and name.startswith("self.") else ()
    return any(roles(draft.program, method, name).device for method in methods)


def refuse_what_stays_on_the_node(draft: Draft, group: Group, levels: Sequence[Level]) -> None:
    """Things that only the processes of one node share: what goes with them cannot be raised to the whole job."""
    method = group.init_method
    if method is not None and any(_is_file(value) for value in walk(method.value)):
        raise NoPlaceError("its processes meet in a file")
    for one, value, origin in hosts.init_methods(draft.program):
        if one is group and not hosts.guarded(group.event.path):
            typed_in = [host for host in hosts.url_parts(value, origin, group.event.path)[0] if host.option is None]
            fixed = any(hosts.is_loopback(host.text) for host in typed_in)
            if fixed and addresses.in_url(draft.program, value, origin, group.event.path) is None:
                raise NoPlaceError("its processes meet at an address of this node, which has no fix")
    texts = [module.source.text for module in draft.program.modules]
    if any("reduce" in text and _DIVIDED.search(text) for text in texts):
        raise NoPlaceError("a reduced value is divided by the number of GPUs of one node")
    for level in levels:
        if level.index is not None and _OBJECT.match(level.index) and level.roles.device:
            _refuse_a_shared_field(draft, levels, level)
    if any(
        "Barrier" in module.words
        for module in {id(level.facts.module): level.facts.module for level in levels}.values()
    ):
        raise NoPlaceError("its processes also wait for each other with a Barrier of one node")


# Before 2 nodes the processes of one node were all there are.
_DIVIDED = re.compile(r"/=?\s*torch\.cuda\.device_count\(\)")
_OBJECT = re.compile(r"\w+[.\[]")


def _refuse_a_shared_field(draft: Draft, levels: Sequence[Level], level: Level) -> None:
    """A field that is the rank here and a device there: who reads it elsewhere would be left with the local rank."""
    assert level.index is not None
    inside = {id(one.facts.node) for one in levels}
    for module in draft.program.modules:
        for facts in module.functions.values():
            own = not level.index.startswith("self.") or facts.cls is level.facts.cls
            if id(facts.node) not in inside and own and roles(draft.program, facts, level.index).whole_job:
                raise NoPlaceError(f"{level.index} is a rank and a device, and {facts.qualified}() reads it, too")


def _is_file(value: Value) -> bool:
    return isinstance(value, Const) and isinstance(value.value, str) and value.value.startswith("file:")
