"""What the model follows: each script's ranks are those that Python computes, process by process.

The scripts of this file are understood completely; what the model may leave unknown is no test of it.
"""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest
from scripts import BY_HAND, Exported, processes, program, project, true_ranks, value

from ddplint.program import Program
from ddplint.program.launchers import SRUN, TORCHRUN
from ddplint.program.topology import FAMILY
from ddplint.program.values import Input, Symbol, Unknown, walk

# -- really run -----------------------------------------------------------------------------------------------------

IMPORTS = """
import argparse
import os
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
"""

UNDER_TORCHRUN = {
    "nothing given": """
        dist.init_process_group("gloo")
    """,
    "get": """
        dist.init_process_group("gloo", rank=int(os.environ.get("RANK", "0")))
    """,
    "getenv": """
        dist.init_process_group("gloo", rank=int(os.getenv("RANK", 0)))
    """,
    "from os import environ": """
        from os import environ
        dist.init_process_group("gloo", rank=int(environ["RANK"]))
    """,
    "an absent variable": """
        dist.init_process_group("gloo", rank=int(os.environ.get("SLURM_PROCID", os.environ["RANK"])))
    """,
    "or": """
        dist.init_process_group("gloo", rank=int(os.environ.get("SLURM_PROCID") or os.environ["RANK"]))
    """,
    "setdefault of a variable that is set": """
        dist.init_process_group("gloo", rank=int(os.environ.setdefault("RANK", "7")))
    """,
    "setdefault of a variable that is not": """
        os.environ.setdefault("SLURM_PROCID", os.environ["LOCAL_RANK"])
        dist.init_process_group("gloo", rank=int(os.environ["SLURM_PROCID"]))
    """,
    "written and not passed": """
        os.environ["RANK"] = os.environ["LOCAL_RANK"]
        dist.init_process_group("gloo")
    """,
    "update": """
        os.environ.update({"RANK": os.environ["LOCAL_RANK"]}, WORLD_SIZE="3")
        dist.init_process_group("gloo")
    """,
    "|=": """
        os.environ |= {"RANK": os.environ["LOCAL_RANK"]}
        dist.init_process_group("gloo")
    """,
    "pop": """
        rank = int(os.environ.pop("LOCAL_RANK"))
        again = int(os.environ.get("LOCAL_RANK", "10"))
        dist.init_process_group("gloo", rank=rank + again)
    """,
    "in": """
        rank = int(os.environ["RANK"]) if "RANK" in os.environ else 0
        dist.init_process_group("gloo", rank=rank)
    """,
    "not in": """
        if "SLURM_PROCID" not in os.environ:
            rank = int(os.environ["RANK"])
        else:
            rank = 0
        dist.init_process_group("gloo", rank=rank)
    """,
    "a chain of launchers": """
        if "SLURM_PROCID" in os.environ:
            rank = int(os.environ["SLURM_PROCID"])
        elif "OMPI_COMM_WORLD_RANK" in os.environ:
            rank = int(os.environ["OMPI_COMM_WORLD_RANK"])
        elif "RANK" in os.environ:
            rank = int(os.environ["RANK"])
        else:
            rank = 0
        dist.init_process_group("gloo", rank=rank)
    """,
    "KeyError": """
        try:
            rank = int(os.environ["SLURM_PROCID"])
        except KeyError:
            rank = int(os.environ["RANK"])
        dist.init_process_group("gloo", rank=rank)
    """,
    "KeyError among others": """
        try:
            rank, local = int(os.environ["RANK"]), int(os.environ["SLURM_LOCALID"])
        except (KeyError, ValueError):
            rank = 100 + int(os.environ["RANK"])
        dist.init_process_group("gloo", rank=rank)
    """,
    "KeyError in a helper": """
        def where():
            try:
                return int(os.environ["SLURM_PROCID"])
            except KeyError:
                return None
        rank = where()
        if rank is None:
            rank = int(os.environ["RANK"])
        dist.init_process_group("gloo", rank=rank)
    """,
    "a loop over keys": """
        for key in ("RANK", "WORLD_SIZE"):
            os.environ[key] = os.environ["LOCAL_" + key]
        dist.init_process_group("gloo")
    """,
    "a loop over pairs": """
        for key, told in {"RANK": os.environ["LOCAL_RANK"], "WORLD_SIZE": 2}.items():
            os.environ[key] = str(told)
        dist.init_process_group("gloo")
    """,
    "a loop over the fields of a dataclass": """
        from dataclasses import dataclass, fields
        @dataclass
        class Env:
            rank: str
            world_size: str = "4"
            def export(self):
                for field in fields(self):
                    os.environ[field.name.upper()] = getattr(self, field.name)
        Env(os.environ["LOCAL_RANK"]).export()
        dist.init_process_group("gloo")
    """,
    "asdict": """
        from dataclasses import asdict, dataclass
        @dataclass
        class Env:
            RANK: str
            WORLD_SIZE: str = "4"
        os.environ.update(asdict(Env(RANK=os.environ["LOCAL_RANK"])))
        dist.init_process_group("gloo")
    """,
    "early return": """
        def rank():
            if int(os.environ["WORLD_SIZE"]) == 1:
                return 0
            local = int(os.environ["LOCAL_RANK"])
            if local > 1:
                return 10 + local
            return local
        dist.init_process_group("gloo", rank=rank())
    """,
    "branches that both write": """
        rank = 3
        if int(os.environ["LOCAL_RANK"]) == 0:
            rank = int(os.environ["RANK"])
        else:
            rank += 5
            rank *= 2
        dist.init_process_group("gloo", rank=rank)
    """,
    "assert": """
        rank = int(os.environ["RANK"])
        assert rank >= 0, "no rank"
        dist.init_process_group("gloo", rank=rank)
    """,
    "argparse default": """
        parser = argparse.ArgumentParser()
        parser.add_argument("--rank", type=int, default=os.environ.get("LOCAL_RANK"))
        args = parser.parse_args()
        args.rank = int(os.environ["RANK"]) + 1
        dist.init_process_group("gloo", rank=args.rank)
    """,
    "a namespace changed in a helper": """
        def place(args):
            args.rank = int(os.environ["RANK"])
            args.local, args.nodes = args.rank % 2, 3
        args = argparse.ArgumentParser().parse_args()
        place(args)
        dist.init_process_group("gloo", rank=args.rank * args.nodes + args.local)
    """,
    "vars": """
        args = argparse.ArgumentParser().parse_args()
        args.rank = int(os.environ["RANK"])
        def start(rank, **others):
            dist.init_process_group("gloo", rank=rank)
        start(**vars(args))
    """,
    "*args and **kwargs": """
        def start(*args, **kwargs):
            inner(*args, **kwargs)
        def inner(backend, rank=None, *, scale):
            dist.init_process_group(backend, rank=rank * scale)
        start("gloo", int(os.environ["RANK"]), scale=2)
    """,
    "defaults": """
        WORLD = int(os.environ["WORLD_SIZE"])
        def start(rank=int(os.environ["RANK"]), *, world=WORLD):
            dist.init_process_group("gloo", rank=rank, world_size=world)
        start()
    """,
    "inheritance": """
        class Base:
            offset = 1
            def __init__(self, rank):
                self.rank = rank
            def start(self):
                dist.init_process_group("gloo", rank=self.place())
            def place(self):
                return 0
        class Trainer(Base):
            offset = 5
            def place(self):
                return self.rank + self.offset
        Trainer(int(os.environ["RANK"])).start()
    """,
    "property": """
        class Trainer:
            @property
            def rank(self):
                return int(os.environ["RANK"])
            def start(self):
                dist.init_process_group("gloo", rank=self.rank)
        Trainer().start()
    """,
    "staticmethod": """
        class Trainer:
            @staticmethod
            def rank(scale=1):
                return int(os.environ["RANK"]) * scale
        dist.init_process_group("gloo", rank=Trainer.rank(2))
    """,
    "__call__": """
        class Rank:
            def __call__(self, scale):
                return int(os.environ["RANK"]) * scale
        dist.init_process_group("gloo", rank=Rank()(2))
    """,
    "global": """
        RANK = 0
        def read():
            global RANK
            RANK = int(os.environ["RANK"])
        read()
        dist.init_process_group("gloo", rank=RANK)
    """,
    "nonlocal": """
        def outer():
            rank = 0
            def read():
                nonlocal rank
                rank = int(os.environ["RANK"])
            read()
            return rank
        dist.init_process_group("gloo", rank=outer())
    """,
    "with": """
        with open(os.devnull) as file:
            dist.init_process_group("gloo", rank=int(os.environ["RANK"]))
    """,
    "keywords from a dict": """
        options = dict(backend="gloo", rank=int(os.environ["RANK"]))
        options["world_size"] = 4
        dist.init_process_group(**options)
    """,
    "match": """
        match os.environ["LOCAL_RANK"]:
            case "0":
                rank = 5
            case _:
                rank = int(os.environ["RANK"])
        dist.init_process_group("gloo", rank=rank)
    """,
    "walrus": """
        if (rank := int(os.environ["RANK"])) >= 0:
            dist.init_process_group("gloo", rank=rank)
    """,
    "async": """
        import asyncio
        async def rank():
            return int(os.environ["RANK"])
        async def main():
            dist.init_process_group("gloo", rank=await rank())
        asyncio.run(main())
    """,
    "__name__": """
        def main():
            dist.init_process_group("gloo", rank=int(os.environ["RANK"]))
        if __name__ == "__main__":
            main()
    """,
}

