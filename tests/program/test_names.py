"""Names mean what LibCST's QualifiedNameProvider says they mean: a judge that is too slow to lint with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import libcst as cst
import pytest
import rule_pages
from libcst.metadata import MetadataWrapper, PositionProvider, QualifiedNameProvider, QualifiedNameSource
from scripts import program

import ddplint.rules
from ddplint.findings import Finding
from ddplint.linter import lint
from ddplint.program import Program, expressions
from ddplint.program.run import Run
from ddplint.program.values import Choice, External, Method, Object, Value
from ddplint.settings import Settings

ROOT = Path(__file__).parents[2]

# Every call says in a comment what it calls; "?" is something that no import gives. "(alias)" and "(both)" mark what
# the provider does not follow.
SNIPPETS = {
    "import a.b as c": """
        import torch.distributed as dist
        dist.init_process_group("nccl")  # torch.distributed.init_process_group
    """,
    "from a import b as c": """
        from torch import distributed as dist
        dist.init_process_group("nccl")  # torch.distributed.init_process_group
    """,
    "from a import b": """
        from torch import distributed, multiprocessing
        distributed.init_process_group("nccl")  # torch.distributed.init_process_group
        multiprocessing.spawn(print)  # torch.multiprocessing.spawn
    """,
    "from a.b import c": """
        from torch.distributed import init_process_group
        init_process_group("nccl")  # torch.distributed.init_process_group
    """,
    "from a.b import c as d": """
        from torch.distributed import init_process_group as init, get_rank as where
        init("nccl")  # torch.distributed.init_process_group
        where()  # torch.distributed.get_rank
    """,
    "import a.b": """
        import torch.distributed
        torch.distributed.init_process_group("nccl")  # torch.distributed.init_process_group
        torch.cuda.set_device(0)  # torch.cuda.set_device
    """,
    "import a": """
        import torch
        torch.distributed.init_process_group("nccl")  # torch.distributed.init_process_group
    """,
    "import a as b": """
        import torch as t
        t.distributed.init_process_group("nccl")  # torch.distributed.init_process_group
    """,
    "several in one statement": """
        import os, torch.distributed as dist, torch.multiprocessing as mp
        dist.get_rank()  # torch.distributed.get_rank
        mp.spawn(print)  # torch.multiprocessing.spawn
        os.getenv("RANK")  # os.getenv
    """,
    "parentheses": """
        from torch.distributed import (
            get_rank,
            get_world_size as size,
        )
        get_rank()  # torch.distributed.get_rank
        size()  # torch.distributed.get_world_size
    """,
    "in a function": """
        def setup():
            import torch.distributed as dist
            from torch.distributed import get_rank as where
            dist.init_process_group("nccl")  # torch.distributed.init_process_group
            where()  # torch.distributed.get_rank
        setup()  # ?
    """,
    "in another function": """
        def other():
            import torch.distributed as dist
        def setup():
            dist.init_process_group("nccl")  # ?
        setup()  # ?
    """,
    "the inner import wins": """
        import horovod.torch as dist
        def setup():
            import torch.distributed as dist
            dist.init_process_group("nccl")  # torch.distributed.init_process_group
        setup()  # ?
        dist.rank()  # horovod.torch.rank
    """,
    "assigned": """
        import torch.distributed as dist
        init = dist.init_process_group
        init("nccl")  # torch.distributed.init_process_group (alias)
        d = dist
        d.get_rank()  # torch.distributed.get_rank (alias)
    """,
    "assigned to an attribute": """
        import torch.distributed as dist
        class Comm:
            def __init__(self):
                self.dist = dist
            def start(self):
                self.dist.init_process_group("nccl")  # torch.distributed.init_process_group (alias)
        Comm().start()  # ?
    """,
    "a parameter": """
        import torch.distributed as dist
        def setup(dist):
            dist.init_process_group("nccl")  # ?
        setup(None)  # ?
    """,
    "handed to a parameter": """
        import torch.distributed as dist
        def setup(d):
            d.init_process_group("nccl")  # torch.distributed.init_process_group (alias)
        setup(dist)  # ?
    """,
    "a local variable": """
        import torch.distributed as dist
        import yaml
        def setup():
            dist = yaml.safe_load("")  # yaml.safe_load
            dist.init_process_group("nccl")  # ?
        setup()  # ?
    """,
    "a function of that name": """
        from torch.distributed import get_rank
        def get_rank():
            return 0
        get_rank()  # ? (both)
    """,
    "a class of that name": """
        import torch.distributed as dist
        class dist:
            @staticmethod
            def init_process_group(backend):
                return backend
        dist.init_process_group("nccl")  # ? (both)
    """,
    "try": """
        try:
            import torch.distributed as dist
        except ImportError:
            dist = None
        dist.init_process_group("nccl")  # torch.distributed.init_process_group (both)
    """,
    "try two homes": """
        try:
            from torch.distributed import init_device_mesh
        except ImportError:
            from torch.distributed.device_mesh import init_device_mesh
        init_device_mesh()  # torch.distributed.init_device_mesh|torch.distributed.device_mesh.init_device_mesh (both)
    """,
    "if": """
        import sys
        if sys.platform == "linux":
            import torch.distributed as dist
        else:
            dist = None
        if dist is not None:
            dist.init_process_group("nccl")  # torch.distributed.init_process_group (both)
    """,
    "a class body": """
        import torch.distributed as dist
        class Trainer:
            from torch.distributed import get_rank
            dist = None
            def fit(self):
                dist.init_process_group("nccl")  # torch.distributed.init_process_group
                get_rank()  # ?
        Trainer().fit()  # ?
    """,
    "nested functions": """
        import torch.distributed as dist
        def outer():
            def inner():
                dist.init_process_group("nccl")  # torch.distributed.init_process_group
            inner()  # ?
        outer()  # ?
    """,
    "closed over": """
        def outer():
            import torch.distributed as dist
            def inner():
                dist.init_process_group("nccl")  # torch.distributed.init_process_group
            inner()  # ?
        outer()  # ?
    """,
    "global": """
        def load():
            global dist
            import torch.distributed as dist
        def setup():
            dist.init_process_group("nccl")  # torch.distributed.init_process_group
        load()  # ?
        setup()  # ?
    """,
    "nonlocal": """
        def outer():
            dist = None
            def load():
                nonlocal dist
                import torch.distributed as dist
            load()  # ?
            dist.init_process_group("nccl")  # torch.distributed.init_process_group (both)
        outer()  # ?
    """,
    "the variable of a comprehension": """
        import torch.distributed as dist
        names = [dist for dist in ("a", "b")]
        dist.init_process_group("nccl")  # torch.distributed.init_process_group
    """,
    "the name of an exception": """
        import torch.distributed as dist
        try:
            dist.init_process_group("nccl")  # torch.distributed.init_process_group
        except RuntimeError as error:
            raise SystemExit(1) from error  # SystemExit
    """,
    "builtins": """
        size = int("4")  # int
        def int(text):
            return text
        print(size)  # print
    """,
    "a builtin that is shadowed": """
        def int(text):
            return text
        int("4")  # ?
    """,
    "the old home": """
        from torch.distributed.distributed_c10d import init_process_group
        init_process_group("nccl")  # torch.distributed.init_process_group
    """,
    "os.environ": """
        import os
        from os import environ as env, getenv
        os.environ.get("RANK")  # os.environ.get
        env.get("RANK")  # os.environ.get
        getenv("RANK")  # os.getenv
    """,
    "star": """
        from torch.distributed import *
        init_process_group("nccl")  # torch.distributed.init_process_group (alias)
    """,
}

# Not right yet.
WRONG: set[str] = set()


@dataclass(frozen=True)
class Called:
    """A call that the model executed: where, what it took for the callee, and what the provider says."""

    line: int
    model: set[str]
    oracle: set[str]
    imported: bool


def names(value: Value) -> set[str]:
    """The library names that a callee may be."""
    if isinstance(value, Choice):
        return names(value.then) | names(value.other)
    if isinstance(value, External):
        return {value.name}
    if isinstance(value, Method) and isinstance(value.owner, Object) and value.owner.kind == "environ":
        return {f"os.environ.{value.name}"}
    return set()


def executed(one: Program, monkeypatch: pytest.MonkeyPatch) -> dict[cst.Call, set[str]]:
    """The calls of a module that the model executes, and what they may call."""
    seen: dict[cst.Call, set[str]] = {}
    call = Run.call

    def watched(self: Run, callee: Value, arguments: object, node: cst.CSTNode) -> Value:
        # the first is the callee that is written there; more are what that callee calls in its turn
        if isinstance(node, cst.Call) and self.module is one.module and node not in seen:
            seen[node] = names(callee)
        return call(self, callee, arguments, node)  # type: ignore[arg-type]

    monkeypatch.setattr(Run, "call", watched)
    assert one.runs
    return seen


def judged(one: Program, monkeypatch: pytest.MonkeyPatch) -> Iterator[Called]:
    """Both opinions on every executed call."""
    seen = executed(one, monkeypatch)
    wrapper = MetadataWrapper(one.module.tree, unsafe_skip_copy=True)
    qualified, positions = wrapper.resolve(QualifiedNameProvider), wrapper.resolve(PositionProvider)
    for node, model in seen.items():
        found = qualified.get(node.func) or set()
        found = found() if callable(found) else found
        outside = {one.name for one in found if one.source is not QualifiedNameSource.LOCAL}
        oracle = {expressions.canonical(name.removeprefix("builtins.")) for name in outside}
        yield Called(positions[node].start.line, model, oracle, bool(oracle) and len(found) == len(outside))


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.xfail(raises=AssertionError) if name in WRONG else ()) for name in SNIPPETS],
)
def test_spelling(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [line.removeprefix("        ") for line in SNIPPETS[name].splitlines()]
    expected = {at: line.partition("  # ")[2] for at, line in enumerate(lines, start=1) if "  # " in line}
    found = {one.line: one for one in judged(program("\n".join(lines)), monkeypatch)}
    assert sorted(found) == sorted(expected), "calls that are executed"
    for line, comment in expected.items():
        called, _, remark = comment.partition(" ")
        wanted = set() if called == "?" else set(called.split("|"))
        assert found[line].model == wanted, lines[line - 1]
        if not remark:
            assert found[line].oracle == wanted, f"the comment is wrong: {lines[line - 1]}"


FOLDERS = ("ddplint", "tests", "examples")
SOURCES = [
    path
    for folder in FOLDERS
    for path in sorted((ROOT / folder).rglob("*.py"))
    if path.parent.name != "syntax_error"  # broken on purpose
]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_own_source(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the provider knows for sure the model knows too, and nothing that the provider denies."""
    one = program(path.read_text(encoding="utf-8"))
    wrong = []
    for called in judged(one, monkeypatch):
        # for `str.maketrans` the provider says `str`; the factory in `field(default_factory=dict)` is called there too
        near = {name.partition(".")[0] for name in called.model} | {"dataclasses.field"}
        if called.imported and called.model and not called.model <= called.oracle and not near & called.oracle:
            wrong.append(called)
    assert wrong == []


