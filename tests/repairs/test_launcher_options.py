"""Fixes of DDP104 and DDP112: options whose default the launcher knows."""

from __future__ import annotations

from pathlib import Path

import pytest
from repairing import findings, repaired

NODE_SCRIPT = """import argparse
{}
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

parser = argparse.ArgumentParser()
parser.add_argument("--nodes", type=int, default=1)
{}


def worker(local_rank, gpus, args):
    dist.init_process_group("nccl", rank=args.node_rank * gpus + local_rank, world_size=args.nodes * gpus)


if __name__ == "__main__":
    gpus = torch.cuda.device_count()
    mp.spawn(worker, args=(gpus, parser.parse_args()), nprocs=gpus)
"""
NODE_RANKS = {
    "default": (
        'parser.add_argument("--node_rank", type=int, default=0)',
        'parser.add_argument("--node_rank", type=int, default=int(os.environ.get("NODE_RANK", 0)))',
    ),
    "single-quotes": (
        "parser.add_argument('-nr', '--node_rank', default=0, type=int,\n                    help='of this machine')",
        "parser.add_argument('-nr', '--node_rank', default=int(os.environ.get('NODE_RANK', 0)), type=int,\n"
        "                    help='of this machine')",
    ),
    "lines": (
        'parser.add_argument(\n    "--node_rank",  # per machine\n    type=int,\n    default=0,  # the first\n)',
        'parser.add_argument(\n    "--node_rank",  # per machine\n    type=int,\n'
        '    default=int(os.environ.get("NODE_RANK", 0)),  # the first\n)',
    ),
    "required": (
        'parser.add_argument("--node_rank", type=int, required=True)',
        'parser.add_argument("--node_rank", type=int, required="NODE_RANK" not in os.environ, '
        'default=os.environ.get("NODE_RANK"))',
    ),
    "required-lines": (
        'parser.add_argument(\n    "--node_rank",\n    type=int,\n    required=True,\n)',
        'parser.add_argument(\n    "--node_rank",\n    type=int,\n    required="NODE_RANK" not in os.environ,\n'
        '    default=os.environ.get("NODE_RANK"),\n)',
    ),
    "no-default": (
        'parser.add_argument("--node_rank", type=int)',
        'parser.add_argument("--node_rank", type=int, default=os.environ.get("NODE_RANK"))',
    ),
    "none": (
        'parser.add_argument("--node_rank", type=int, default=None)',
        'parser.add_argument("--node_rank", type=int, default=os.environ.get("NODE_RANK"))',
    ),
    "text": (
        'parser.add_argument("--node_rank", type=int, default="0")',
        'parser.add_argument("--node_rank", type=int, default=int(os.environ.get("NODE_RANK", "0")))',
    ),
    "constant": (
        'FIRST = 0\nparser.add_argument("--node_rank", type=int, default=FIRST)',
        'FIRST = 0\nparser.add_argument("--node_rank", type=int, default=int(os.environ.get("NODE_RANK", FIRST)))',
    ),
    "group": (
        'group = parser.add_argument_group("nodes")\ngroup.add_argument("--node_rank", type=int, default=0)',
        'group = parser.add_argument_group("nodes")\n'
        'group.add_argument("--node_rank", type=int, default=int(os.environ.get("NODE_RANK", 0)))',
    ),
}


@pytest.mark.parametrize("name", NODE_RANKS)
@pytest.mark.parametrize("newline", ["\n", "\r\n"], ids=["lf", "crlf"])
def test_node_rank(name: str, newline: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, after = NODE_RANKS[name]
    made = repaired("DDP104", NODE_SCRIPT.format("", before), tmp_path, monkeypatch, newline)
    assert made == NODE_SCRIPT.format("import os\n", after)
    assert findings("DDP104", tmp_path, monkeypatch) == []


def test_node_rank_of_slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "job.sh").write_text("#!/bin/bash\n#SBATCH --nodes=2\nsrun python train.py\n")
    before, after = NODE_RANKS["default"]
    after = after.replace('NODE_RANK", 0', 'NODE_RANK", os.environ.get("SLURM_NODEID", 0)')
    assert repaired("DDP104", NODE_SCRIPT.format("", before), tmp_path, monkeypatch) == NODE_SCRIPT.format(
        "import os\n", after
    )