SPAWNED = {
    "mp.spawn": """
        def worker(i, node, gpus):
            dist.init_process_group("gloo", rank=node * gpus + i)
        mp.spawn(worker, args=(NODE, GPUS), nprocs=GPUS)
    """,
    "mp.spawn by position": """
        def worker(i, node):
            dist.init_process_group("gloo", rank=node * 10 + i)
        mp.spawn(worker, (NODE,), GPUS, True)
    """,
    "start_processes": """
        def worker(i):
            dist.init_process_group("gloo", rank=i)
        mp.start_processes(worker, nprocs=GPUS, start_method="fork")
    """,
    "partial": """
        from functools import partial
        def worker(i, node, scale):
            dist.init_process_group("gloo", rank=node * scale + i)
        mp.spawn(partial(worker, scale=GPUS), args=(NODE,), nprocs=GPUS)
    """,
    "a bound method": """
        class Trainer:
            def __init__(self, node):
                self.node = node
            def run(self, i):
                self.rank = self.node * GPUS + i
                self.setup()
            def setup(self):
                dist.init_process_group("gloo", rank=self.rank)
        mp.spawn(Trainer(NODE).run, nprocs=GPUS)
    """,
    "a method spawned from inside": """
        class Trainer:
            def launch(self):
                mp.spawn(self.run, args=(NODE,), nprocs=GPUS)
            def run(self, i, node):
                dist.init_process_group("gloo", rank=node + 5 * i)
        Trainer().launch()
    """,
    "a namespace": """
        def worker(i, args):
            args.rank = args.node * args.gpus + i
            setup(args)
        def setup(args):
            dist.init_process_group("gloo", rank=args.rank)
        args = argparse.Namespace(node=NODE, gpus=GPUS)
        mp.spawn(worker, args=(args,), nprocs=args.gpus)
    """,
    "*args": """
        def worker(i, *args):
            node, gpus = args
            dist.init_process_group("gloo", rank=node * gpus + i)
        mp.spawn(worker, args=(NODE, GPUS), nprocs=GPUS)
    """,
    "a loop of processes": """
        def worker(i, node):
            dist.init_process_group("gloo", rank=node * GPUS + i)
        started = []
        for i in range(GPUS):
            process = mp.Process(target=worker, args=(i, NODE))
            process.start()
            started.append(process)
        for process in started:
            process.join()
    """,
    "keyword arguments": """
        def worker(rank, size):
            dist.init_process_group("gloo", rank=rank, world_size=size)
        for n in range(GPUS):
            mp.Process(target=worker, kwargs={"size": 4, "rank": NODE * GPUS + n}).start()
    """,
    "a context": """
        def worker(rank):
            dist.init_process_group("gloo", rank=rank)
        context = mp.get_context("spawn")
        for n in range(GPUS):
            context.Process(target=worker, args=(n,)).start()
    """,
    "through the environment": """
        def worker(i):
            os.environ["RANK"] = str(NODE * GPUS + i)
            os.environ["WORLD_SIZE"] = "8"
            dist.init_process_group("gloo")
        mp.spawn(worker, nprocs=GPUS)
    """,
    "what the parent wrote": """
        def worker(i):
            dist.init_process_group("gloo", rank=int(os.environ["OFFSET"]) + i)
        os.environ["OFFSET"] = str(NODE * 3)
        mp.spawn(worker, nprocs=GPUS)
    """,
    "what a child writes stays there": """
        STATE = {"n": 1}
        def other(i):
            STATE["n"] = 50
        def worker(i):
            dist.init_process_group("gloo", rank=i + STATE["n"])
        mp.spawn(worker, nprocs=GPUS)
    """,
}