# -- one finding, however it is spelled -----------------------------------------------------------------------------

MODULES = ("torch.distributed", "torch.multiprocessing")

# How a member of a module is imported and then written.
SPELLINGS: dict[str, Callable[[str, str], tuple[str, str]]] = {
    "import a.b as c": lambda module, member: (f"import {module} as zz_{module[-4:]}", f"zz_{module[-4:]}.{member}"),
    "import a.b": lambda module, member: (f"import {module}", f"{module}.{member}"),
    "import a as b": lambda module, member: ("import torch as zz", f"zz.{module.partition('.')[2]}.{member}"),
    "from a import b": lambda module, member: (
        f"from torch import {module.partition('.')[2]}",
        f"{module.partition('.')[2]}.{member}",
    ),
    "from a import b as c": lambda module, member: (
        f"from torch import {module.partition('.')[2]} as zz_{module[-4:]}",
        f"zz_{module[-4:]}.{member}",
    ),
    "from a.b import c": lambda module, member: (f"from {module} import {member}", member),
    "from a.b import c as d": lambda module, member: (f"from {module} import {member} as zz_{member}", f"zz_{member}"),
    "assigned": lambda module, member: (f"import {module} as zz; zz_{member} = zz.{member}", f"zz_{member}"),
    "try": lambda module, member: (
        f"try:\n    from {module} import {member} as zz_{member}\nexcept ImportError:\n    zz_{member} = None",
        f"zz_{member}",
    ),
}


