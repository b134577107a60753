"""The first process of a simulated machine: it starts others there, and they all end when it does.

    python machine.py FOLDER [--warm]

It is process 1 of a PID namespace. It listens on the socket ``FOLDER/<host name>.socket``; ``ask.py`` and ``launch.py``
say what to start. With ``--warm`` it imports torch once, and Python programs are forked from it: an import of torch
takes two seconds, a fork a hundredth of that. A program that is forked has its own session, environment, folder,
arguments and ``__main__``, as if it had just been started; what it has not is an interpreter of its own.

It ends when its standard input does, that is, at the latest when the tests die. The kernel then kills everything in the
namespace.
"""

from __future__ import annotations

import importlib
import json
import os
import runpy
import select
import selectors
import signal
import socket
import sys
import tempfile
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

# DDP imports torch._dynamo when the first model is wrapped, which takes nearly as long as torch itself.
WARM = ("torch", "torch._dynamo", "torch.distributed.launcher.api", "torch.utils.data.distributed")


def serve(folder: Path) -> None:
    selector = selectors.DefaultSelector()
    listener = socket.socket(socket.AF_UNIX)
    # Under its name it is found only when it listens.
    path = folder / f"{socket.gethostname()}.socket"
    listener.bind(f"{path}.new")
    listener.listen()
    os.rename(f"{path}.new", path)
    selector.register(listener, selectors.EVENT_READ, "listener")
    selector.register(sys.stdin, selectors.EVENT_READ, "stdin")
    # The process that was started for a connection, a descriptor that becomes readable when it ends, and how long it
    # may take to end when it is asked to.
    running: dict[socket.socket, tuple[int, int, float]] = {}
    while True:
        for key, _ in selector.select():
            if key.data == "stdin":
                return
            if key.data == "listener":
                connection, _ = listener.accept()
                order, channels = receive(connection)
                pid = start(order, channels)
                descriptor = os.pidfd_open(pid)
                running[connection] = pid, descriptor, order["patience"]
                selector.register(descriptor, selectors.EVENT_READ, connection)
                selector.register(connection, selectors.EVENT_READ, connection)
            elif key.data in running:
                # It ended, or whoever wanted it has gone: then nobody wants what it started either.
                connection = key.data
                pid, descriptor, patience = running.pop(connection)
                selector.unregister(descriptor)
                selector.unregister(connection)
                if key.fileobj is connection:
                    end(pid, descriptor, patience)
                _, status = os.waitpid(pid, 0)
                with suppress(ProcessLookupError):
                    os.killpg(pid, signal.SIGKILL)
                # Its processes are ours now that it is gone. They may still hold a port that the next job wants.
                with suppress(ChildProcessError):
                    while True:
                        os.waitpid(-pid, 0)
                os.close(descriptor)
                with suppress(OSError):
                    connection.sendall(str(os.waitstatus_to_exitcode(status)).encode())
                connection.close()


def end(pid: int, descriptor: int, patience: float) -> None:
    """Ask it to end if there is patience for that, then kill it."""
    if patience:
        os.kill(pid, signal.SIGTERM)
        select.select([descriptor], [], [], patience)
    # By its own number too: it may not lead its session yet.
    for kill in (os.killpg, os.kill):
        with suppress(ProcessLookupError):
            kill(pid, signal.SIGKILL)


def start(order: dict[str, Any], descriptors: list[int]) -> int:
    """Start what is asked for; the number of the process, which leads a session of its own."""
    pid = os.fork()
    if pid == 0:
        become(order, descriptors)
    for descriptor in descriptors:
        os.close(descriptor)
    return pid


def receive(connection: socket.socket) -> tuple[dict[str, Any], list[int]]:
    data, descriptors, _, _ = socket.recv_fds(connection, 1 << 20, 3)
    while not data.endswith(b"\n"):
        data += connection.recv(1 << 20)
    return json.loads(data), list(descriptors)


def become(order: dict[str, Any], descriptors: list[int]) -> NoReturn:
    """Never returns: the forked process is the ordered program."""
    code = 1
    try:
        os.setsid()
        for target, descriptor in enumerate(descriptors):
            os.dup2(descriptor, target)
        os.closerange(3, 256)
        os.chdir(order["folder"])
        os.environ.clear()
        os.environ.update(order["environment"])
        words = order["words"]
        if order["fork"]:
            code = run_python(words)
        else:
            # A PID namespace of its own: torchrun's workers lead sessions, and are to die with it all the same.
            wrapper = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"] if order["contain"] else []
            os.execvp([*wrapper, *words][0], [*wrapper, *words])
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def run_python(words: list[str]) -> int:
    """Run ``SCRIPT ARGUMENT ...`` or ``-m MODULE ARGUMENT ...`` as the main program; its exit status."""
    tempfile.tempdir = None
    sys.path[:0] = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    sys.stdin, sys.stdout, sys.stderr = (os.fdopen(number, mode) for number, mode in enumerate(("r", "w", "w")))
    try:
        if os.environ.get("STANDIN_PRELOAD") == "1":
            importlib.import_module("standin")
        if words[0] == "-m":
            sys.argv = words[1:]
            runpy.run_module(words[1], run_name="__main__", alter_sys=True)
        else:
            sys.argv = words
            sys.path.insert(0, os.path.dirname(os.path.abspath(words[0])))
            runpy.run_path(words[0], run_name="__main__")
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        print(end.code, file=sys.stderr)
        return 1
    return 0


def main() -> None:
    folder, *options = sys.argv[1:]
    if "--warm" in options:
        for name in WARM:
            importlib.import_module(name)
    serve(Path(folder))
    # Without taking torch apart first, which takes a second.
    os._exit(0)


if __name__ == "__main__":
    main()
