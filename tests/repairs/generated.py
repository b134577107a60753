"""Training scripts that are wrong on several nodes, put together out of the ways in which people write them.

Each is a small but whole program: it starts its processes or is started by a launcher, joins a process group, and uses
its rank. What it is made of is drawn by hypothesis; :mod:`layouts` then decides how the file looks.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from hypothesis import strategies as st
from rank_uses import DEVICES, HELPERS, used, uses
from script_parts import (
    ADDRESSES,
    STORED_ADDRESSES,
    Lines,
    Words,
    address,
    indented,
    joined,
    module,
    options,
    starter,
    trainer,
    words,
)


@dataclass(frozen=True)
class Script:
    """A script in the plainest layout: four spaces, double quotes, no comments.

    ``launcher`` starts it: "hand" (one command on each node), "torchrun", "launch" (torch.distributed.launch) or
    "srun". ``each`` is the only number of processes per node that it can have, 0 if there is none. ``options`` say
    what somebody types on every node, by what it means: ``{"nnodes": "--nodes"}``. ``made_of`` is for messages.
    Some of it may be in ``helpers.py``.
    """

    text: str
    helpers: str
    launcher: str
    each: int = 0
    options: Mapping[str, str] = field(default_factory=dict)
    made_of: tuple[str, ...] = ()

    @property
    def files(self) -> dict[str, str]:
        return {"train.py": self.text, **({"helpers.py": self.helpers} if self.helpers else {})}


def scripts() -> st.SearchStrategy[Script]:
    """Scripts of all kinds."""
    return st.one_of(spawned(), launched())


_COUNTS = {
    "count": "torch.cuda.device_count()",
    "at-least-one": "max(torch.cuda.device_count(), 1)",
    "literal": "2",
    "constant": "WORLD_SIZE",
    "option": "args.world_size",
    "gpus": "args.gpus",
}
_DECLARED = {"option": ['"--world-size", type=int, default=2'], "gpus": ['"--gpus", default=2, type=int']}
_NODES = ['"--nodes", type=int, default=1', '"--node_rank", type=int, default=0']


@st.composite
def spawned(draw: st.DrawFn) -> Script:
    """A script that is started once on each node, and starts the processes of the node itself."""
    said = draw(words(spawns=True))
    index = draw(st.sampled_from("rank gpu local_rank index".split()))
    way = draw(st.sampled_from("parameter field helper helpers method store dict".split()))
    world = draw(st.sampled_from(list(_COUNTS)))
    nodes = draw(st.sampled_from(["none", "none", "none", "options", "formula"]))
    start = draw(st.sampled_from("spawn spawn start_processes loop".split()))
    form = draw(st.sampled_from(STORED_ADDRESSES if way == "store" else ADDRESSES))
    end = draw(st.sampled_from("plain plain finally".split()))
    through_args, early, in_main, spread = (draw(st.booleans()) for _ in range(4))
    does = draw(used())
    if way == "method" and form == "option":
        form = "store"
    if nodes == "formula":
        index = "gpu" if index == "rank" else index
        # Whoever writes it knows that the global rank is no GPU.
        does = [name for name in does if name != "helper-both" and not (way == "method" and name in DEVICES)]
    where = address(said, form)
    # -- the worker
    size = "WORLD_SIZE" if world == "constant" else "args.world_size" if through_args else "world_size"
    parameters = ["world_size", "args"] if size == "world_size" else ["args"]
    formula = [f"rank = args.node_rank * {size} + {index}"] if nodes == "formula" else []
    rank = "rank" if formula else index
    join, above = joined(said, way, rank, size, where, spread)
    rank_in_uses = {"field": "args.rank", "dict": 'settings["rank"]', "method": "self.rank"}.get(way, rank)
    first, later = (does[:1], does[1:]) if early else ([], does)
    before = uses(first, rank, size, index if formula else rank)
    size_in_uses = "self.world_size" if way == "method" else size
    train = uses(later, rank_in_uses, size_in_uses, index if formula else rank_in_uses)
    train = _ended(train, end, said)
    if way == "method":
        above = [trainer(join, train)]
        join, train = [], [f"Trainer({rank}, {size}).train()"]
    work = [f"def work({', '.join([index, *parameters])}):", *indented([*formula, *before, *join, *train])]
    # -- who starts it
    main = options([*_DECLARED.get(world, []), *(_NODES if nodes != "none" else []), *where.options])
    count = _COUNTS[world]
    if size != count and size != "WORLD_SIZE":
        main.append(f"{size} = {count}")
        count = size
    main += starter(said, start, count, parameters, spread)
    constants = ["WORLD_SIZE = 2"] if world == "constant" else []
    text, helpers = _files(said, draw(_APART), where.constants, constants, above, does, [work, *_entry(main, in_main)])
    return Script(
        text,
        helpers,
        "hand",
        0 if world in ("count", "at-least-one") else 2,
        {"nnodes": "--nodes", "node_rank": "--node_rank"} if nodes != "none" else {},
        (
            f"start={start}",
            f"way={way}",
            f"world={world}",
            f"nodes={nodes}",
            f"address={form}",
            f"early={early}",
            *does,
        ),
    )


@st.composite
def launched(draw: st.DrawFn) -> Script:
    """A script that a launcher starts as often as there are GPUs."""
    said = draw(words(spawns=False))
    launcher = draw(st.sampled_from("torchrun torchrun launch srun".split()))
    way = draw(st.sampled_from("parameter field helper helpers method module".split()))
    world = draw(st.sampled_from("count literal option right".split()))
    form = draw(st.sampled_from(ADDRESSES))
    end = draw(st.sampled_from("plain plain finally".split()))
    early, in_main, spread = (draw(st.booleans()) for _ in range(3))
    does = draw(used())
    name = draw(st.sampled_from(["rank", "local_rank", "gpu"]))
    read, declared = _read_rank(said, launcher, draw(st.sampled_from(["[]", "get", "getenv"])))
    if way == "method" and form == "option":
        form = "store"
    if way == "module" and launcher == "launch":
        way = "parameter"
    name = "LOCAL_RANK" if way == "module" else name
    where = address(said, form)
    size = f'int({said.environ}["{"SLURM_NTASKS" if launcher == "srun" else "WORLD_SIZE"}"])'
    size = {"count": "torch.cuda.device_count()", "literal": "2", "option": "args.world_size", "right": size}[world]
    join, above = joined(said, way, name, "world_size", where, spread)
    rank_in_uses = {"field": "args.rank", "method": "self.rank"}.get(way, name)
    first, later = (does[:1], does[1:]) if early else ([], does)
    before = uses(first, name, "world_size", name)
    train = uses(later, rank_in_uses, "self.world_size" if way == "method" else "world_size", rank_in_uses)
    train = _ended(train, end, said)
    if way == "method":
        above = [trainer(join, train)]
        join, train = [], [f"Trainer({name}, world_size).train()"]
    assigned = [f"{name} = {read}"]
    body = options([*declared, *_DECLARED.get(world, []), *where.options])
    body += [*(assigned if way != "module" else []), f"world_size = {size}", *before, *join, *train]
    constants = assigned if way == "module" else []
    text, helpers = _files(said, draw(_APART), where.constants, constants, above, does, _entry(body, in_main))
    return Script(
        text,
        helpers,
        launcher,
        2 if world in ("literal", "option") else 0,
        {},
        (launcher, f"way={way}", f"world={world}", f"address={form}", f"early={early}", *does),
    )


# Whether helper functions are in a module of their own, and how the script says their names.
_APART = st.sampled_from(["", "", "", "names", "module"])


def _files(
    said: Words,
    apart: str,
    address: Lines,
    constants: Lines,
    above: Sequence[Lines],
    does: Sequence[str],
    own: Sequence[Lines],
) -> tuple[str, str]:
    """The text of the script, and of a module of helpers if it has one.

    The constants of an ``address`` belong to who joins the process group, which a function or class ``above`` may do.
    """
    moved = [HELPERS[name] for name in does if name in HELPERS]
    # A class uses the others; functions that join a group use nobody.
    joins = bool(above) and above[0][0].startswith("def ")
    moved = [*above, *moved] if joins else moved
    if not apart or not moved:
        return module(said, [*address, *constants], [*([] if joins else above), *moved, *own]), ""
    names = [block[0].removeprefix("def ").removeprefix("class ").partition("(")[0].rstrip(":") for block in moved]
    imported = "import helpers" if apart == "module" else f"from helpers import {', '.join(sorted(names))}"
    helpers = module(said, address if joins else [], moved)
    text = module(said, [imported, "", *([] if joins else address), *constants], own if joins else [*above, *own])
    for name in names if apart == "module" else ():
        text = re.sub(rf"(?<![\w.]){name}\(", f"helpers.{name}(", text)
    return text, helpers


def _ended(train: Lines, end: str, said: Words) -> Lines:
    """What the worker does, up to the end of the process group."""
    leave = f"{said.dist}destroy_process_group()"
    return ["try:", *indented(train or ["pass"]), "finally:", f"    {leave}"] if end == "finally" else [*train, leave]


def _entry(body: Lines, in_main: bool) -> list[Lines]:
    """What happens when the script is run."""
    if not in_main:
        return [['if __name__ == "__main__":', *indented(body)]]
    return [["def main():", *indented(body)], ['if __name__ == "__main__":', "    main()"]]


def _read_rank(said: Words, launcher: str, form: str) -> tuple[str, Lines]:
    """Where the local rank comes from, and the options for it."""
    if launcher == "launch":
        return "args.local_rank", ['"--local_rank", type=int, default=0']
    name = "SLURM_LOCALID" if launcher == "srun" else "LOCAL_RANK"
    if form == "[]":
        return f'int({said.environ}["{name}"])', []
    if form == "get":
        return f'int({said.environ}.get("{name}", 0))', []
    return f'int({said.getenv}("{name}", "0"))', []
