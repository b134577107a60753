"""Findings are true: what the model computes for every process is what Python computes there.

Scripts with random rank arithmetic are written, read by the model, and really executed once for every process of
every topology of the family, with stand-ins for torch.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, event, given, note, settings
from hypothesis import strategies as st
from scripts import BY_HAND, Exported, Place, Started, places, processes, program, run, value

from ddplint.program.arithmetic import CONCRETE
from ddplint.program.group import Group
from ddplint.program.launchers import TORCHRUN, Launcher
from ddplint.program.topology import FAMILY, UNKNOWN, Topology
from ddplint.program.values import Op, Unknown, Value, walk

# -- writing scripts ------------------------------------------------------------------------------------------------

HELPERS = """
SCALE = 2

def identity(n):
    return n

def affine(a, b=1, *, c=0):
    return a * b + c

def clamp(n, low=0, high=7):
    if n < low:
        return low
    if n > high:
        return high
    return n

def split(n, d):
    return n // d, n % d

def nested(a, b):
    q, r = split(a, 3)
    if r == 0:
        return affine(q, b)
    elif q > 1 and not b > 5:
        return clamp(a, high=b)
    return identity(a) - r

def first(*numbers, **named):
    return numbers[0] + named.get("more", 0)

def logged(fn):
    return fn

class Place:
    width = 3

    def __init__(self, node, local):
        self.node = node
        self.local = local

    @property
    def both(self):
        return self.node * self.width + self.local

    def shifted(self, by=1):
        return self.both + by
"""

HELPERS += """
import math
from dataclasses import dataclass, field
from functools import partial

class Wide(Place):
    width = 5

    def __init__(self, node, local):
        super().__init__(node, local)
        self.twice = 2 * node

    @classmethod
    def of(cls, n):
        return cls(n, 1)

    @staticmethod
    def plus(a, b):
        return a + b

    def __call__(self, n):
        return n + self.local

@dataclass
class Fields:
    node: int
    local: int = 4
    width: int = field(default=6)

    def __post_init__(self):
        self.total = self.node + self.width

def doubling(fn):
    def wrapper(*args):
        return 2 * fn(*args)
    return wrapper

@doubling
def decorated(n):
    return n + 1