WHOLE = {
    "torchrun": (
        "DDP104",
        "import argparse\nimport os\n\nimport torch.distributed as dist\n\nparser = argparse.ArgumentParser()\n"
        'parser.add_argument("--node_rank", type=int, default=0)\n'
        'parser.add_argument("--local_rank", type=int, default=0)\nargs = parser.parse_args()\n'
        'size = int(os.environ["LOCAL_WORLD_SIZE"])\nrank = args.node_rank * size + args.local_rank\n'
        'dist.init_process_group("gloo", rank=rank, world_size=int(os.environ["WORLD_SIZE"]))\n',
        'default=int(os.environ.get("GROUP_RANK", 0))',
    ),
    "whole-rank": (
        "DDP104",
        "import argparse\nimport os\n\nimport torch.distributed as dist\n\nparser = argparse.ArgumentParser()\n"
        'parser.add_argument("--rank", type=int, default=0)\nparser.add_argument("--size", type=int)\n'
        'args = parser.parse_args()\ndist.init_process_group("gloo", rank=args.rank, world_size=args.size)\n',
        'default=int(os.environ.get("RANK", 0))',
    ),
    "click": (
        "DDP104",
        "import os\n\nimport click\nimport torch\nimport torch.distributed as dist\n"
        "import torch.multiprocessing as mp\n\n\ndef worker(local_rank, gpus, node, nodes):\n"
        '    dist.init_process_group("nccl", rank=node * gpus + local_rank, world_size=nodes * gpus)\n\n\n'
        '@click.command()\n@click.option("--node", default=0)\n@click.option("--nodes", default=1)\n'
        "def main(node, nodes):\n    gpus = torch.cuda.device_count()\n"
        "    mp.spawn(worker, args=(gpus, node, nodes), nprocs=gpus)\n\n\nmain()\n",
        '@click.option("--node", default=int(os.environ.get("NODE_RANK", 0)))',
    ),
    "typer": (
        "DDP104",
        "import torch\nimport torch.distributed as dist\nimport torch.multiprocessing as mp\nimport typer\n\n\n"
        "def worker(local_rank, gpus, node_rank, nodes):\n"
        '    dist.init_process_group("nccl", rank=node_rank * gpus + local_rank, world_size=nodes * gpus)\n\n\n'
        'def main(node_rank: int = typer.Option(0, "--node-rank"), nodes: int = 1):\n'
        "    gpus = torch.cuda.device_count()\n"
        "    mp.spawn(worker, args=(gpus, node_rank, nodes), nprocs=gpus)\n\n\ntyper.run(main)\n",
        'node_rank: int = typer.Option(int(os.environ.get("NODE_RANK", 0)), "--node-rank")',
    ),
    "absl": (
        "DDP104",
        "import torch\nimport torch.distributed as dist\nimport torch.multiprocessing as mp\n"
        "from absl import app, flags\n\nFLAGS = flags.FLAGS\nflags.DEFINE_integer('node_rank', 0, 'which node')\n"
        "flags.DEFINE_integer('nodes', 1, 'how many')\n\n\ndef worker(local_rank, gpus, node_rank, nodes):\n"
        "    dist.init_process_group('nccl', rank=node_rank * gpus + local_rank, world_size=nodes * gpus)\n\n\n"
        "def main(_):\n    gpus = torch.cuda.device_count()\n"
        "    mp.spawn(worker, args=(gpus, FLAGS.node_rank, FLAGS.nodes), nprocs=gpus)\n\n\napp.run(main)\n",
        "flags.DEFINE_integer('node_rank', int(os.environ.get('NODE_RANK', 0)), 'which node')",
    ),
    "field": (
        "DDP104",
        "from dataclasses import dataclass, field\n\nimport torch\nimport torch.distributed as dist\n"
        "import torch.multiprocessing as mp\nimport tyro\n\n\n@dataclass\nclass Options:\n    nodes: int = 1\n"
        '    node_rank: int = field(default=0, metadata={"help": "which"})\n\n\n'
        "def worker(local_rank, gpus, options):\n    rank = options.node_rank * gpus + local_rank\n"
        '    dist.init_process_group("nccl", rank=rank, world_size=options.nodes * gpus)\n\n\n'
        'if __name__ == "__main__":\n    gpus = torch.cuda.device_count()\n'
        "    mp.spawn(worker, args=(gpus, tyro.cli(Options)), nprocs=gpus)\n",
        'node_rank: int = field(default=int(os.environ.get("NODE_RANK", 0)), metadata={"help": "which"})',
    ),
    "constant": (
        "DDP104",
        "import os\n\nimport torch\nimport torch.distributed as dist\nimport torch.multiprocessing as mp\n\n"
        "NODE_RANK = 0\nNODES = 2\n\n\ndef worker(local_rank, gpus):\n"
        '    dist.init_process_group("nccl", rank=NODE_RANK * gpus + local_rank, world_size=NODES * gpus)\n\n\n'
        'if __name__ == "__main__":\n    gpus = torch.cuda.device_count()\n'
        "    mp.spawn(worker, args=(gpus,), nprocs=gpus)\n",
        'NODE_RANK = int(os.environ.get("NODE_RANK", 0))',
    ),
}