def check(text: str, *, spawned: bool) -> None:
    group = program(text).groups[0]
    launcher = None if spawned else TORCHRUN
    for topology in FAMILY:
        found = processes(group, topology, launcher, Exported(BY_HAND if spawned else {}))
        assert found is not None, "the model does not get there"
        assert [value(one, group.rank) for one in found] == true_ranks(text, topology, launcher, spawned=spawned)


# `**` of a namespace is not followed yet.
@pytest.mark.parametrize("name", list(UNDER_TORCHRUN))
def test_under_torchrun(name: str) -> None:
    check(IMPORTS + textwrap.dedent(UNDER_TORCHRUN[name]), spawned=False)


@pytest.mark.parametrize("name", SPAWNED)
def test_spawned(name: str) -> None:
    constants = 'NODE = int(os.environ["NODE_RANK"])\nGPUS = torch.cuda.device_count()\n'
    check(IMPORTS + constants + textwrap.dedent(SPAWNED[name]), spawned=True)


# -- what a person types --------------------------------------------------------------------------------------------

OPTIONS = {
    "argparse": """
        parser = argparse.ArgumentParser()
        parser.add_argument("-nr", "--node-rank", type=int, default=0)
        args = parser.parse_args()
        start(args.node_rank)
    """,
    "dest": """
        parser = argparse.ArgumentParser()
        parser.add_argument("--machine", dest="node_rank", type=int)
        start(parser.parse_args().node_rank)
    """,
    "group": """
        parser = argparse.ArgumentParser()
        group = parser.add_argument_group("distributed")
        group.add_argument("--node_rank", type=int)
        start(parser.parse_args().node_rank)
    """,
    "mutually exclusive group": """
        parser = argparse.ArgumentParser()
        parser.add_mutually_exclusive_group().add_argument("--node_rank", type=int)
        start(parser.parse_args().node_rank)
    """,
    "parents": """
        base = argparse.ArgumentParser(add_help=False)
        base.add_argument("--node_rank", type=int)
        parser = argparse.ArgumentParser(parents=[base])
        start(parser.parse_args().node_rank)
    """,
    "set_defaults": """
        parser = argparse.ArgumentParser()
        parser.add_argument("--node_rank", type=int)
        parser.set_defaults(node_rank=3)
        start(parser.parse_args().node_rank)
    """,
    "parse_known_args": """
        parser = argparse.ArgumentParser()
        parser.add_argument("--node_rank", type=int)
        args, rest = parser.parse_known_args()
        start(args.node_rank)
    """,
    "a parser made elsewhere": """
        def options(parser):
            parser.add_argument("--node_rank", type=int)
            return parser
        args = options(argparse.ArgumentParser()).parse_args()
        start(args.node_rank)
    """,
    "a subclass": """
        class Parser(argparse.ArgumentParser):
            pass
        parser = Parser()
        parser.add_argument("--node_rank", type=int)
        start(parser.parse_args().node_rank)
    """,
    "click": """
        import click
        @click.command()
        @click.option("--node-rank", type=int, default=0)
        def main(node_rank):
            start(node_rank)
        main()
    """,
    "typer": """
        import typer
        def main(node_rank: int = typer.Option(0)):
            start(node_rank)
        typer.run(main)
    """,
    "a typer app": """
        import typer
        app = typer.Typer()
        @app.command()
        def main(node_rank: int = 0):
            start(node_rank)
        if __name__ == "__main__":
            app()
    """,
    "absl": """
        from absl import app, flags
        FLAGS = flags.FLAGS
        flags.DEFINE_integer("node_rank", 0, "which node")
        def main(argv):
            start(FLAGS.node_rank)
        app.run(main)
    """,
    "HfArgumentParser": """
        from dataclasses import dataclass, field
        from transformers import HfArgumentParser
        @dataclass
        class Place:
            node_rank: int = field(default=0)
        @dataclass
        class Model:
            name: str = "gpt"
        model, place = HfArgumentParser((Model, Place)).parse_args_into_dataclasses()
        start(place.node_rank)
    """,
    "simple_parsing": """
        from dataclasses import dataclass
        from simple_parsing import ArgumentParser
        @dataclass
        class Place:
            node_rank: int = 0
        parser = ArgumentParser()
        parser.add_arguments(Place, dest="place")
        start(parser.parse_args().place.node_rank)
    """,
    "simple_parsing.parse": """
        from dataclasses import dataclass
        import simple_parsing
        @dataclass
        class Place:
            node_rank: int = 0
        start(simple_parsing.parse(config_class=Place).node_rank)
    """,
    "tyro": """
        from dataclasses import dataclass
        import tyro
        @dataclass
        class Place:
            node_rank: int = 0
        start(tyro.cli(Place).node_rank)
    """,
    "tyro of a function": """
        import tyro
        def main(node_rank: int = 0):
            start(node_rank)
        tyro.cli(main)
    """,
    "fire": """
        import fire
        def main(node_rank: int = 0):
            start(node_rank)
        fire.Fire(main)
    """,
    "getattr": """
        parser = argparse.ArgumentParser()
        parser.add_argument("--node_rank", type=int)
        start(getattr(parser.parse_args(), "node_rank", 0))
    """,
    "vars of a namespace": """
        parser = argparse.ArgumentParser()
        parser.add_argument("--node_rank", type=int)
        start(vars(parser.parse_args())["node_rank"])
    """,
}

