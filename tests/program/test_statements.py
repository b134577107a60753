"""Statements that are easily misread: a rank that the model knows after them is the one that Python computes."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest
from scripts import BY_HAND, Exported, processes, program, true_ranks, value

from ddplint.program.topology import FAMILY, UNKNOWN

# "##### name" and then the code up to the next such line; the code sets `rank` from `local`, `node` and `gpus`.
_PARTS = re.split(r"^##### (.*)\n", (Path(__file__).parent / "statements.txt").read_text("utf-8"), flags=re.MULTILINE)
CASES = dict(zip(_PARTS[1::2], _PARTS[2::2], strict=True))

# Not right yet: the model is sure of a number that is not true.
WRONG = {"two names for a list"}

SCRIPT = """
import os
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

def worker(local, node, gpus):
{body}
    dist.init_process_group("gloo", rank=rank, world_size=8)

mp.spawn(worker, args=(int(os.environ["NODE_RANK"]), torch.cuda.device_count()), nprocs=torch.cuda.device_count())
"""


@pytest.mark.filterwarnings("ignore::SyntaxWarning")
@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.xfail(raises=AssertionError) if name in WRONG else ()) for name in CASES],
)
def test_known_is_true(name: str) -> None:
    text = SCRIPT.format(body=textwrap.indent(CASES[name], "    "))
    group = program(text).groups[0]
    for topology in FAMILY:
        found = processes(group, topology, None, Exported(BY_HAND))
        told = [value(process, group.rank) for process in found or []]
        real = true_ranks(text, topology, None, spawned=True)
        wrong = [(said, is_) for said, is_ in zip(told, real, strict=True) if said is not UNKNOWN and said != is_]
        assert wrong == [], f"{topology}: said and true"


def test_wrong_names_cases() -> None:
    assert set(CASES) >= WRONG
