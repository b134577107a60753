"""From a sampler to the loop that trains on its loader: what is followed, and what makes the model silent."""

from __future__ import annotations

import pytest

from ddplint.program import feeding
from tests.program.scripts import program

_SCRIPT = """
import itertools
import torch
from torch.utils import data as D
from torch.utils.data import DataLoader, DistributedSampler, BatchSampler, RandomSampler
from torch.utils.data.distributed import DistributedSampler as DS
from tqdm import tqdm, trange



def step(batch):
    model(batch).backward()
    optimizer.step()

{text}
"""

_MADE = "sampler = DistributedSampler(data)\nloader = DataLoader(data, sampler=sampler)\n"


def lines(text: str) -> list[str]:
    """The headers of the loops that train on one order again and again."""
    made = program(_SCRIPT.format(text=text))
    found = []
    for repeat in feeding.repeats(made):
        header = feeding.header(repeat.loop)
        found.append(repeat.loop.module.tree.code_for_node(header))
    return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (_MADE + "for epoch in range(9):\n    for x in loader:\n        step(x)", "range(9)"),
        (_MADE + "for epoch in trange(9):\n    for x in tqdm(loader):\n        step(x)", "trange(9)"),
        (_MADE + "for epoch in tqdm(range(9)):\n    for i, x in enumerate(loader):\n        step(x)", "tqdm(range(9))"),
        (_MADE + "for e in itertools.count():\n    for x in iter(loader):\n        step(x)", "itertools.count()"),
        (_MADE + "while True:\n    for x in loader:\n        step(x)", "True"),
        (
            _MADE + "for trial in trials:\n    for e in range(9):\n        for x in loader:\n            step(x)",
            "range(9)",
        ),
        (
            "loader = DataLoader(data, batch_sampler=BatchSampler(DS(data), 8, True))\n"
            "for epoch in range(9):\n    for x in loader:\n        step(x)",
            "range(9)",
        ),
        (
            "class Mine(D.DataLoader):\n    def __init__(self, data):\n"
            "        super().__init__(data, sampler=D.DistributedSampler(data))\n"
            "loader = Mine(data)\nfor epoch in range(9):\n    for x in loader:\n        step(x)",
            "range(9)",
        ),
        (
            "class Mine(D.DataLoader):\n    pass\nloader = Mine(data, sampler=D.DistributedSampler(data))\n"
            "for epoch in range(9):\n    for x in loader:\n        step(x)",
            "range(9)",
        ),
        (
            _MADE + "def log_every(items):\n    for item in items:\n        yield item\n        print(item)\n"
            "for epoch in range(9):\n    for x in log_every(loader):\n        step(x)",
            "range(9)",
        ),
        (
            "def make(name):\n    return DataLoader(name, sampler=DS(name))\nloaders = {'train': make('a')}\n"
            "for epoch in range(9):\n    for x in loaders['train']:\n        step(x)",
            "range(9)",
        ),
    ],
)
def test_repeated(text: str, expected: str) -> None:
    assert lines(text) == [expected]


@pytest.mark.parametrize(
    "text",
    [
        _MADE + "for epoch in range(9):\n    sampler.set_epoch(epoch)\n    for x in loader:\n        step(x)",
        _MADE
        + "for e in range(9):\n    loader.batch_sampler.sampler.set_epoch(e)\n    for x in loader:\n        step(x)",
        _MADE + "for epoch in range(9):\n    sampler.epoch = epoch\n    for x in loader:\n        step(x)",
        _MADE + "for epoch in range(9):\n    find(loader).set_epoch(epoch)\n    for x in loader:\n        step(x)",
        _MADE + "callbacks.append(sampler)\nfor epoch in range(9):\n    for x in loader:\n        step(x)",
        _MADE + "for epoch in range(9):\n    for x in loader:\n        model(x)",
        _MADE + "for epoch in range(9):\n    for x in loader:\n        model(x).backward()",
        _MADE + "for model in models:\n    for x in loader:\n        step(x)",
        _MADE + "for epoch in range(1):\n    for x in loader:\n        step(x)",
        _MADE + "for x in loader:\n    step(x)",
        _MADE + "for x in loader:\n    for y in loader:\n        step(x)",
        "for fold in range(9):\n    loader = DataLoader(data, sampler=DS(data))\n    for x in loader:\n        step(x)",
        "loader = DataLoader(data, sampler=RandomSampler(data))\n"
        "for epoch in range(9):\n    for x in loader:\n        step(x)",
        "loader = DataLoader(data, sampler=DS(data, shuffle=shuffle()))\n"
        "for epoch in range(9):\n    for x in loader:\n        step(x)",
        "loader = DataLoader(data, sampler=DS(data, **options))\n"
        "for epoch in range(9):\n    for x in loader:\n        step(x)",
    ],
)
def test_not_repeated(text: str) -> None:
    assert lines(text) == []


@pytest.mark.parametrize(("inner", "alone"), [("", True), ("    for half in range(2):\n    ", False)])
def test_a_loop_with_another_inside_is_not_alone(inner: str, alone: bool) -> None:
    text = f"{_MADE}for epoch in range(9):\n{inner}    for x in loader:\n            step(x)"
    (repeat,) = feeding.repeats(program(_SCRIPT.format(text=text)))
    assert repeat.alone is alone


def test_a_function_that_is_called_too_often_to_follow_may_tell_the_sampler() -> None:
    """A long function is executed a few times; what a later call does with a loader is not known."""
    long = "def look(loader):\n" + "".join(f"    a{line} = {line}\n" for line in range(12)) + "    return loader\n"
    often = "".join(f"look({call})\n" for call in range(6))
    loop = "for epoch in range(9):\n    for x in loader:\n        step(x)"
    assert lines(f"{_MADE}{long}{often}{loop}") == ["range(9)"]
    assert lines(f"{_MADE}{long}{often}look(loader)\n{loop}") == []