class Speller(cst.CSTTransformer):
    """Writes every member of the modules in another spelling."""

    METADATA_DEPENDENCIES = (QualifiedNameProvider,)

    def __init__(self, spell: Callable[[str, str], tuple[str, str]]) -> None:
        super().__init__()
        self.spell = spell
        self.imports: dict[str, None] = {}

    def visit_Import(self, node: cst.Import) -> bool:
        return False

    def visit_ImportFrom(self, node: cst.ImportFrom) -> bool:
        return False

    def _spelled(self, original: cst.BaseExpression, updated: cst.BaseExpression) -> cst.BaseExpression:
        found = self.get_metadata(QualifiedNameProvider, original, set())
        for one in found:
            module, _, member = one.name.rpartition(".")
            if one.source is QualifiedNameSource.IMPORT and module in MODULES and len(found) == 1:
                line, text = self.spell(module, member)
                self.imports[line] = None
                return cst.parse_expression(text)
        return updated

    def leave_Attribute(self, original_node: cst.Attribute, updated_node: cst.Attribute) -> cst.BaseExpression:
        return self._spelled(original_node, updated_node)

    def leave_Name(self, original_node: cst.Name, updated_node: cst.Name) -> cst.BaseExpression:
        return self._spelled(original_node, updated_node)


