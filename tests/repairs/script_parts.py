"""The pieces of generated scripts: imports, addresses, the start of processes and of their process group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hypothesis import strategies as st

Lines = list[str]


@dataclass(frozen=True)
class Words:
    """How a script calls what it imports."""

    imports: tuple[str, ...]
    os: str
    dist: str  # with its dot, or empty
    mp: str
    environ: str
    getenv: str


_DIST = {
    "dist": ("import torch.distributed as dist", "dist."),
    "td": ("from torch import distributed as td", "td."),
    "torch.distributed": ("import torch.distributed", "torch.distributed."),
    "names": ("from torch.distributed import destroy_process_group, init_process_group", ""),
}
_MP = {
    "mp": ("import torch.multiprocessing as mp", "mp."),
    "from-torch": ("from torch import multiprocessing as mp", "mp."),
    "names": ("from torch.multiprocessing import Process, spawn, start_processes", ""),
    "whole": ("import torch.multiprocessing", "torch.multiprocessing."),
}
_OS = {
    "os": ("import os", "os.environ", "os.getenv"),
    "_os": ("import os as _os", "_os.environ", "_os.getenv"),
    "names": ("from os import environ, getenv", "environ", "getenv"),
}


@st.composite
def words(draw: st.DrawFn, spawns: bool) -> Words:
    """The ways to import what a script needs."""
    dist, prefix = draw(st.sampled_from(list(_DIST.values())))
    mp, mp_prefix = draw(st.sampled_from(list(_MP.values())))
    os, environ, getenv = draw(st.sampled_from(list(_OS.values())))
    imports = ["import torch", dist, *([mp] if spawns else []), "from torch import nn"]
    imports += ["from torch.nn.parallel import DistributedDataParallel as DDP"]
    imports += ["from torch.utils.data.distributed import DistributedSampler"]
    return Words(tuple(imports), os, prefix, mp_prefix, environ, getenv)


@dataclass(frozen=True)
class Address:
    """Where the first process is said to be: constants, lines before the start, its init_method, options."""

    constants: Lines
    lines: Lines
    init_method: str
    options: Lines


ADDRESSES = "nothing store setdefault update dataclass option url url-f-string url-format".split()
STORED_ADDRESSES = ADDRESSES[:6]


def address(words: Words, form: str) -> Address:
    """One of :data:`ADDRESSES`."""
    environ = words.environ
    host, port = '"localhost"', '"12355"'
    if form == "setdefault":
        lines = [f'{environ}.setdefault("MASTER_ADDR", {host})', f'{environ}.setdefault("MASTER_PORT", {port})']
        return Address([], lines, "", [])
    if form == "update":
        return Address([], [f'{environ}.update({{"MASTER_ADDR": {host}, "MASTER_PORT": "29501"}})'], "", [])
    if form == "url":
        return Address([], [], '"tcp://127.0.0.1:23456"', [])
    if form == "url-f-string":
        return Address(['HOST = "127.0.0.1"', "PORT = 23456"], [], 'f"tcp://{HOST}:{PORT}"', [])
    if form == "url-format":
        return Address(['HOST = "127.0.0.1"'], [], '"tcp://{}:{}".format(HOST, 23456)', [])
    if form == "nothing":
        return Address([], [], "", [])
    constants: Lines = []
    options: Lines = []
    if form == "option":
        host, port = "args.master_addr", "str(args.master_port)"
        options = ['"--master-addr", default="localhost"', '"--master-port", type=int, default=12355']
    elif form == "dataclass":
        host, port = "Address().host", "str(Address().port)"
        constants = ["from dataclasses import dataclass", "", "", "@dataclass", "class Address:"]
        constants += ['    host: str = "localhost"', "    port: int = 12355"]
    stores = [f'{environ}["MASTER_ADDR"] = {host}', f'{environ}["MASTER_PORT"] = {port}']
    return Address(constants, stores, "", options)


def joined(words: Words, way: str, rank: str, world: str, where: Address, spread: bool) -> tuple[Lines, list[Lines]]:
    """The lines of a worker up to the process group, and the functions that they call."""

    def started(rank: str, world: str) -> Lines:
        method = [f"init_method={where.init_method}"] if where.init_method else []
        arguments = ['"gloo"', *method, f"rank={rank}", f"world_size={world}"]
        return call(f"{words.dist}init_process_group", arguments, spread)

    if way in ("helper", "helpers"):
        extra = ", args" if where.options else ""
        inner = ["def connect(rank, size):", *indented(started("rank", "size"))]
        last = started("rank", "world_size") if way == "helper" else ["connect(rank, world_size)"]
        outer = [f"def setup(rank, world_size{extra}):", *indented([*where.lines, *last])]
        return [f"setup({rank}, {world}{extra})"], [inner, outer] if way == "helpers" else [outer]
    if way == "field":
        return [f"args.rank = {rank}", *where.lines, *started("args.rank", world)], []
    if way == "dict":
        made = f'settings = {{"rank": {rank}, "size": {world}}}'
        return [made, *where.lines, *started('settings["rank"]', world)], []
    if way == "store":
        stores = [f'{words.environ}["RANK"] = str({rank})', f'{words.environ}["WORLD_SIZE"] = str({world})']
        return [*where.lines, *stores, f'{words.dist}init_process_group("gloo")'], []
    if way == "method":
        return [*where.lines, *started("self.rank", "self.world_size")], []
    return [*where.lines, *started(rank, world)], []


def trainer(join: Lines, train: Lines) -> Lines:
    """A class that keeps its rank."""
    body = ["self.rank = rank", "self.world_size = world_size", "self.setup()"]
    return [
        "class Trainer:",
        "    def __init__(self, rank, world_size):",
        *indented(body, 2),
        "",
        "    def setup(self):",
        *indented(join, 2),
        "",
        "    def train(self):",
        *indented(train, 2),
    ]


def starter(words: Words, start: str, count: str, parameters: Sequence[str], spread: bool) -> Lines:
    """The lines that start ``count`` processes of ``work``."""
    if start == "loop":
        return [
            "processes = []",
            f"for position in range({count}):",
            f"    process = {words.mp}Process(target=work, args=({', '.join(['position', *parameters])}))",
            "    process.start()",
            "    processes.append(process)",
            "for process in processes:",
            "    process.join()",
        ]
    handed = f"args=({', '.join(parameters)}{',' if len(parameters) == 1 else ''})"
    method = ['start_method="spawn"'] if start == "start_processes" else ["join=True"]
    return call(f"{words.mp}{start}", ["work", handed, f"nprocs={count}", *method], spread)


def options(declared: Sequence[str]) -> Lines:
    """A command line with these options."""
    added = [f"parser.add_argument({option})" for option in declared]
    return ["parser = argparse.ArgumentParser()", *added, "args = parser.parse_args()"]


def call(name: str, arguments: Sequence[str], spread: bool) -> Lines:
    """A call on one line, or with a line for each argument."""
    if not spread:
        return [f"{name}({', '.join(arguments)})"]
    return [f"{name}(", *(f"    {argument}," for argument in arguments), ")"]


def indented(lines: Sequence[str], depth: int = 1) -> Lines:
    return ["    " * depth + line if line else "" for line in lines]


def module(words: Words, constants: Lines, blocks: Sequence[Lines]) -> str:
    """The text of a script. It imports os if it needs it."""
    body = "\n".join([*constants, *(line for block in blocks for line in ("", "", *block)), ""])
    needs = words.environ in body or words.getenv in body
    return "\n".join(["import argparse", *([words.os] if needs else []), "", *words.imports, "", body])
