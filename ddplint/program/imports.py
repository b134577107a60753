"""Import statements: names of project modules are bound now and looked up when somebody uses them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import libcst as cst

from ddplint.program import expressions
from ddplint.program.values import (
    External,
    Imported,
    ModuleValue,
    Unknown,
)

if TYPE_CHECKING:
    from ddplint.program.project import ModuleFile
    from ddplint.program.run import Run


def dotted_name(node: cst.CSTNode | None) -> str:
    """``a.b.c`` as a text; empty for anything else."""
    if isinstance(node, cst.Attribute):
        return f"{dotted_name(node.value)}.{node.attr.value}"
    return node.value if isinstance(node, cst.Name) else ""


def import_module(run: Run, node: cst.Import) -> bool:
    origin = run.origin(node)
    for alias in node.names:
        dotted = dotted_name(alias.name)
        file = run.project.find(run.module, dotted)
        if alias.asname is not None and isinstance(alias.asname.name, cst.Name):
            run.assign(alias.asname.name.value, ModuleValue(file, origin) if file else External(dotted, origin))
        else:
            top = dotted.partition(".")[0]
            package = run.project.find(run.module, top)
            if package is None and file is not None:
                package = run.project.package_of(file, dotted.count("."))
            run.assign(top, ModuleValue(package, origin) if package else External(top, origin))
        _execute(run, file)
    return True


def _execute(run: Run, file: ModuleFile | None) -> None:
    """Run a module at its import if that does more than define names; else when a name of it is used."""
    if file is not None and file.has_effects and file.module is not None:
        run.load(file.module)


def import_from(run: Run, node: cst.ImportFrom) -> bool:
    origin = run.origin(node)
    dotted = dotted_name(node.module)
    level = len(node.relative)
    file = run.project.find(run.module, dotted, level)
    _execute(run, file)
    if isinstance(node.names, cst.ImportStar):
        if file is not None and file.module is not None:
            for name, value in list(run.load(file.module).names.items()):
                if isinstance(name, str) and not name.startswith("_"):
                    run.assign(name, value)
        elif not level:
            run.scope.stars.append(dotted)
        return True
    for alias in node.names:
        name = dotted_name(alias.name)
        bound = alias.asname.name.value if alias.asname and isinstance(alias.asname.name, cst.Name) else name
        if file is not None:
            run.assign(bound, Imported(file, name, origin))
            continue
        below = run.project.find(run.module, f"{dotted}.{name}" if dotted else name, level)
        if below is not None:
            run.assign(bound, ModuleValue(below, origin))
            _execute(run, below)
        elif level:
            run.assign(bound, Unknown(f"{name} of a module that was not found", origin))
        else:
            run.assign(bound, expressions.external(run, f"{dotted}.{name}", origin))
    return True


def bound_names(target: cst.CSTNode) -> Iterator[str]:
    """The names and attributes that an assignment to a target binds."""
    if isinstance(target, (cst.Tuple, cst.List)):
        for element in target.elements:
            yield from bound_names(element.value)
    elif dotted_name(target):
        yield dotted_name(target)