# Not followed yet.
START = """
def worker(i, node, gpus):
    dist.init_process_group("gloo", rank=node * gpus + i)
def start(node):
    mp.spawn(worker, args=(node, torch.cuda.device_count()), nprocs=torch.cuda.device_count())
"""


@pytest.mark.parametrize("name", list(OPTIONS))
def test_an_option_is_typed(name: str) -> None:
    """The node rank of the formula is the declared option, by its name and type."""
    one = program(IMPORTS + START + textwrap.dedent(OPTIONS[name]))
    (group,) = one.groups
    assert group.rank is not None
    (option,) = [part for part in walk(group.rank) if isinstance(part, Input)]
    assert (option.name, option.type) == ("node_rank", "int")
    assert option.spec is not None
    assert option in one.options or option.name in {declared.name for declared in one.options}
    assert group.rank_failure is None


@pytest.mark.parametrize(
    ("declaration", "kind"),
    [
        ('"--x", action="store_true"', "bool"),
        ('"--x", action="store_false"', "bool"),
        ('"--x", default=1.5', "float"),
        ('"--x", default=3', "int"),
        ('"--x"', "str"),
        ('"--x", type=float', "float"),
        ('"--x", type=lambda text: 3', None),
    ],
)
def test_the_type_of_an_option(declaration: str, kind: str | None) -> None:
    one = program(f"import argparse\nparser = argparse.ArgumentParser()\nparser.add_argument({declaration})\n")
    assert [option.type for option in one.options] == [kind]


