"""Imports point downwards, from the commands to the findings; runtime stands apart."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "ddplint"

# From the top down; the rooms on one floor do not know each other. What a room may import lies below it.
FLOORS = (
    ("__main__", "dev"),
    ("cli", "editor"),
    ("reporters",),
    ("fixes",),
    ("linter",),
    ("checking",),
    ("pages", "suppressions"),
    ("rules",),
    ("repairs",),
    ("program",),
    ("sources",),
    ("settings",),
    ("findings",),
    ("severity",),
    ("__init__",),
)
FLOOR = {room: number for number, floor in enumerate(FLOORS) for room in floor}
# They stand outside the house: nothing in it imports them, and they import nothing of it but the version.
APART = ("runtime",)
# These commands are the runtime's own: their files hand over to it and to nothing else.
RUNTIME_COMMANDS = ("cli/env.py", "cli/run.py", "cli/preflight.py")
# The parser is for the program model and the repairs, rich for what people look at.
HEAVY = {"libcst": {"program", "repairs"}, "rich": {"reporters", "cli"}, "torch": {"runtime"}}

MODULES = sorted(PACKAGE.rglob("*.py"))


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[tuple[str, int, bool]]:
    """Every module that a file imports, the line, and whether it does so only for the type checker."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    typing_only = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for statement in block.body
        for node in ast.walk(statement)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno, id(node) in typing_only
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: imports are absolute"
            if node.module == "ddplint":
                # `from ddplint import pages` imports a room, `from ddplint import __version__` none.
                for alias in node.names:
                    yield (
                        (f"ddplint.{alias.name}" if alias.name in FLOOR else "ddplint"),
                        node.lineno,
                        id(node) in typing_only,
                    )
            else:
                yield node.module or "", node.lineno, id(node) in typing_only


def imported_rooms(path: Path) -> Iterator[tuple[str, int, bool]]:
    for name, line, typing_only in imports(path):
        parts = name.split(".")
        if parts[0] == "ddplint":
            yield (parts[1] if len(parts) > 1 else "__init__"), line, typing_only


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_downwards(path: Path) -> None:
    here = room(path)
    for there, line, typing_only in imported_rooms(path):
        place = f"{path}:{line}: {here} imports {there}"
        if path.relative_to(PACKAGE).as_posix() in RUNTIME_COMMANDS:
            assert there in ("cli", *APART), f"{place}: it is a command of the runtime"
            continue
        if here in APART or there in APART:
            assert here == there or there == "__init__", f"{place}: {APART} stands apart"
            continue
        assert here in FLOOR, f"{here}: say in FLOORS where this room is"
        assert there in FLOOR, f"{there}: say in FLOORS where this room is"
        if here == there:
            continue
        # A name that only an annotation uses makes no module depend on another when it runs.
        assert FLOOR[here] < FLOOR[there] or typing_only, f"{place}, which lies above it or beside it"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_heavy_packages_stay_in_their_rooms(path: Path) -> None:
    for name, line, typing_only in imports(path):
        rooms = HEAVY.get(name.partition(".")[0])
        if rooms is not None and not typing_only:
            assert room(path) in rooms, f"{path}:{line}: {name} belongs to {sorted(rooms)}"


@pytest.mark.parametrize("path", sorted((PACKAGE / "rules").glob("*.py")), ids=lambda path: path.name)
def test_rules_do_not_know_each_other(path: Path) -> None:
    if path.name != "__init__.py":
        others = [name for name, _, _ in imports(path) if name.startswith("ddplint.rules.")]
        assert not others, f"{path.name} imports {others}: what two rules share belongs to the program model"


@pytest.mark.parametrize("module", ["cli", "linter", "rules", "reporters", "sources", "settings", "findings"])
def test_import_is_light(module: str) -> None:
    heavy = "{'libcst', 'rich', 'pathspec', 'torch'}"
    code = f"import sys, ddplint.{module}\nfound = {heavy} & set(sys.modules)\nsys.exit(str(found) if found else 0)"
    done = subprocess.run([sys.executable, "-c", code], cwd=PACKAGE.parent, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_registry_needs_no_parser() -> None:
    code = "import sys\nfrom ddplint.rules import registry\nregistry()\nsys.exit('libcst' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=PACKAGE.parent, check=True, timeout=60)
