"""Datasets: whether they have a length and places, or only an order, and whether all processes hold the same one.

torch 2.13: ``torch/utils/data/dataset.py``.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator

import libcst as cst

from ddplint.program import launchers, objects
from ddplint.program.events import Event
from ddplint.program.launchers import Role
from ddplint.program.module import ClassFacts
from ddplint.program.program import Program
from ddplint.program.run import Run
from ddplint.program.values import EnvVar, External, Items, Made, Object, Symbol, Unknown, Value, leaves


class Style(enum.Enum):
    """How a DataLoader reads a dataset."""

    MAP = "by index"
    ITERABLE = "in the order of its __iter__"


_WHOLE = frozenset(f"torch.utils.data.{name}" for name in ("TensorDataset", "ConcatDataset", "Subset"))
_SPLIT = "torch.utils.data.random_split"
_MAP = "torch.utils.data.Dataset"
_ITERABLE = "torch.utils.data.IterableDataset"

# A dataset whose methods speak of one of these may share itself out, or give each process something else.
_OWN_SHARE = re.compile(r"rank|world|worker|shard|replica|process|node|hostname|distributed|dist$|getpid", re.I)
_RANDOM = re.compile(r"^(rand\w*|shuffle|choices?|sample|perm\w*|rng|uniform|default_rng|normal)$", re.I)

# Libraries whose functions and classes give the same for the same; what they draw at random is another matter.
_SAME = ("torch.", "torchvision.", "numpy.", "pandas.", "PIL.", "cv2.", "albumentations.", "csv.", "pickle.", "h5py.")
_NOT_SAME = ("torch.distributed.", "torch.cuda.", "torch.seed", "torch.initial_seed", "numpy.random.")

# Arguments of a DataLoader that may share the data out in the workers.
_HANDLERS = ("generator", "worker_init_fn", "collate_fn")


def is_rank(value: Value) -> bool:
    """Whether a value is the rank of a process, by what it is."""
    if isinstance(value, EnvVar):
        return launchers.meaning(value.name) in (Role.RANK, Role.LOCAL_RANK, Role.NODE_RANK)
    return isinstance(value, Symbol) and value.name in ("group_rank", "group_world_size")


def kind(program: Program, run: Run, loader: Event) -> Style | None:
    """How a loader reads its dataset; None where that is not known, or where processes may hold different ones."""
    given = loader.arguments.get("dataset")
    if given is None or any(
        handler in loader.arguments and _varies(program, loader.arguments[handler].value) for handler in _HANDLERS
    ):
        return None
    found = {_style(program, run, value, 0) for value in leaves(given.value)}
    return found.pop() if len(found) == 1 else None


def _style(program: Program, run: Run, value: Value, depth: int) -> Style | None:
    if depth > 3:
        return None
    if isinstance(value, Object):
        return _own_style(program, run, value)
    if isinstance(value, Made):
        if value.name in _WHOLE or value.name.startswith("torchvision.datasets."):
            if value.arguments.open or _varies(program, value) or value.name == "torchvision.datasets.FakeData":
                return None
            inner = value.arguments.value("dataset", 0) if value.name.endswith("Subset") else None
            return _style(program, run, inner, depth + 1) if inner is not None else Style.MAP
        if value.name == _SPLIT:
            inner = value.arguments.value("dataset", 0)
            whole = inner is not None and not _varies(program, value)
            return _style(program, run, inner, depth + 1) if whole and inner is not None else None
        return None
    if isinstance(value, Unknown) and len(value.parts()) == 1 and isinstance(value.parts()[0], Made):
        split = value.parts()[0]
        return _style(program, run, split, depth + 1) if isinstance(split, Made) and split.name == _SPLIT else None
    return None


def _own_style(program: Program, run: Run, dataset: Object) -> Style | None:
    """The style of an instance of a project class."""
    if dataset.cls is None:
        return None
    classes = (dataset.cls, *objects.bases(run, dataset.cls))
    names = set(_library_bases(run, classes))
    iterable = _ITERABLE in names
    if not iterable and not (names and all(one == _MAP or one.startswith("torchvision.datasets.") for one in names)):
        return None
    methods = [facts for cls in classes for facts in cls.methods.values()]
    words = {word for facts in methods for word in facts.words}
    if any(_OWN_SHARE.search(word) for word in words):
        return None
    if iterable and any(_RANDOM.search(word) for word in words):
        return None  # an endless stream of random samples is another one in every process
    if any(_ignores_index(facts.node) for facts in methods if facts.name == "__getitem__"):
        return None
    init = next((cls.methods["__init__"] for cls in classes if "__init__" in cls.methods), None)
    if init is not None and len(init.node.params.params) > 1 and id(init.node) not in run.executed:
        return None
    if any(_varies(program, field) for field in dataset.fields.values()):
        return None
    return Style.ITERABLE if iterable else Style.MAP


def _library_bases(run: Run, classes: tuple[ClassFacts, ...]) -> Iterator[str]:
    for cls in classes:
        with run.within(run.modules.get(id(cls.module)) or run.load(cls.module)):
            found = [run.evaluate(base.value) for base in cls.node.bases]
        for base in found:
            if isinstance(base, External):
                yield base.name
            elif isinstance(base, Unknown):
                yield "?"


def _ignores_index(method: cst.FunctionDef) -> bool:
    params = method.params.params
    return len(params) < 2 or params[1].name.value.startswith("_")


def _varies(program: Program, value: Value, depth: int = 0) -> bool:
    """Whether something that a dataset is made of may differ between processes."""
    if depth > 3 or program.worlds.told_apart(value, _is_same):
        return True
    inner: tuple[Value, ...] = ()
    if isinstance(value, Object):
        inner = tuple(value.fields.values())
    elif isinstance(value, (Items, Made)):
        inner = tuple(part for part in value.parts() if isinstance(part, Object))
    return any(_varies(program, part, depth + 1) for part in inner)


def _is_same(value: Value) -> bool:
    return isinstance(value, Made) and value.name.startswith(_SAME) and not value.name.startswith(_NOT_SAME)