def test_subparsers() -> None:
    one = program(
        IMPORTS
        + START
        + textwrap.dedent("""
            parser = argparse.ArgumentParser()
            commands = parser.add_subparsers(dest="command", required=True)
            train = commands.add_parser("train")
            train.add_argument("--node_rank", type=int)
            train.set_defaults(run=start)
            args = parser.parse_args()
            start(args.node_rank)
        """)
    )
    assert [group.rank_failure for group in one.groups] == [None]


@pytest.mark.parametrize(
    "code",
    [
        pytest.param(
            """
            import hydra
            @hydra.main(config_path="conf", config_name="train")
            def main(cfg):
                start(cfg.launch.node_rank)
            main()
            """,
            id="hydra.main",
        ),
        pytest.param(
            """
            from omegaconf import OmegaConf
            cfg = OmegaConf.load("train.yaml")
            start(cfg.launch.node_rank)
            """,
            id="OmegaConf.load",
        ),
    ],
)
def test_a_configuration_is_unknown_but_named(code: str) -> None:
    one = program(IMPORTS + START + textwrap.dedent(code))
    (group,) = one.groups
    assert group.rank is not None
    (field,) = [part for part in walk(group.rank) if isinstance(part, Input)]
    assert field.name.endswith("node_rank")
    assert group.rank_failure is None


# -- several files --------------------------------------------------------------------------------------------------

TRAIN = "import torch.distributed as dist\n"
PLACE = 'import os\ndef local_rank():\n    return int(os.environ["LOCAL_RANK"])\n'

