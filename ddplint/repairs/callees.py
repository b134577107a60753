"""What a call calls, as far as a repair must know: a function of the project, or the full name of something else."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import libcst as cst

from ddplint.program import Program
from ddplint.program.imports import dotted_name
from ddplint.program.module import ClassFacts, FunctionFacts, Module
from ddplint.program.values import Class, Function, Imported, ModuleValue, Value
from ddplint.repairs import imports


def project_function(
    program: Program, module: Module, call: cst.Call, cls: ClassFacts | None, names: Mapping[object, Value]
) -> FunctionFacts | None:
    """The function of the project that a call in ``module`` (in a method of ``cls``) runs: of a class, its __init__.

    ``names`` are local names whose values are known.
    """
    if isinstance(call.func, cst.Name):
        local = names.get(call.func.value)
        if isinstance(local, Function):
            return local.facts
        return _by_name(program, module, call.func.value)
    if isinstance(call.func, cst.Attribute):
        owner = dotted_name(call.func.value)
        if owner == "self" and cls is not None:
            return cls.methods.get(call.func.attr.value)
        value = program.top_names(module).get(owner)
        if isinstance(value, ModuleValue) and value.file.module is not None:
            return _by_name(program, value.file.module, call.func.attr.value)
    return None


def is_module(program: Program, module: Module, name: str) -> bool:
    """Whether a name of a module is another module of the project."""
    return isinstance(program.top_names(module).get(name), ModuleValue)


def _by_name(program: Program, module: Module, name: str) -> FunctionFacts | None:
    value = program.top_names(module).get(name)
    if isinstance(value, Imported):
        found = value.file.module
        return _by_name(program, found, value.name) if found is not None and found is not module else None
    if isinstance(value, Function):
        return value.facts
    if isinstance(value, Class):
        return value.facts.methods.get("__init__")
    return _defined(module, name) if value is None else None


def _defined(module: Module, name: str) -> FunctionFacts | None:
    """What a module defines that only defines names, and of which nothing distributed was needed: it was not run."""
    for statement in module.tree.body:
        if isinstance(statement, (cst.FunctionDef, cst.ClassDef)) and statement.name.value == name:
            if isinstance(statement, cst.FunctionDef):
                return module.functions.get(id(statement))
            cls = module.classes.get(id(statement))
            return cls.methods.get("__init__") if cls is not None else None
    return None


def dotted(module: Module, call: cst.Call, function: cst.FunctionDef | None = None) -> str:
    """``torch.distributed.barrier`` for ``dist.barrier()``; the name as it is written where no import leads to it."""
    written = dotted_name(call.func)
    if not written:
        return f".{call.func.attr.value}" if isinstance(call.func, cst.Attribute) else ""
    top, _, rest = written.partition(".")
    inner = imports.bound(function.body.body) if function is not None else ()
    found = next((one.dotted for one in inner if one.name == top), None) or _imported(module).get(top)
    if found is None:
        return written
    return f"{found}.{rest}" if rest else found


@lru_cache(maxsize=16)
def _imported(module: Module) -> dict[str, str]:
    return {one.name: one.dotted for one in imports.bound(module.tree.body)}