@pytest.mark.parametrize("name", WHOLE)
def test_other_programs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code, before, wanted = WHOLE[name]
    made = repaired(code, before, tmp_path, monkeypatch)
    assert wanted in made
    assert findings(code, tmp_path, monkeypatch) == []


LOCAL_SCRIPT = """import argparse
import os
{}
import torch
import torch.distributed as dist

parser = argparse.ArgumentParser()
{}
args = parser.parse_args()
torch.cuda.set_device(args.local_rank)
dist.init_process_group("nccl")
"""
LOCAL_RANKS = {
    "plain": (
        'parser.add_argument("--local_rank", type=int, default=0)',
        'parser.add_argument("--local_rank", "--local-rank", type=int, default=int(os.environ.get("LOCAL_RANK", 0)))',
    ),
    "negative": (
        "parser.add_argument('--local_rank', default=-1, type=int, help='do not set')",
        "parser.add_argument('--local_rank', '--local-rank', default=int(os.environ.get('LOCAL_RANK', -1)), type=int, "
        "help='do not set')",
    ),
    "dash": (
        'parser.add_argument("--local-rank", type=int, default=0)',
        'parser.add_argument("--local-rank", "--local_rank", type=int, default=int(os.environ.get("LOCAL_RANK", 0)))',
    ),
    "both": (
        'parser.add_argument("--local_rank", "--local-rank", type=int, default=0)',
        'parser.add_argument("--local_rank", "--local-rank", type=int, default=int(os.environ.get("LOCAL_RANK", 0)))',
    ),
    "dest": (
        'parser.add_argument("-l", "--local_rank", dest="local_rank", type=int, default=0)',
        'parser.add_argument("-l", "--local_rank", "--local-rank", dest="local_rank", type=int, '
        'default=int(os.environ.get("LOCAL_RANK", 0)))',
    ),
    "none": (
        'parser.add_argument("--local_rank", type=int, default=None)',
        'parser.add_argument("--local_rank", "--local-rank", type=int, default=os.environ.get("LOCAL_RANK"))',
    ),
    "required": (
        'parser.add_argument("--local_rank", type=int, required=True)',
        'parser.add_argument("--local_rank", "--local-rank", type=int, required="LOCAL_RANK" not in os.environ,\n'
        '                    default=os.environ.get("LOCAL_RANK"))',
    ),
    "no-type": (
        'parser.add_argument("--local_rank", default=0)',
        'parser.add_argument("--local_rank", "--local-rank", default=int(os.environ.get("LOCAL_RANK", 0)), type=int)',
    ),
    "lines": (
        'parser.add_argument(\n    "--local_rank",\n    type=int,\n    default=0,  # one GPU\n)',
        'parser.add_argument(\n    "--local_rank", "--local-rank",\n    type=int,\n'
        '    default=int(os.environ.get("LOCAL_RANK", 0)),  # one GPU\n)',
    ),
}


@pytest.mark.parametrize("name", LOCAL_RANKS)
def test_local_rank(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, after = LOCAL_RANKS[name]
    made = repaired("DDP112", LOCAL_SCRIPT.format("", before), tmp_path, monkeypatch)
    assert made == LOCAL_SCRIPT.format("", after)
    assert findings("DDP112", tmp_path, monkeypatch) == []


@pytest.mark.parametrize(
    "code",
    [
        pytest.param('parser.add_argument("--local_rank", **options)', id="open"),
        pytest.param('parser.add_argument("--local_rank", default=0)\nparser.set_defaults(local_rank=1)', id="set"),
        pytest.param('parser.add_argument("--local_rank", type=lambda text: int(text), default=0)', id="type"),
        pytest.param('parser.add_argument("--local_rank", type=int, default=0, required=flag)', id="required"),
    ],
)
def test_no_fix(code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = LOCAL_SCRIPT.format("", code)
    assert repaired("DDP112", before, tmp_path, monkeypatch) == before