def recursive(n):
    if n < 1:
        return 0
    return 1 + recursive(n // 2 - 1)

def numbers(n):
    yield n
    yield n + 1

def yielding(n):
    a, b = numbers(n)
    return b

def first_that_fits(n):
    for size in (1, 2, 4, 8):
        if size >= n:
            break
    else:
        size = 16
    for size2 in (3, 5):
        if size2 > n:
            return size2
    return size

def caught(a, b):
    try:
        result = a // b
    except ZeroDivisionError:
        result = 3
    else:
        result += 1
    finally:
        a = 2
    return result + a

def counted(n):
    total = 0
    for i in range(3):
        total = total + n
    while total > 10:
        total -= 4
    return total

CALLS = 0
MADE = {"n": 1}

def looked_up(n):
    global CALLS
    CALLS = CALLS + n
    MADE["n"] = n
    def inner():
        nonlocal n
        n = n + 1
        return n
    return inner() + n + CALLS
"""

TORCHRUN_SCRIPT = """
import os
import torch
import torch.distributed as dist
{helpers}
local = int(os.environ["LOCAL_RANK"])
node = int(os.environ.get("GROUP_RANK"))
nodes = int(os.getenv("GROUP_WORLD_SIZE", "1"))
nproc = int(os.environ.get("LOCAL_WORLD_SIZE", 1))
gpus = torch.cuda.device_count()
{body}
dist.init_process_group("gloo", rank={rank}, world_size={world})
"""

SPAWN_SCRIPT = """
import os
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
{helpers}
def worker(local, node, nodes, nproc, gpus):
{body}
    dist.init_process_group("gloo", rank={rank}, world_size={world})

if __name__ == "__main__":
    gpus = torch.cuda.device_count()
    node = int(os.environ["NODE_RANK"])
    nodes = int(os.environ.get("NNODES", 1))
    mp.spawn(worker, args=(node, nodes, int(os.environ["NPROC_PER_NODE"]), gpus), nprocs=gpus)
"""

ATOMS = ("local", "node", "nodes", "nproc", "gpus")
POSITIVE = ("nodes", "nproc", "gpus", "1", "2", "3", "5")


class Writer:
    """Writes random arithmetic; ``choose`` makes every choice on the way."""

    def __init__(self, choose: Callable[[Sequence[Any]], Any]) -> None:
        self.choose = choose
        self.names = list(ATOMS)
        self.fresh = 0

    def pick(self, *options: str) -> str:
        return str(self.choose(options))

    def maybe(self) -> bool:
        return bool(self.choose((True, False)))

    def new(self) -> str:
        self.fresh += 1
        return f"v{self.fresh}"

    def positive(self) -> str:
        kind = self.pick("atom", "atom", "max", "product", "abs")
        if kind == "max":
            return f"max(1, {self.number(1)})"
        if kind == "product":
            return f"({self.pick(*POSITIVE)} * {self.pick(*POSITIVE)})"
        if kind == "abs":
            return f"(abs({self.number(1)}) + 1)"
        return self.pick(*POSITIVE)

    def number(self, depth: int) -> str:
        if depth <= 0:
            return self.pick(*self.names, *self.names, "0", "1", "2", "3", "7")
        return str(self.choose(NUMBERS)(self, depth - 1))

    def test(self, depth: int) -> str:
        a, b, c = (self.number(depth - 1) for _ in range(3))
        sign, other = (self.pick("==", "!=", "<", "<=", ">", ">=") for _ in range(2))
        kind = self.pick("plain", "plain", "chain", "in", "not in", "not", "and", "or", "bare", "is", "text", "bool")
        if kind == "chain":
            return f"({a} {sign} {b} {other} {c})"
        if kind in ("in", "not in"):
            return f"({a} {kind} ({b}, {c}))"
        if kind == "not":
            return f"(not {a} {sign} {b})"
        if kind in ("and", "or"):
            return f"({a} {sign} {b} {kind} {b} {other} {c})"
        if kind == "bare":
            return a
        if kind == "is":
            return f"({a} is not None)"
        if kind == "text":
            return f"(str({a}) == str({b}))"
        if kind == "bool":
            return f"bool({a})"
        return f"({a} {sign} {b})"

    # -- statements ---------------------------------------------------------------------------------------------

    def statements(self, count: int, depth: int = 1) -> list[str]:
        lines: list[str] = []
        for _ in range(count):
            lines += self.choose(STATEMENTS)(self, depth)
        return lines

    def branch(self, name: str, depth: int) -> list[str]:
        """A block that may or may not set ``name``, and knows its own variables."""
        known = list(self.names)
        lines = self.statements(self.choose((0, 1)), depth - 1) if depth else []
        lines += [f"{name} {self.pick('=', '=', '+=', '-=', '*=')} {self.number(1)}"]
        self.names = known
        return lines


def _indent(lines: list[str]) -> list[str]:
    return ["    " + line for line in lines]


NUMBERS = (
    lambda w, d: w.number(0),
    lambda w, d: f"({w.number(d)} {w.pick('+', '-', '*')} {w.number(d)})",
    lambda w, d: f"({w.number(d)} {w.pick('+', '*')} {w.number(d)})",
    lambda w, d: f"({w.number(d)} {w.pick('//', '%')} {w.positive()})",
    lambda w, d: f"{w.pick('-', '+')}{w.number(0)}",
    lambda w, d: f"divmod({w.number(d)}, {w.positive()})[{w.pick('0', '1', '-1')}]",
    lambda w, d: f"({w.number(d)} if {w.test(d)} else {w.number(d)})",
    lambda w, d: f"({w.number(d)}, {w.number(d)}, {w.number(d)})[{w.pick('0', '1', '2', '-1', '-3')}]",
    lambda w, d: f"[{w.number(d)}, {w.number(d)}][{w.pick('0', '1')}]",
    lambda w, d: f"{{'a': {w.number(d)}, 'b': {w.number(d)}}}['{w.pick('a', 'b')}']",
    lambda w, d: f"{w.pick('min', 'max')}({w.number(d)}, {w.number(d)})",
    lambda w, d: f"{w.pick('min', 'max')}([{w.number(d)}, {w.number(d)}, {w.number(d)}])",
    lambda w, d: f"abs({w.number(d)})",
    lambda w, d: f"int(str({w.number(d)}))",
    lambda w, d: f'int(f"{{{w.number(0)}}}")',
    lambda w, d: f'int(f"{{{w.number(0)} + {w.number(0)}}}0")',
    lambda w, d: f'int(f"{{{w.number(0)}:02d}}")',
    lambda w, d: f"int(str({w.number(d)}).strip(), 10)",
    lambda w, d: f"(lambda n, m=2: n * m)({w.number(d)})",
    lambda w, d: f"sum([{w.number(d)}, {w.number(d)}])",
    lambda w, d: f"sum(n for n in ({w.number(d)}, {w.number(0)}))",
    lambda w, d: f"[n + 1 for n in ({w.number(d)}, {w.number(0)})][{w.pick('0', '1', '-1')}]",
    lambda w, d: f"[n for n in range({w.pick(*POSITIVE)})][0]",
    lambda w, d: f"{{'a': {w.number(d)}}}.get({w.pick(repr('a'), repr('b'))}, {w.number(0)})",
    lambda w, d: f"dict(a={w.number(d)}, b={w.number(0)})['{w.pick('a', 'b')}']",
    lambda w, d: f"range({w.positive()})[0] + len(range({w.positive()}))",
    lambda w, d: f"list(range({w.pick(*POSITIVE)}))[-1]",
    lambda w, d: f"({w.number(d)}, {w.number(d)})[{w.test(1)}]",
    lambda w, d: f"({w.number(d)}, *({w.number(0)}, {w.number(0)}))[{w.pick('1', '2')}]",
    lambda w, d: f"({w.number(d)}, {w.number(d)}, 1)[{w.pick('1:', ':2', '::-1', '-2:')}][0]",
    lambda w, d: f"round({w.number(d)})",
    lambda w, d: f"pow({w.number(0)}, 2)",
    lambda w, d: f"({w.number(0)} {w.pick('<<', '>>', '^')} {w.pick('0', '1', '2')})",
    lambda w, d: f"~{w.number(0)}",
    lambda w, d: f"math.{w.pick('ceil', 'floor')}({w.number(d)} / {w.positive()})",
    lambda w, d: f"int('{{:d}}'.format({w.number(0)}))",
    lambda w, d: f"int('7' + str({w.pick(*POSITIVE)}))",
    lambda w, d: "int('7' * 2) + int('3' '4')",
    lambda w, d: f"(not {w.number(0)}) + {w.number(d)}",
    lambda w, d: f"{w.pick('min', 'max')}(({w.number(d)},))",
    lambda w, d: f"Wide({w.number(d)}, {w.number(d)}).{w.pick('both', 'shifted()', 'width', 'twice')}",
    lambda w, d: f"Wide.of({w.number(d)}).{w.pick('both', 'node')}",
    lambda w, d: f"Wide.plus({w.number(d)}, 3)",
    lambda w, d: f"Wide(1, 2)({w.number(d)})",
    lambda w, d: f"Fields({w.number(d)}, local={w.number(0)}).{w.pick('node', 'local', 'width', 'total')}",
    lambda w, d: f"logged(affine)({w.number(d)})",
    lambda w, d: f"partial(affine, {w.number(d)})(b={w.number(0)})",
    lambda w, d: f"recursive({w.number(d)})",
    lambda w, d: f"yielding({w.number(d)})",
    lambda w, d: f"looked_up({w.number(d)})",
    lambda w, d: f"int('%d' % {w.number(d)})",
    lambda w, d: f"int('%s%s' % ({w.pick(*POSITIVE)}, {w.pick('local', 'node')}))",
    lambda w, d: f"int('{{}}{{}}'.format({w.pick(*POSITIVE)}, {w.pick('local', 'node')}))",
    lambda w, d: (
        f"int('x-{{0}}-{{n}}'.format({w.pick(*POSITIVE)}, n={w.pick(*POSITIVE)}).split('-')[{w.pick('1', '2', '-1')}])"
    ),
    lambda w, d: f"int({w.test(d)})",
    lambda w, d: f"({w.test(1)}) * {w.number(d)}",
    lambda w, d: f"({w.number(d)} {w.pick('or', 'and')} {w.number(d)})",
    lambda w, d: f"({w.test(1)} and {w.number(d)} or {w.number(d)})",
    lambda w, d: f"int({w.number(d)} / {w.positive()})",
    lambda w, d: f"({w.number(0)} ** 2)",
    lambda w, d: f"({w.number(d)} {w.pick('|', '&')} {w.number(d)})" if d < 2 else w.number(d),
    lambda w, d: f"identity({w.number(d)})",
    lambda w, d: f"affine({w.number(d)}, {w.number(d)})",
    lambda w, d: f"affine(c={w.number(d)}, a={w.number(d)})",
    lambda w, d: f"affine(*({w.number(d)}, {w.number(d)}), **{{'c': {w.number(0)}}})",
    lambda w, d: f"clamp({w.number(d)}, {w.pick('0', '1')}, high={w.pick(*POSITIVE)})",
    lambda w, d: f"split({w.number(d)}, {w.positive()})[{w.pick('0', '1')}]",
    lambda w, d: f"nested({w.number(d)}, {w.number(d)})",
    lambda w, d: f"first({w.number(d)}, {w.number(0)}, more={w.number(0)})",
    lambda w, d: f"Place({w.number(d)}, {w.number(d)}).{w.pick('both', 'node', 'shifted()', 'shifted(by=2)', 'width')}",
    lambda w, d: f"len(({w.number(0)}, {w.number(0)}))",
    lambda w, d: f"SCALE * {w.number(0)}",
)


def _assignment(w: Writer, depth: int) -> list[str]:
    line = w.number(2)
    name = w.new()
    w.names.append(name)
    return [f"{name} = {line}"]


def _augmented(w: Writer, depth: int) -> list[str]:
    return [f"{w.pick(*w.names)} {w.pick('+=', '-=', '*=')} {w.number(1)}"]


def _divided(w: Writer, depth: int) -> list[str]:
    return [f"{w.pick('node', 'local')} {w.pick('//=', '%=')} {w.positive()}"]


def _unpacked(w: Writer, depth: int) -> list[str]:
    one, two = w.new(), w.new()
    right = w.pick(
        f"divmod({w.number(1)}, {w.positive()})",
        f"{w.number(1)}, {w.number(1)}",
        f"[{w.number(1)}, {w.number(1)}]",
        f"split({w.number(1)}, {w.positive()})",
        f"({w.number(1)}, {w.number(1)}) if {w.test(1)} else ({w.number(1)}, {w.number(1)})",
    )
    w.names += [one, two]
    return [f"{one}, {two} = {right}"]


def _swapped(w: Writer, depth: int) -> list[str]:
    one, two = w.pick("node", "local"), w.pick(*w.names)
    return [f"{one}, {two} = {two}, {one}"]


def _branches(w: Writer, depth: int) -> list[str]:
    name = w.pick(*w.names)
    lines = [f"if {w.test(2)}:", *_indent(w.branch(name, depth))]
    if w.maybe():
        lines += [f"elif {w.test(2)}:", *_indent(w.branch(name, depth))]
    if w.maybe():
        lines += ["else:", *_indent(w.branch(w.pick(*w.names), depth))]
    return lines


def _unrolled(w: Writer, depth: int) -> list[str]:
    name = w.pick(*w.names)
    step = w.pick(f"{name} = {name} + each", f"{name} = each", f"{name} = each if {w.test(1)} else {name}")
    return [f"for each in ({w.number(1)}, {w.number(1)}, {w.number(0)}):", "    " + step]


def _fields(w: Writer, depth: int) -> list[str]:
    name, field = w.new(), w.pick("node", "local")
    w.names += [f"{name}.{field}"]
    return [
        f"{name} = Place({w.number(1)}, {w.number(1)})",
        f"if {w.test(1)}:",
        f"    {name}.{field} {w.pick('=', '+=')} {w.number(1)}",
    ]


def _table(w: Writer, depth: int) -> list[str]:
    name = w.new()
    w.names += [f"{name}['a']"]
    return [f"{name} = {{'a': {w.number(1)}}}", f"if {w.test(1)}:", f"    {name}['a'] = {w.number(1)}"]


def _function(w: Writer, depth: int) -> list[str]:
    name, result = w.new(), w.new()
    inner = Writer(w.choose)
    inner.names = [*w.names, "given"]
    lines = [f"if {inner.test(1)}:", f"    return {inner.number(1)}"]
    if w.maybe():
        lines += ["else:", f"    given = {inner.number(1)}"]
    lines += [f"return {inner.number(2)}"]
    call = f"{name}({w.number(1)})"
    w.names.append(result)
    return [f"def {name}(given):", *_indent(lines), f"{result} = {call}"]


def _stored(w: Writer, depth: int) -> list[str]:
    name = w.new()
    spelling = w.pick(
        "os.environ['{n}'] = str({e})",
        "os.environ.update({{'{n}': str({e})}})",
        "os.environ.setdefault('{n}', str({e}))",
        "os.environ.update({n}=str({e}))",
        "os.environ |= {{'{n}': str({e})}}",
        "os.environ['{n}'] = '%s' % ({e},)",
    )
    line = spelling.format(n=name.upper(), e=w.number(1))
    w.names.append(name)
    read = w.pick("os.environ['{n}']", "os.environ.get('{n}', 5)", "os.getenv('{n}')").format(n=name.upper())
    return [line, f"{name} = int({read})"]


def _caught(w: Writer, depth: int) -> list[str]:
    name = w.pick(*w.names)
    return [
        "try:",
        f"    {name} = int(os.environ['{w.pick('RANK', 'LOCAL_RANK', 'NODE_RANK', 'GROUP_RANK', 'NNODES')}'])",
        "except KeyError:",
        f"    {name} = {w.number(1)}",
    ]


def _guarded(w: Writer, depth: int) -> list[str]:
    variable = w.pick("RANK", "LOCAL_RANK", "NODE_RANK", "GROUP_RANK", "NNODES", "V0")
    name = w.pick(*w.names)
    return [f"if '{variable}' {w.pick('in', 'not in')} os.environ:", *_indent(w.branch(name, 0))]


def _chained(w: Writer, depth: int) -> list[str]:
    one, two = w.new(), w.new()
    right = w.number(1)
    w.names += [one, two]
    return [
        w.pick(
            f"{one} = {two} = {right}",
            f"{one} = ({two} := {right}) + 1",
            f"{one}, (*{two}s, {two}) = {right}, (1, 2, {right})",
            f"{one}, *rest = {right}, 1, 2; {two} = rest[0]",
            f"{one}: int = {right}; {two} = {one}",
        )
    ]


def _removed(w: Writer, depth: int) -> list[str]:
    name = w.new()
    w.names += [name]
    drop = w.pick("os.environ.pop('{n}')", "del os.environ['{n}']", "os.environ.pop('{n}', None)")
    return [
        f"os.environ['{name.upper()}'] = '3'",
        drop.format(n=name.upper()),
        f"{name} = int(os.environ.get('{name.upper()}', {w.number(1)}))",
    ]


def _matched(w: Writer, depth: int) -> list[str]:
    name = w.pick(*w.names)
    return [
        f"match {w.number(1)}:",
        "    case 0:",
        f"        {name} = {w.number(1)}",
        "    case 1 | 2:",
        f"        {name} = {w.number(1)}",
        f"    case {w.pick('_', '3')}:",
        f"        {name} = {w.number(1)}",
    ]


STATEMENTS = (
    _chained,
    _removed,
    _matched,
    _assignment,
    _assignment,
    _augmented,
    _divided,
    _unpacked,
    _swapped,
    _branches,
    _branches,
    _unrolled,
    _fields,
    _table,
    _function,
    _stored,
    _caught,
    _guarded,
)


def write(choose: Callable[[Sequence[Any]], Any], template: str) -> str:
    """A whole script."""
    writer = Writer(choose)
    lines = writer.statements(choose((0, 1, 2, 3, 4)))
    indent = "    " if template is SPAWN_SCRIPT else ""
    body = textwrap.indent("\n".join(lines), indent)
    rank, world = writer.number(3), writer.number(2)
    return template.format(helpers=HELPERS, body=body, rank=rank, world=world)


@st.composite
def scripts(draw: st.DrawFn, template: str) -> str:
    return write(lambda options: draw(st.sampled_from(options)), template)


# -- comparing ------------------------------------------------------------------------------------------------------


def truth(text: str, place: Place) -> Started | type[Exception] | None:
    """What Python does: the arguments of the group, None, or the kind of error that ends the script."""
    try:
        return run(text, place)
    except Exception as error:
        return type(error)


def compare(text: str, launcher: Launcher | None) -> None:
    """Every process of every topology of the family: the model says what Python says, or that it does not know."""
    note(text.replace(HELPERS, "# helpers\n"))
    group = program(text).groups[0]
    spawned = launcher is None
    answers = Exported(BY_HAND if spawned else {})
    for topology in FAMILY:
        ran = [truth(text, place) for place in places(topology, launcher, spawned=spawned)]
        real = [one for one in ran if isinstance(one, Started)]
        if len(real) < len(ran):
            event("the script dies")
            continue  # whatever the model says: nobody will see these ranks
        found = processes(group, topology, launcher, answers)
        assert found is not None, f"{topology}: the model does not get there, Python does"
        for process, one in zip(found, real, strict=True):
            for what, said, is_ in (("rank", group.rank, one.rank), ("world size", group.world_size, one.world_size)):
                if is_ == -1:
                    continue  # torch's word for "not given"
                told = value(process, said)
                if told is UNKNOWN:
                    event(f"{what} unknown")
                    continue
                event(f"{what} known")
                assert told == is_, f"{topology}, node {process.node} local rank {process.local}: {what}"


SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
FUZZ = settings(max_examples=40, deadline=None, suppress_health_check=SLOW)


@given(scripts(TORCHRUN_SCRIPT))
@FUZZ
def test_torchrun_arithmetic(text: str) -> None:
    compare(text, TORCHRUN)


@given(scripts(SPAWN_SCRIPT))
@FUZZ
def test_spawn_arithmetic(text: str) -> None:
    compare(text, None)


# -- verdicts -------------------------------------------------------------------------------------------------------


def true_jobs(text: str, launcher: Launcher | None) -> dict[Topology, list[Started]]:
    """What every process of every topology does; assumes that none dies."""
    jobs: dict[Topology, list[Started]] = {}
    for topology in FAMILY:
        ran = [truth(text, place) for place in places(topology, launcher, spawned=launcher is None)]
        jobs[topology] = [one for one in ran if isinstance(one, Started) and one.rank != -1]
        assume(len(jobs[topology]) == len(ran))
    return jobs


def repeats(jobs: dict[Topology, list[Started]]) -> bool:
    """Whether a rank is claimed twice on some topology."""
    return any(len({one.rank for one in job}) < len(job) for job in jobs.values())


def all_known(group: Group, launcher: Launcher | None) -> bool:
    """Whether the model knows the rank of every process."""
    answers = Exported(BY_HAND if launcher is None else {})
    for topology in FAMILY:
        found = processes(group, topology, launcher, answers)
        if found is None or any(not isinstance(value(process, group.rank), int) for process in found):
            return False
    return True


def check_counterexample(group: Group, jobs: dict[Topology, list[Started]]) -> None:
    """The table of a finding is what really happens, and shows a rank that comes twice.

    Where the ranks hang on a condition that the model cannot judge, the table leaves them open.
    """
    assert group.rank_failure is not None
    shown = group.counterexample(group.rank_failure)
    if shown is None:
        return
    job = jobs[Topology(shown.nnodes, shown.nproc_per_node)]
    assert [row.rank for row in shown.processes if row.rank is not None] == [
        one.rank for one, row in zip(job, shown.processes, strict=True) if row.rank is not None
    ]
    if any(row.rank is None for row in shown.processes):
        return
    repeated = [row for row in shown.processes if [other.rank for other in shown.processes].count(row.rank) > 1]
    assert repeated
    assert [row for row in shown.processes if row.trouble] == repeated


@given(scripts(TORCHRUN_SCRIPT))
@FUZZ
def test_torchrun_verdict(text: str) -> None:
    """Under torchrun a rank is at fault exactly if two processes of some topology really claim the same."""
    note(text.replace(HELPERS, "# helpers\n"))
    jobs = true_jobs(text, TORCHRUN)
    group = program(text).groups[0]
    assume(not group.single_process)
    # what nobody exported here somebody may export elsewhere: then a finding needs more, and may show another job
    exported = any(word in text for word in ("NNODES", "NODE_RANK", "V0", "setdefault"))
    if group.rank_failure is not None:
        assert repeats(jobs)
        if not exported:
            check_counterexample(group, jobs)
    elif all_known(group, TORCHRUN) and not exported:
        assert not repeats(jobs)


@given(scripts(SPAWN_SCRIPT))
@FUZZ
def test_spawn_verdict(text: str) -> None:
    """A spawned rank is at fault only if it comes twice although somebody exports the node rank on every node."""
    note(text.replace(HELPERS, "# helpers\n"))
    jobs = true_jobs(text, None)
    group = program(text).groups[0]
    assume(not group.single_process)
    if group.rank_failure is not None:
        assert repeats(jobs)


# -- what people type -----------------------------------------------------------------------------------------------

TYPED_SCRIPT = """
import argparse
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
{helpers}
def worker(local, args, gpus):
    dist.init_process_group("gloo", rank={rank}, world_size=8)

parser = argparse.ArgumentParser()
parser.add_argument("--first", type=int, default={first})
parser.add_argument("--second", type=int, default={second})

if __name__ == "__main__":
    gpus = torch.cuda.device_count()
    mp.spawn(worker, args=(parser.parse_args(), gpus), nprocs=gpus)
"""

# What a person may type on a node: something that counts there, or nothing, or 0.
MEANINGS = (
    lambda topology, node: node,
    lambda topology, node: topology.nnodes,
    lambda topology, node: topology.nproc,
    lambda topology, node: topology.nnodes * topology.nproc,
    lambda topology, node: 0,
)


@st.composite
def typed_ranks(draw: st.DrawFn) -> tuple[str, int, int]:
    writer = Writer(lambda options: draw(st.sampled_from(options)))
    writer.names = ["local", "args.first", "args.second", "gpus"]
    rank = writer.number(3)
    for name in ("nodes", "nproc"):
        assume(name not in rank)
    return rank, draw(st.sampled_from((0, 1, 4))), draw(st.sampled_from((0, 2)))


@given(typed_ranks())
@FUZZ
def test_typed_verdict(script: tuple[str, int, int]) -> None:
    """With typed numbers a rank is at fault exactly if no way of typing them makes the ranks unique."""
    rank, first, second = script
    group = program(TYPED_SCRIPT.format(helpers=HELPERS, rank=rank, first=first, second=second)).groups[0]
    formula = compile(rank, "rank", "eval")
    names: dict[str, Any] = {}
    exec(HELPERS, names)

    def unique(topology: Topology, one: Any, two: Any) -> bool:
        claimed = []
        for node in range(topology.nnodes):
            typed = SimpleNamespace(first=one(topology, node), second=two(topology, node))
            for local in range(topology.nproc):
                names["CALLS"] = 0
                claimed.append(eval(formula, {**names, "local": local, "args": typed, "gpus": topology.nproc}))
        return len(set(claimed)) == len(claimed)

    ways_one = (*MEANINGS, lambda topology, node: first)
    ways_two = (*MEANINGS, lambda topology, node: second)
    try:
        possible = [any(unique(topology, one, two) for one in ways_one for two in ways_two) for topology in FAMILY]
    except Exception:
        return  # some way of typing ends in an error
    event(f"possible: {all(possible)}, reported: {group.rank_failure is not None}")
    if group.rank_failure is not None:
        assert not all(possible)
    elif group.rank is not None and understood(group.rank):
        assert all(possible)


def understood(rank: Value) -> bool:
    """Whether every operation in a value is one that the model can do."""
    parts = list(walk(rank))
    known = CONCRETE.keys() | {"and", "or", "not"}
    return not any(isinstance(part, Unknown) or (isinstance(part, Op) and part.name not in known) for part in parts)


# -- what must not be claimed ---------------------------------------------------------------------------------------

BY_NODE = """
import os
import socket
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
import cluster

def worker(local, node, gpus):
    rank = node * gpus + local
    dist.init_process_group("gloo", rank=rank, world_size=2 * gpus)

gpus = torch.cuda.device_count()
node = {node}
mp.spawn(worker, args=(node, gpus), nprocs=gpus)
"""


@pytest.mark.parametrize(
    "node",
    [
        "cluster.node_index()",
        "HOSTS.index(socket.gethostname())",
        "{'gpu01': 0, 'gpu02': 1}[socket.gethostname()]",
        "int(socket.gethostname()[-2:]) - 1",
        "0 if socket.gethostname() == 'gpu01' else 1",
        "0 if cluster.is_head() else 1",
    ],
)
def test_a_node_rank_that_may_be_right_is_not_at_fault(node: str) -> None:
    (group,) = program(BY_NODE.format(node=node)).groups
    assert group.rank_failure is None
