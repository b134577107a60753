"""Two hosts for all tests here, made once for each process that runs tests."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

import pytest
from launch import Command, Outcome, launch
from network import SCRIPTS, Network, Refused, network
from slurm import cluster

# What failed is then said in full there too. They are imported by the test modules, after this.
pytest.register_assert_rewrite("failures", "repair", "training")


@pytest.fixture(scope="session")
def _hosts() -> Iterator[Network | Refused]:
    # Not below pytest's own folder: the path of a socket is at most 107 characters long.
    for left in Path(tempfile.gettempdir()).glob("ddpl-*-*"):
        # Of tests that were killed. Their processes and namespaces are gone with them.
        if not Path("/proc", left.name.split("-")[1]).exists():
            shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=f"ddpl-{os.getpid()}-"))
    try:
        with ExitStack() as stack:
            made: Network | Refused
            try:
                if find_spec("torch") is None:
                    raise Refused('torch is not installed: pip install -e ".[test]"')
                made = stack.enter_context(network(folder))
            except Refused as refusal:
                made = refusal
            yield made
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def hosts(_hosts: Network | Refused, unavailable: Callable[[str], NoReturn]) -> Network:
    """Two hosts. Where the kernel refuses them the test is skipped, in CI it fails."""
    if isinstance(_hosts, Refused):
        unavailable(f"two hosts out of namespaces: {_hosts}")
    return _hosts


@pytest.fixture(scope="session")
def _slurm(_hosts: Network | Refused) -> Iterator[dict[str, str] | Refused]:
    with ExitStack() as stack:
        found: dict[str, str] | Refused
        try:
            if isinstance(_hosts, Refused):
                raise _hosts
            found = stack.enter_context(cluster(_hosts))
        except Refused as refusal:
            found = refusal
        yield found


@pytest.fixture
def slurm(_slurm: dict[str, str] | Refused, unavailable: Callable[[str], NoReturn]) -> dict[str, str]:
    """Slurm on the two hosts; the environment with which srun finds it."""
    if isinstance(_slurm, Refused):
        unavailable(f"Slurm: {_slurm}")
    return _slurm


@pytest.fixture(scope="session")
def _reference(_hosts: Network | Refused, tmp_path_factory: pytest.TempPathFactory) -> Outcome | None:
    if isinstance(_hosts, Refused):
        return None
    command = Command(_hosts.nodes[0], (str(SCRIPTS / "reference.py"),))
    return launch([command], tmp_path_factory.mktemp("reference"))


@pytest.fixture
def reference(hosts: Network, _reference: Outcome | None) -> Outcome:
    """What one process without torch.distributed trains."""
    assert _reference is not None
    assert _reference.succeeded, _reference.output
    return _reference
