"""What a model is at a place: bare, a wrapper, or one of several by a condition."""

from __future__ import annotations

import pytest

from ddplint.program import Program, wrapped
from ddplint.program.events import Event
from ddplint.program.values import Object
from ddplint.program.wrapped import History, Kind
from tests.program.scripts import program

_HEAD = """
import os
import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel as DDP
from torch.distributed.fsdp import FullyShardedDataParallel as FSDP, fully_shard

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = torch.nn.Linear(2, 2)

    def forward(self, x):
        return self.fc(x)

dist.init_process_group("gloo")
distributed = int(os.environ["WORLD_SIZE"]) > 1
"""


def asked(body: str) -> tuple[Program, list[Event]]:
    """The ``state_dict`` calls of a script that can be reached."""
    made = program(_HEAD + body)
    events = [event for event in made.events("method") if event.name == "state_dict" and wrapped.possible(event.path)]
    return made, events


def kinds(body: str) -> list[Kind | str | None]:
    """What those are called on: a wrapper, "bare" for an object of the class Net, None for anything else."""
    found: list[Kind | str | None] = []
    for event in asked(body)[1]:
        for case in wrapped.cases(event.arguments["self"].value, event.path):
            found.append("bare" if case.kind is None and isinstance(case.value, Object) else case.kind)
    return found


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("m = DDP(Net())\nm.state_dict()", [Kind.DDP]),
        ("m = DDP(Net().to(0))\nm.module.state_dict()", ["bare"]),
        ("m = torch.nn.DataParallel(Net()).cuda()\nm.state_dict()", [Kind.DATA_PARALLEL]),
        ("m = FSDP(Net().cuda())\nm.train().state_dict()", [Kind.FSDP]),
        ("import deepspeed\nm, o, _, _ = deepspeed.initialize(model=Net())\nm.state_dict()", [Kind.DEEPSPEED]),
        ("import deepspeed\nm = deepspeed.initialize(None, Net())[0]\nm.module.state_dict()", ["bare"]),
        ("m = Net()\nif distributed:\n    m = DDP(m)\nm.state_dict()", [Kind.DDP, "bare"]),
        ("m = Net()\nif distributed:\n    m = DDP(m)\nif distributed:\n    m.state_dict()", [Kind.DDP]),
        ("m = Net()\nif distributed:\n    m = DDP(m)\n    m.state_dict()", [Kind.DDP]),
        ("m = Net()\nif distributed:\n    m = DDP(m)\nif not distributed:\n    m.state_dict()", ["bare"]),
        ("m = Net()\nif distributed:\n    m = DDP(m)\nn = m.module if distributed else m\nn.state_dict()", ["bare"]),
        (
            "m = Net()\nif distributed:\n    m = DDP(m)\nn = m.module if hasattr(m, 'module') else m\nn.state_dict()",
            ["bare"],
        ),
        ("m = Net()\nif distributed:\n    m = DDP(m)\nn = getattr(m, 'module', m)\nn.state_dict()", ["bare"]),
        (
            "m = Net()\nif distributed:\n    m = DDP(m)\nif isinstance(m, DDP):\n    m = m.module\nm.state_dict()",
            ["bare"],
        ),
        (
            "m = Net()\nif distributed:\n    m = DDP(m)\n"
            "if isinstance(m, (DDP, torch.nn.DataParallel)):\n    m.state_dict()",
            [Kind.DDP],
        ),
        ("m = bare = Net()\nif distributed:\n    m = DDP(m)\n    bare = m.module\nbare.state_dict()", ["bare"]),
        (
            "def unwrap(m):\n    return m.module if isinstance(m, DDP) else m\n"
            "m = Net()\nif distributed:\n    m = DDP(m)\nunwrap(m).state_dict()",
            ["bare"],
        ),
        (
            "class Trainer:\n    def __init__(self):\n        self.net = DDP(Net())\n"
            "    def save(self):\n        self.net.state_dict()\nTrainer().save()",
            [Kind.DDP],
        ),
        ("from elsewhere import make\nm = DDP(make())\nm.state_dict()", [Kind.DDP]),
    ],
)
def test_what_it_is(body: str, expected: list[Kind | str | None]) -> None:
    assert kinds(body) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("m = Net()\nfully_shard(m)\nm.state_dict()", [Kind.FULLY_SHARD]),
        (
            "m = Net()\nfor part in m.children():\n    fully_shard(part)\nm = fully_shard(m)\nm.state_dict()",
            [Kind.FULLY_SHARD],
        ),
        ("m = Net()\nm.state_dict()\nfully_shard(m)", []),
        ("m = Net()\nif distributed:\n    fully_shard(m)\nm.state_dict()", []),
        ("m = Net()\nif distributed:\n    fully_shard(m)\n    m.state_dict()", [Kind.FULLY_SHARD]),
        ("m = Net()\nif distributed:\n    fully_shard(m)\nelse:\n    m.state_dict()", []),
        ("from elsewhere import make\nm = make()\nfully_shard(m)\nm.state_dict()", [Kind.FULLY_SHARD]),
        ("m = Net()\nd = DDP(m)\nm.state_dict()", [Kind.DDP]),
        ("m = Net()\nd = DDP(m)\nd.state_dict()", [Kind.DDP]),
    ],
)
def test_what_was_done_before(body: str, expected: list[Kind]) -> None:
    made, events = asked(body)
    history = History(made)
    found = [wrap.kind for event in events for wrap in history.of(event.arguments["self"].value, event)]
    assert found == expected


def test_the_class_of_the_model() -> None:
    _, events = asked(
        "m = DDP(torch.nn.SyncBatchNorm.convert_sync_batchnorm(Net()).to(0), device_ids=[0])\nm.state_dict()"
    )
    (event,) = events
    cls = wrapped.model_class(event.arguments["self"].value)
    assert cls is not None
    assert cls.name == "Net"


def test_the_run_goes_where_a_wrapped_model_goes() -> None:
    lines = "\n".join(f"    step({number})" for number in range(12))
    assert kinds(f"def fit(model):\n{lines}\n    model.state_dict()\nfit(DDP(Net()))") == [Kind.DDP]


def test_calls_of_a_model_and_of_its_wrapper() -> None:
    made, _ = asked("net = Net()\nmodel = DDP(net)\nmodel(1)\nmodel.module(2)\nnet(3)\nmodel.module.forward(4)")
    events = [event for event in made.events("method") if event.name in ("__call__", "forward")]
    assert [wrapped.always(event.arguments["self"].value, event.path) for event in events] == [
        Kind.DDP,
        None,
        None,
        None,
    ]
    assert [event.name for event in events] == ["__call__", "__call__", "__call__", "forward"]


@pytest.mark.torch
def test_the_attributes_of_torch() -> None:
    """What the installed torch has is in the tables, but for names that a newer torch gives it."""
    torch = pytest.importorskip("torch")
    from ddplint.program.library.modules import MODULE, PARALLEL

    model = torch.nn.Linear(1, 1)
    plain = {name for name in dir(torch.nn.Module()) if not name.startswith("__")}
    parallel = {name for name in dir(torch.nn.DataParallel(model)) if not name.startswith("__")}
    assert plain <= MODULE
    assert parallel <= MODULE | PARALLEL
