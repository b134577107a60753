"""How a file names what it imports, and where a missing import goes."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import libcst as cst

from ddplint.findings import Position
from ddplint.program.imports import dotted_name
from ddplint.program.module import Module


@dataclass(frozen=True, slots=True)
class Bound:
    """A name that an import binds: ``dist`` for ``torch.distributed``, by the statement ``node``."""

    name: str
    dotted: str
    node: cst.BaseSmallStatement


def bound(body: Iterable[cst.CSTNode]) -> Iterator[Bound]:
    """What the imports of a body bind for sure: not those under an ``if``, but those of a ``try``."""
    for statement in body:
        if isinstance(statement, cst.SimpleStatementLine):
            for small in statement.body:
                if isinstance(small, cst.Import):
                    yield from _import(small)
                elif isinstance(small, cst.ImportFrom):
                    yield from _import_from(small)
        elif isinstance(statement, cst.Try) and isinstance(statement.body, cst.IndentedBlock):
            yield from bound(statement.body.body)


def _import(node: cst.Import) -> Iterator[Bound]:
    for alias in node.names:
        dotted = dotted_name(alias.name)
        if alias.asname is not None and isinstance(alias.asname.name, cst.Name):
            yield Bound(alias.asname.name.value, dotted, node)
        else:
            top = dotted.partition(".")[0]
            yield Bound(top, top, node)


def _import_from(node: cst.ImportFrom) -> Iterator[Bound]:
    if node.relative or node.module is None or isinstance(node.names, cst.ImportStar):
        return
    module = dotted_name(node.module)
    for alias in node.names:
        name = dotted_name(alias.name)
        given = alias.asname.name.value if alias.asname and isinstance(alias.asname.name, cst.Name) else name
        yield Bound(given, f"{module}.{name}", node)


def leads_to(one: Bound, dotted: str) -> bool:
    """Whether an import brings ``dotted``, or something that it is a part of."""
    return dotted == one.dotted or dotted.startswith(f"{one.dotted}.")


def spelled(known: Sequence[Bound], dotted: str) -> str | None:
    """``dotted`` as it is written with these imports: ``dist.get_rank`` for ``torch.distributed.get_rank``."""
    fitting = [one for one in known if leads_to(one, dotted)]
    if not fitting:
        return None
    best = max(fitting, key=lambda one: len(one.dotted))
    return best.name + dotted[len(best.dotted) :]


@dataclass(frozen=True, slots=True)
class Insertion:
    """Where a new import goes: before this position, ``spaced`` with an empty line behind it."""

    position: Position
    spaced: bool


def place_for(module: Module, imported: str) -> Insertion | None:
    """Where ``import imported`` belongs: in the order of the first block of imports, after ``__future__``.

    None for a file without code.
    """
    line = module.positions.line
    block: list[tuple[cst.SimpleStatementLine, str]] = []
    for statement in module.tree.body:
        imports = _import_line(statement)
        if imports is not None and imports[1] != "__future__":
            block.append(imports)
        elif block:
            break
    if not block:
        return _without_block(module)
    relative = _beside(module, imported)
    if relative is not None:
        return Insertion(Position(line(relative) + 1, 1), False)
    standard = [one for one in block if one[1].partition(".")[0] in sys.stdlib_module_names]
    is_standard = imported.partition(".")[0] in sys.stdlib_module_names
    if is_standard and not standard:
        return Insertion(Position(line(block[0][0]), 1), True)
    candidates = standard if is_standard else [one for one in block if one not in standard] or block
    for statement, name in candidates:
        # plain imports among themselves, as isort's default has them before `from` imports
        if _is_plain(statement) and name.lower() > imported.lower():
            return Insertion(Position(line(statement), 1), False)
    plain_ones = [statement for statement, _ in candidates if _is_plain(statement)]
    if plain_ones:
        return Insertion(Position(line(plain_ones[-1]) + 1, 1), False)
    return Insertion(Position(line(candidates[0][0]), 1), False)


def _beside(module: Module, imported: str) -> cst.SimpleStatementLine | None:
    """The plain import of the same package that ``imported`` follows: `import torch` for `torch.distributed`."""
    top = imported.partition(".")[0]
    found = None
    for statement, name in filter(None, map(_import_line, module.tree.body)):
        if name.partition(".")[0] == top and _is_plain(statement) and name < imported:
            found = statement
    return found


def _without_block(module: Module) -> Insertion | None:
    for statement in module.tree.body:
        docstring = statement is module.tree.body[0] and _is_docstring(statement)
        imports = _import_line(statement)
        if not docstring and (imports is None or imports[1] != "__future__"):
            return Insertion(Position(module.positions.line(statement), 1), True)
    return None


def _import_line(statement: cst.CSTNode) -> tuple[cst.SimpleStatementLine, str] | None:
    """A line of one import, and the module that it names."""
    if not (isinstance(statement, cst.SimpleStatementLine) and len(statement.body) == 1):
        return None
    small = statement.body[0]
    if isinstance(small, cst.Import):
        return statement, dotted_name(small.names[0].name)
    if isinstance(small, cst.ImportFrom):
        return statement, dotted_name(small.module) if small.module is not None else "."
    return None


def _is_plain(statement: cst.SimpleStatementLine) -> bool:
    return isinstance(statement.body[0], cst.Import)


def _is_docstring(statement: cst.CSTNode) -> bool:
    return (
        isinstance(statement, cst.SimpleStatementLine)
        and isinstance(statement.body[0], cst.Expr)
        and isinstance(statement.body[0].value, (cst.SimpleString, cst.ConcatenatedString))
    )