LAYOUTS = {
    "a sibling": {
        "train.py": TRAIN + 'from place import local_rank\ndist.init_process_group("gloo", rank=local_rank())\n',
        "place.py": PLACE,
    },
    "a sibling by its module": {
        "train.py": TRAIN + 'import place as p\ndist.init_process_group("gloo", rank=p.local_rank())\n',
        "place.py": PLACE,
    },
    "a package": {
        "train.py": TRAIN + 'from utils.place import local_rank\ndist.init_process_group("gloo", rank=local_rank())\n',
        "utils/__init__.py": "",
        "utils/place.py": PLACE,
    },
    "a dotted import": {
        "train.py": TRAIN + 'import utils.place\ndist.init_process_group("gloo", rank=utils.place.local_rank())\n',
        "utils/__init__.py": "",
        "utils/place.py": PLACE,
    },
    "from a package import a module": {
        "train.py": TRAIN + 'from utils import place\ndist.init_process_group("gloo", rank=place.local_rank())\n',
        "utils/__init__.py": "",
        "utils/place.py": PLACE,
    },
    "a namespace package": {
        "train.py": TRAIN + 'from utils.place import local_rank\ndist.init_process_group("gloo", rank=local_rank())\n',
        "utils/place.py": PLACE,
    },
    "from a namespace package import a module": {
        "train.py": TRAIN + 'from utils import place\ndist.init_process_group("gloo", rank=place.local_rank())\n',
        "utils/place.py": PLACE,
    },
    "a dotted import of a namespace package": {
        "train.py": TRAIN + 'import utils.place\ndist.init_process_group("gloo", rank=utils.place.local_rank())\n',
        "utils/place.py": PLACE,
    },
    "exported again": {
        "train.py": TRAIN + 'from utils import local_rank\ndist.init_process_group("gloo", rank=local_rank())\n',
        "utils/__init__.py": "from .place import local_rank\n",
        "utils/place.py": PLACE,
    },
    "exported again under another name": {
        "train.py": TRAIN + 'import utils\ndist.init_process_group("gloo", rank=utils.where())\n',
        "utils/__init__.py": "from utils.place import local_rank as where\n",
        "utils/place.py": PLACE,
    },
    "exported again by a star": {
        "train.py": TRAIN + 'from utils import *\ndist.init_process_group("gloo", rank=local_rank())\n',
        "utils/__init__.py": "from .place import *\n",
        "utils/place.py": PLACE,
    },
    "relative": {
        "train.py": "from tools.run import main\nmain()\n",
        "tools/__init__.py": "",
        "tools/run.py": TRAIN
        + 'from .place import local_rank\ndef main():\n    dist.init_process_group("gloo", rank=local_rank())\n',
        "tools/place.py": PLACE,
    },
    "from . import x": {
        "train.py": "from tools.run import main\nmain()\n",
        "tools/__init__.py": "",
        "tools/run.py": TRAIN
        + 'from . import place\ndef main():\n    dist.init_process_group("gloo", rank=place.local_rank())\n',
        "tools/place.py": PLACE,
    },
    "from .. import x": {
        "train.py": "from tools.deep.run import main\nmain()\n",
        "tools/__init__.py": "",
        "tools/deep/__init__.py": "",
        "tools/deep/run.py": TRAIN
        + 'from ..place import local_rank\ndef main():\n    dist.init_process_group("gloo", rank=local_rank())\n',
        "tools/place.py": PLACE,
    },
    "the root of a source tree": {
        "scripts/train.py": TRAIN
        + 'from library.place import local_rank\ndist.init_process_group("gloo", rank=local_rank())\n',
        "library/__init__.py": "",
        "library/place.py": PLACE,
    },
    "a cycle": {
        "train.py": TRAIN + "from a import start\nstart()\n",
        "a.py": TRAIN + "import b\ndef start():\n    b.go()\ndef init(rank):\n"
        '    dist.init_process_group("gloo", rank=rank)\n',
        "b.py": PLACE + "import a\ndef go():\n    a.init(local_rank())\n",
    },
    "an import inside a function": {
        "train.py": TRAIN
        + "def main():\n    from place import local_rank\n"
        + '    dist.init_process_group("gloo", rank=local_rank())\nmain()\n',
        "place.py": PLACE,
    },
    "a class": {
        "train.py": "from base import Base\nclass Trainer(Base):\n    pass\nTrainer().start()\n",
        "base.py": TRAIN
        + PLACE
        + 'class Base:\n    def start(self):\n        dist.init_process_group("gloo", rank=local_rank())\n',
    },
    "a namespace changed in another file": {
        "train.py": TRAIN + "import argparse\nfrom place import place\nargs = argparse.ArgumentParser().parse_args()\n"
        'place(args)\ndist.init_process_group("gloo", rank=args.rank)\n',
        "place.py": PLACE + "def place(args):\n    args.rank = local_rank()\n",
    },
    "a global of another file": {
        "train.py": TRAIN + 'import state\nstate.read()\ndist.init_process_group("gloo", rank=state.RANK)\n',
        "state.py": PLACE + "RANK = 0\ndef read():\n    global RANK\n    RANK = local_rank()\n",
    },
}


