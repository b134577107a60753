"""Run a script or a module as ``python`` would: its own ``__main__``, arguments, folder on the path and traceback."""

from __future__ import annotations

import builtins
import importlib
import importlib.util
import io
import os
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, SourceFileLoader
from types import CodeType, ModuleType, TracebackType

from ddplint.runtime.shim.corrections import is_ours


class ProgramError(Exception):
    """There is no such program; says which and why."""


def run(name: str, arguments: Sequence[str], module: bool = False) -> int:
    """Run a program in this process; its exit status.

    Raises:
        ProgramError: it cannot be found or read.
        SystemExit: as the program raised it.
    """
    if module:
        # A package that is imported on the way to its module sees this (runpy, _run_module_as_main).
        sys.argv = ["-m", *arguments]
    try:
        main = _module(name) if module else _script(name)
    except (ProgramError, SystemExit):
        raise
    except BaseException as error:
        return _failed(error)
    code: CodeType = main.__dict__.pop("__code_to_run__")
    sys.argv = [str(main.__file__) if module else name, *arguments]
    sys.path[0] = os.getcwd() if module else os.path.dirname(os.path.realpath(name))
    # multiprocessing looks for the main module here, and pickle for its classes.
    sys.modules["__main__"] = main
    try:
        exec(code, main.__dict__)
    except SystemExit:
        raise
    except BaseException as error:
        return _failed(error)
    return 0


def _failed(error: BaseException) -> int:
    _show(error)
    return 130 if isinstance(error, KeyboardInterrupt) else 1


def _empty() -> ModuleType:
    main = ModuleType("__main__")
    if sys.version_info < (3, 14):
        main.__annotations__ = {}
    return main


def _script(name: str) -> ModuleType:
    main = _empty()
    # Since Python 3.9 the main module has an absolute path, however it was called.
    path = os.path.abspath(name)
    try:
        with io.open_code(path) as file:
            text = file.read()
    except OSError as error:
        raise ProgramError(f"cannot read {name}: {error.strerror}") from error
    try:
        code = compile(text, path, "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as error:
        raise ProgramError("".join(_only(error))) from error
    main.__dict__.update(
        __file__=path,
        __builtins__=builtins,
        __loader__=SourceFileLoader("__main__", path),
        __spec__=None,
        __package__=None,
        __cached__=None,
        __code_to_run__=code,
    )
    return main


def _only(error: BaseException) -> list[str]:
    from traceback import format_exception_only

    return format_exception_only(type(error), error)


def _module(name: str) -> ModuleType:
    # As python -m does: what lies in the current folder is found first.
    sys.path[0] = os.getcwd()
    spec = _found(name)
    if spec is not None and spec.submodule_search_locations is not None:
        spec = _found(f"{name}.__main__")
    loader = None if spec is None else spec.loader
    code = loader.get_code(spec.name) if spec is not None and hasattr(loader, "get_code") else None  # type: ignore[union-attr]
    if spec is None or code is None:
        raise ProgramError(f"no module named {name} that can be run")
    main = _empty()
    main.__dict__.update(
        __file__=spec.origin,
        __builtins__=builtins,
        __loader__=loader,
        __spec__=spec,
        __package__=spec.parent,
        __cached__=spec.cached,
        __code_to_run__=code,
    )
    return main


def _found(name: str) -> ModuleSpec | None:
    """Where a module is; what is raised by a package around it is the package's own error, as for ``python -m``."""
    package = name.rpartition(".")[0]
    try:
        if package:
            importlib.import_module(package)
    except ImportError as error:
        if error.name is None or not f"{package}.".startswith(f"{error.name}."):
            raise
    try:
        return importlib.util.find_spec(name)
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise ProgramError(f"no module named {name}: {error}") from error


def _show(error: BaseException) -> None:
    """Print the traceback without frames of ours, in the way the program has asked for."""
    seen: set[int] = set()
    one: BaseException | None = error
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        one.__traceback__ = without_ours(one.__traceback__)
        one = one.__cause__ or one.__context__
    sys.excepthook(type(error), error, error.__traceback__)
    sys.stderr.flush()


def without_ours(traceback: TracebackType | None) -> TracebackType | None:
    """The traceback with the frames of this package left out."""
    kept = []
    while traceback is not None:
        if not is_ours(traceback.tb_frame.f_code.co_filename):
            kept.append(traceback)
        traceback = traceback.tb_next
    below = None
    for one in reversed(kept):
        below = TracebackType(below, one.tb_frame, one.tb_lasti, one.tb_lineno)
    return below
