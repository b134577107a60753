"""One server for all tests here."""

from __future__ import annotations

import multiprocessing
import re
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

import pytest
from ranks_server import Server, serving

# What torch sends objects with, also for the plans of a distributed checkpoint. It needs numpy for that.
OBJECTS = re.compile(r"_object\(|_object_list\(|\bdcp\.")


@pytest.fixture(scope="session")
def _server() -> Iterator[Server | None]:
    if find_spec("torch") is None or "fork" not in multiprocessing.get_all_start_methods():
        yield None
    else:
        with serving() as server:
            yield server


@pytest.fixture
def server(_server: Server | None, unavailable: Callable[[str], NoReturn]) -> Server:
    if _server is None:
        unavailable("torch is not installed, or processes cannot be forked here")
    return _server


@pytest.fixture
def runnable(unavailable: Callable[[str], NoReturn]) -> Callable[[Path], Path]:
    """The script, if all that it needs is there."""

    def check(script: Path) -> Path:
        if OBJECTS.search(script.read_text(encoding="utf-8")) and find_spec("numpy") is None:
            unavailable("numpy is not installed, and torch.distributed sends no objects without it")
        return script

    return check