def spelled(text: str, spelling: str) -> tuple[str, int]:
    """A script in another spelling, and how many lines its imports take at the top."""
    speller = Speller(SPELLINGS[spelling])
    body = MetadataWrapper(cst.parse_module(text)).visit(speller).code
    header = "".join(line + "\n" for line in speller.imports)
    return header + body, header.count("\n")


def scripts() -> Iterator[tuple[str, str]]:
    """The one-file cases of DDP101's page, and its whole scripts."""
    page = Path(ddplint.rules.__file__).parent / "global_rank.md"
    for case in rule_pages.cases(page):
        if list(case.files) == [rule_pages.DEFAULT_FILE]:
            yield case.name, case.files[rule_pages.DEFAULT_FILE]
    for path in sorted((ROOT / "tests" / "fixtures" / "global_rank").glob("*.py")):
        yield path.name, path.read_text(encoding="utf-8")


def findings(text: str, folder: Path) -> list[tuple[str, int, str]]:
    (folder / "train.py").write_text(text, encoding="utf-8")
    found: tuple[Finding, ...] = tuple(lint(["train.py"], Settings()).findings)
    return [(one.code, one.span.start.line, one.severity.value) for one in found]


def spellings() -> Iterator[object]:
    for name, text in scripts():
        for spelling in SPELLINGS:
            # nobody calls launch() there, and that it acts is judged by words: not by what a variable stands for
            wrong = name == "process-loop" and spelling == "assigned"
            marks = pytest.mark.xfail(raises=AssertionError) if wrong else ()
            yield pytest.param(name, text, spelling, id=f"{name}-{spelling}", marks=marks)


@pytest.mark.parametrize(("name", "text", "spelling"), list(spellings()))
def test_same_finding(name: str, text: str, spelling: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    changed, shift = spelled(text, spelling)
    assert changed != text
    expected = [(code, line + shift, severity) for code, line, severity in findings(text, tmp_path)]
    assert findings(changed, tmp_path) == expected
