"""Starting processes: spawn, Process in a loop, commands with an environment of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from ddplint.program import expressions
from ddplint.program.events import Argument, Arguments, Spawn
from ddplint.program.values import (
    Const,
    Index,
    Items,
    Object,
    Unknown,
    Value,
)

if TYPE_CHECKING:
    from ddplint.program.run import Run
from ddplint.program.library.models import models


@models("torch.multiprocessing.spawn", "torch.multiprocessing.start_processes")
def _spawn(run: Run, arguments: Arguments, node: cst.CSTNode) -> Value:
    # torch 2.13, torch/multiprocessing/spawn.py: spawn(fn, args=(), nprocs=1, join=True, daemon=False, ...)
    target = arguments.value("fn", 0)
    rest = arguments.value("args", 1)
    count = arguments.get("nprocs", 2) or Argument(Const(1), node)
    index = Index(node, count.value, run.origin(node))
    handed = (index, *rest.values) if isinstance(rest, Items) else (index,)
    opened = rest is not None and not isinstance(rest, Items)
    spawn = Spawn("spawn", run.module, node, count, index)
    run.record("spawn", node, {"nprocs": count}, name="mp.spawn")
    if target is not None:
        run.start(spawn, target, Arguments(tuple(Argument(value, node) for value in handed), {}, opened), node)
    return Unknown("a process context", run.origin(node))


@models(
    "multiprocessing.Process", "torch.multiprocessing.Process", "multiprocessing.context.Process", "threading.Thread"
)
def _process(run: Run, arguments: Arguments, node: cst.CSTNode) -> Value:
    target = arguments.value("target", 1)
    rest = arguments.value("args", 3)
    named = arguments.value("kwargs", 4)
    handed = rest.values if isinstance(rest, Items) else ()
    opened = rest is not None and not isinstance(rest, Items)
    keyword: dict[str, Argument] = {}
    if isinstance(named, Object) and named.kind == "dict":
        keyword = {key: Argument(value, node) for key, value in named.fields.items() if isinstance(key, str)}
    spawn = _loop_spawn(run, "process", node)
    run.record("spawn", node, {"nprocs": spawn.count} if spawn.count else {}, name="Process")
    if target is not None:
        values = tuple(Argument(value, node) for value in handed)
        run.start(spawn, target, Arguments(values, keyword, opened), node)
    return Unknown("a process", run.origin(node))


def _loop_spawn(run: Run, kind: str, node: cst.CSTNode) -> Spawn:
    """The children that a loop around ``node`` starts, counted by the innermost ``range`` loop."""
    if not run.loops:
        return Spawn(kind, run.module, node, None, None)
    index = run.loops[-1]
    iterable = getattr(index.site, "iter", index.site)
    written = iterable.args[-1].value if isinstance(iterable, cst.Call) and iterable.args else iterable
    return Spawn(kind, run.module, node, Argument(index.count, written), index)


@models("multiprocessing.get_context", "torch.multiprocessing.get_context")
def _get_context(run: Run, arguments: Arguments, node: cst.CSTNode) -> Value:
    return expressions.external(run, "multiprocessing", run.origin(node))


@models(
    "subprocess.Popen", "subprocess.run", "subprocess.call", "subprocess.check_call", "subprocess.check_output",
    "os.execvpe", "os.execve",
)  # fmt: skip
def _command(run: Run, arguments: Arguments, node: cst.CSTNode) -> Value:
    environ = arguments.value("env")
    if isinstance(environ, Object) and environ.kind in ("environ", "dict") and "RANK" in environ.fields:
        spawn = _loop_spawn(run, "command", node)
        run.record("command", node, environ=environ, context=(*run.context, spawn), name="subprocess")
    return Unknown("what a child process prints", run.origin(node))