# A package whose __init__ says nothing about ranks is not read, and `import a.b` needs it.
@pytest.mark.parametrize(
    ("name", "linted"),
    [(name, linted) for name in LAYOUTS for linted in ("all", "the script")],
)
def test_layout(name: str, linted: str, tmp_path: Path) -> None:
    """The script is followed into the other files, whether these are linted too or not."""
    files = LAYOUTS[name]
    script = next(iter(files))
    for path, text in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text, encoding="utf-8")
    (tmp_path / ".git").mkdir()
    one = project(tmp_path, files if linted == "all" else {script: files[script]})[script]
    (group,) = one.groups
    found = processes(group, FAMILY[0], TORCHRUN, {})
    assert found is not None
    assert [value(process, group.rank) for process in found] == [0, 1, 0, 1]


# -- bounds ---------------------------------------------------------------------------------------------------------


def steps(one: Program) -> int:
    return sum(run._steps for run in one.runs)


def test_a_long_function_is_read_once() -> None:
    lines = "\n".join(f"    x{i} = rank + {i}" for i in range(2000))
    one = program(
        f'{IMPORTS}def main():\n    rank = int(os.environ["RANK"])\n{lines}\n'
        "    dist.init_process_group(rank=x1999)\nmain()\n"
    )
    assert steps(one) < 10_000
    found = processes(one.groups[0], FAMILY[0], TORCHRUN, {})
    assert found is not None
    assert [value(process, one.groups[0].rank) for process in found] == [1999, 2000, 2001, 2002]


def test_many_ifs_do_not_multiply() -> None:
    """Fifty independent conditions are fifty merges, not 2**50 paths."""
    lines = "\n".join(f'    if os.environ.get("A{i}"):\n        rank += {i}' for i in range(50))
    one = program(
        f'{IMPORTS}def main():\n    rank = 0\n{lines}\n    dist.init_process_group("gloo", rank=rank)\nmain()\n'
    )
    assert len(one.groups) == 1
    assert steps(one) < 1000


def test_deep_ifs_do_not_multiply() -> None:
    lines = "".join(f'{"    " * i}if os.environ.get("A{i}"):\n{"    " * i}    rank = {i}\n' for i in range(30))
    one = program(f'{IMPORTS}rank = int(os.environ["RANK"])\n{lines}dist.init_process_group("gloo", rank=rank)\n')
    assert len(one.groups) == 1
    assert steps(one) < 1000


def test_a_long_elif_chain() -> None:
    lines = "".join(f'elif name == "m{i}":\n    rank = {i}\n' for i in range(200))
    one = program(
        f'{IMPORTS}name = os.environ.get("NAME")\nif name == "":\n    rank = 0\n{lines}'
        'dist.init_process_group("gloo", rank=int(os.environ["RANK"]))\n'
    )
    assert one.groups[0].rank_failure is None
    assert steps(one) < 2000


def test_many_early_returns_do_not_multiply() -> None:
    returns = "\n".join(f'    if os.environ.get("A{i}"):\n        return {i}' for i in range(40))
    one = program(f'{IMPORTS}def rank():\n{returns}\n    return 0\ndist.init_process_group("gloo", rank=rank())\n')
    assert len(one.groups) == 1
    assert steps(one) < 1000


def test_calls_that_double_do_not_explode() -> None:
    """f0 calls f1 twice, f1 calls f2 twice ...: a million calls for Python, a bounded number here."""
    functions = "".join(f"def f{i}(rank):\n    f{i + 1}(rank)\n    f{i + 1}(rank + 1)\n" for i in range(20))
    end = 'def f20(rank):\n    os.environ["RANK"] = str(rank)\n'
    one = program(f'{IMPORTS}{functions}{end}f0(0)\ndist.init_process_group("gloo")\n')
    assert one.runs
    assert steps(one) <= 2 * 30_000 + 100


def test_recursion_ends() -> None:
    one = program(
        f"{IMPORTS}def rank(n):\n    return rank(n - 1) + 1\n"
        "def ping(n):\n    return pong(n)\ndef pong(n):\n    return ping(n)\n"
        'dist.init_process_group("gloo", rank=rank(3), world_size=ping(2))\n'
    )
    assert isinstance(one.groups[0].world_size, Unknown) or one.groups[0].world_failure is None
    assert one.groups[0].rank_failure is None


