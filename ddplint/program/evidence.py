"""What a program shows about how it is started, and on how many machines: used to grade findings, never to make one."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ddplint.program import launchers
from ddplint.program.launchers import Role
from ddplint.program.values import Input, walk

if TYPE_CHECKING:
    from ddplint.program.program import Program

_NODE_OPTION = re.compile(
    r"^(n|num_?|n_|world_)?(nodes?|machines|hosts|nnodes)$|^(node|machine|host)_?(rank|id|index|num)$|^nr$|^nnodes$",
    re.I,
)
_NODE_FLAGS = re.compile(
    r"--nnodes[= ]\"?(?:\d+:)?([2-9]|\d\d|\$)|#SBATCH\s+(--nodes|-N)[= ]\s*([2-9]|\d\d)|--num_machines[= ]([2-9]|\d\d)"
)
_TORCHRUN = re.compile(r"\btorchrun\b|torch\.distributed\.(run|elastic)\b")
_TEST_WORDS = frozenset(("pytest", "unittest", "TestCase", "MultiProcessTestCase"))
_TEST_FOLDER = re.compile(r"(^|/)(unit_)?(tests?|testing)/")
_TEST_FILE = re.compile(r"(^|/)(unit_)?(tests?|testing)/|(^|/)(test_[^/]*|[^/]*_test|conftest)\.py$")


@dataclass(frozen=True, slots=True)
class Evidence:
    """``multi_node``: the project has a notion of several nodes. ``reasons`` says by what, for ``--verbose``.

    ``torchrun``: it reads variables that only torchrun and its kin set. ``managed``: a framework starts the process
    group and the project's own code does not. ``test``: it is a test, which is single-node by design.
    """

    multi_node: bool
    reasons: tuple[str, ...]
    torchrun: bool
    managed: bool
    test: bool

    @classmethod
    def of(cls, program: Program) -> Evidence:
        """Collect the evidence of one program."""
        reasons = tuple(_reasons(program))
        setting = program.project.settings.multi_node
        reads = {name for run in program.runs for name in run.reads}
        return cls(
            multi_node=bool(reasons) if setting is None else setting,
            reasons=reasons,
            torchrun=bool(
                reads & {"LOCAL_RANK", "RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "GROUP_RANK", "TORCHELASTIC_RUN_ID"}
            )
            or any(_TORCHRUN.search(module.source.text) for module in program.modules),
            managed=bool(program.events("managed")) and not program.events("init"),
            test=_is_test(program),
        )


def _reasons(program: Program) -> Iterable[str]:
    for run in program.runs:
        for option in run.options:
            if _NODE_OPTION.match(option.name):
                yield f"the option {option.spec.flags[0] if option.spec and option.spec.flags else option.name}"
        for event in run.events:
            if event.kind in ("init", "command", "spawn"):
                for argument in event.arguments.values():
                    for part in walk(argument.value):
                        if isinstance(part, Input) and _NODE_OPTION.match(part.name):
                            yield f"the configuration field {part.name}"
        for name in run.reads:
            role = launchers.meaning(name)
            by_scheduler = launchers.is_scheduler_variable(name) and role is not Role.OTHER
            if by_scheduler or role in (Role.NODE_RANK, Role.NNODES):
                yield f"it reads {name}"
    for text in program.launch_files():
        found = _NODE_FLAGS.search(text)
        if found and program.path.rpartition("/")[2] in text:
            yield f"a launch file beside it says {found.group()!r}"


def _is_test(program: Program) -> bool:
    """Tests run on one machine by design. A name alone shows nothing: people call training scripts `resnet_test.py`."""
    if not _TEST_FILE.search(program.path):
        return False
    words = program.module.words
    if words & _TEST_WORDS or any(facts.name.startswith("test_") for facts in program.module.functions.values()):
        return True
    in_test_folder = _TEST_FOLDER.search(program.path) is not None
    return in_test_folder and not (words & {"argparse", "click", "typer"} and "__name__" in words)