@pytest.mark.parametrize(
    "classes",
    [
        pytest.param("class A(A):\n    pass\nA().run()", id="itself"),
        pytest.param(
            "class A:\n    pass\nclass B(A):\n    pass\nclass A(B):\n    pass\nA().run()",
            id="one another, by a name used twice",
        ),
    ],
)
def test_classes_that_derive_from_one_another(classes: str) -> None:
    assert program(f"{IMPORTS}{classes}\n").groups == ()


def test_values_that_refer_to_each_other() -> None:
    one = program(
        f"{IMPORTS}class A:\n    pass\na, b = A(), A()\na.other, b.other = b, a\n"
        'd = {}\nd["d"] = d\ndist.init_process_group("gloo", rank=a.other.other.rank)\n'
    )
    assert one.groups[0].rank_failure is None


# -- where nothing is claimed ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "code",
    [
        "def ranks():\n    yield int(os.environ['LOCAL_RANK'])\nrank = next(ranks())",
        "rank = read_config()['rank']",
        "rank = eval(os.environ['LOCAL_RANK'])",
        "import json\nrank = json.load(open('job.json'))['rank']",
        "rank = dist.get_rank()",
        "rank = pool.map(int, ['1'])[0]",
        "rank = (lambda: int(os.environ['LOCAL_RANK']))()",
        "import unknown_package\nrank = unknown_package.rank()",
        "from .nowhere import rank",
        "rank = undefined",
        "rank = [int(os.environ['LOCAL_RANK'])].pop()",
    ],
)
def test_what_is_unknown_is_not_judged(code: str) -> None:
    one = program(
        f'{IMPORTS}{code}\ndist.init_process_group("gloo", rank=rank, world_size=int(os.environ["WORLD_SIZE"]))\n'
    )
    assert one.groups[0].rank_failure is None


def test_get_rank_is_the_rank_of_the_group() -> None:
    one = program(f'{IMPORTS}dist.init_process_group("gloo")\ntorch.cuda.set_device(dist.get_rank())\n')
    (device,) = one.events("device")
    found = processes(one.groups[0], FAMILY[0], TORCHRUN, {})
    assert found is not None
    assert [value(process, device.arguments["index"].value) for process in found] == [0, 1, 2, 3]


def test_get_rank_is_what_was_given() -> None:
    one = program(
        f'{IMPORTS}dist.init_process_group(rank=int(os.environ["LOCAL_RANK"]))\ntorch.cuda.set_device(dist.get_rank())\n'
    )
    (device,) = one.events("device")
    found = processes(one.groups[0], FAMILY[0], TORCHRUN, {})
    assert found is not None
    assert [value(process, device.arguments["index"].value) for process in found] == [0, 1, 0, 1]


def test_device_count_is_a_fact_of_the_node() -> None:
    one = program(f'{IMPORTS}dist.init_process_group("gloo", rank=0, world_size=torch.cuda.device_count())\n')
    assert isinstance(one.groups[0].world_size, Symbol)


def test_slurm() -> None:
    text = f'{IMPORTS}dist.init_process_group("gloo", rank=int(os.environ["SLURM_PROCID"]))\n'
    group = program(text).groups[0]
    for topology in FAMILY:
        found = processes(group, topology, SRUN, {})
        assert found is not None
        assert [value(one, group.rank) for one in found] == true_ranks(text, topology, SRUN)


def test_a_generator_is_executed_up_to_its_effects() -> None:
    one = program(
        f"{IMPORTS}from contextlib import contextmanager\n@contextmanager\ndef group():\n"
        '    dist.init_process_group("gloo", rank=int(os.environ["LOCAL_RANK"]))\n    yield\n'
        "    dist.destroy_process_group()\nwith group():\n    pass\n"
    )
    assert one.groups[0].rank_failure is not None


def test_rank_minus_one_means_not_given() -> None:
    """torch reads RANK then: torch 2.13, torch/distributed/rendezvous.py, _rendezvous_helper."""
    one = program(f'{IMPORTS}dist.init_process_group("gloo", rank=-1, world_size=-1)\n')
    assert one.groups[0].rank_failure is None
    assert one.groups[0].world_failure is None


def test_an_option_left_at_minus_one_means_not_given() -> None:
    one = program(
        f'{IMPORTS}parser = argparse.ArgumentParser()\nparser.add_argument("--rank", type=int, default=-1)\n'
        'dist.init_process_group("gloo", rank=parser.parse_args().rank, world_size=int(os.environ["WORLD_SIZE"]))\n'
    )
    assert one.groups[0].rank_failure is None
