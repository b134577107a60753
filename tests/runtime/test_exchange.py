"""Rank 0's address through the process manager: MPICH's where it is installed, and a stand-in for failures."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import NoReturn

import pytest

from ddplint.runtime import exchange
from ddplint.runtime.exchange import master_through_hnp, master_through_pmi

HERE = Path(exchange.__file__).parents[2]
SCRIPT = """
import os, sys
from ddplint.runtime.exchange import master_through_pmi
rank = int(os.environ["PMI_RANK"])
found = master_through_pmi(rank, os.environ, f"10.0.0.{rank}:29500", 20)
sys.stdout.write(f"{rank} {found}\\n")
sys.exit(int(sys.argv[1]) if rank == 2 else 0)
"""
ANSWERS = {
    "cmd=init pmi_version=1 pmi_subversion=1": "cmd=response_to_init pmi_version=1 pmi_subversion=1 rc=0",
    "cmd=get_my_kvsname": "cmd=my_kvsname kvsname=kvs_1",
    "cmd=put kvsname=kvs_1 key=ddplint-master value=10.0.0.1": "cmd=put_result rc=0 msg=success",
    "cmd=barrier_in": "cmd=barrier_out",
    "cmd=get kvsname=kvs_1 key=ddplint-master": "cmd=get_result rc=0 msg=success value=10.0.0.1",
    "cmd=finalize": "cmd=finalize_ack",
}


@pytest.mark.parametrize("code", [0, 5])
def test_mpich(code: int, tmp_path: Path, unavailable: Callable[[str], NoReturn]) -> None:
    """All ranks hear of rank 0's address, and the launcher sees each of them end as it ended."""
    mpirun = shutil.which("mpirun.mpich")
    if mpirun is None:
        unavailable("mpirun.mpich is not installed")
    script = tmp_path / "script.py"
    script.write_text(SCRIPT, encoding="utf-8")
    done = subprocess.run(
        [mpirun, "-np", "4", sys.executable, str(script), str(code)],
        env={**os.environ, "PYTHONPATH": str(HERE)}, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert sorted(done.stdout.splitlines()) == [f"{rank} 10.0.0.0:29500" for rank in range(4)], done.stderr
    assert done.returncode == code
    assert "BAD TERMINATION" not in done.stdout + done.stderr


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def manager(sock: socket.socket, answers: dict[str, str], heard: list[str]) -> threading.Thread:
    """Answer as a process manager does, until something is asked that it has no answer to."""

    def serve() -> None:
        with sock.makefile("rw", encoding="ascii", newline="\n") as lines:
            for line in lines:
                heard.append(line.strip())
                if line.strip() not in answers:
                    break
                lines.write(answers[line.strip()] + "\n")
                lines.flush()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    return thread


def ask(sock: socket.socket, rank: int = 1, seconds: float = 5, own: str = "10.0.0.1") -> str | None:
    return master_through_pmi(rank, {"PMI_FD": str(sock.fileno())}, own, seconds)


@pytest.mark.parametrize("rank", [0, 1])
def test_the_conversation(pair: tuple[socket.socket, socket.socket], rank: int) -> None:
    heard: list[str] = []
    manager(pair[1], ANSWERS, heard)
    assert ask(pair[0], rank) == "10.0.0.1"
    assert heard == [line for line in ANSWERS if rank == 0 or " key=ddplint-master value" not in line]


@pytest.mark.parametrize(
    "wrong",
    [
        {"cmd=init pmi_version=1 pmi_subversion=1": "cmd=response_to_init rc=-1"},
        {"cmd=get_my_kvsname": "cmd=my_kvsname"},
        {"cmd=get_my_kvsname": "hello"},
        {"cmd=get kvsname=kvs_1 key=ddplint-master": "cmd=get_result rc=-1 msg=key_not_found value=unknown"},
        {"cmd=barrier_in": "cmd=barrier_out rc=1"},
    ],
)
def test_another_answer(pair: tuple[socket.socket, socket.socket], wrong: dict[str, str]) -> None:
    heard: list[str] = []
    manager(pair[1], {**ANSWERS, **wrong}, heard)
    assert ask(pair[0]) is None
    # Who has begun takes leave; else Hydra takes the end of the process for its death.
    assert ("cmd=finalize" in heard) == ("cmd=get_my_kvsname" in heard)


def test_a_rank_that_never_comes(pair: tuple[socket.socket, socket.socket]) -> None:
    heard: list[str] = []
    answers = dict(ANSWERS)
    del answers["cmd=barrier_in"]
    manager(pair[1], answers, heard)
    start = time.monotonic()
    assert ask(pair[0], seconds=0.3) is None
    assert time.monotonic() - start < 3


def test_silence_noise_and_nobody(pair: tuple[socket.socket, socket.socket]) -> None:
    start = time.monotonic()
    assert ask(pair[0], seconds=0.2) is None
    pair[1].sendall(b"\xff\xfe" * 10)
    assert ask(pair[0], seconds=0.2) is None
    pair[1].close()
    assert ask(pair[0]) is None
    assert time.monotonic() - start < 3
    assert pair[0].getblocking()


@pytest.mark.parametrize("value", [None, "", "x", "-1", "9999", "99999999999"])
def test_no_descriptor(value: str | None) -> None:
    assert master_through_pmi(0, {} if value is None else {"PMI_FD": value}, "10.0.0.1", 1) is None


def test_a_file_under_that_number_is_not_written_to(tmp_path: Path) -> None:
    with open(tmp_path / "log", "w+b") as file, socket.create_server(("127.0.0.1", 0)) as server:
        for number in (file.fileno(), server.fileno()):
            assert master_through_pmi(0, {"PMI_FD": str(number)}, "10.0.0.1", 1) is None
        assert file.read() == b""


@pytest.mark.parametrize("own", ["", "a b", "x" * 256, "a\nb"])
def test_what_is_no_word_is_not_sent(pair: tuple[socket.socket, socket.socket], own: str) -> None:
    assert ask(pair[0], 0, own=own) is None
    pair[1].setblocking(False)
    with pytest.raises(BlockingIOError):
        pair[1].recv(1)


def test_where_mpi_is_loaded_or_will_be(
    pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the exchange an MPI_Init would abort the job, so there is none."""
    monkeypatch.setattr(exchange, "_mpi_is_loaded", lambda: True)
    assert ask(pair[0]) is None
    monkeypatch.undo()
    monkeypatch.setitem(sys.modules, "mpi4py", SimpleNamespace())
    assert ask(pair[0]) is None


@pytest.mark.parametrize(
    ("first", "state", "found"),
    [
        ((0, "10.0.0.1"), {}, "10.0.0.1"),
        # Its rank 0 is another one than ours: a communicator of its own in each process, after a wrong library.
        ((3, "10.0.0.1"), {}, None),
        ((0, "10.0.0.1"), {"Is_initialized": lambda: False}, None),
        ((0, "10.0.0.1"), {"Is_finalized": lambda: True}, None),
    ],
)
def test_through_mpi4py(
    monkeypatch: pytest.MonkeyPatch, first: tuple[int, str], state: dict[str, object], found: str | None
) -> None:
    """A stand-in for mpi4py.MPI, which the script has imported."""
    world = SimpleNamespace(bcast=lambda value, root: first if root == 0 else None)
    monkeypatch.setitem(sys.modules, "mpi4py.MPI", SimpleNamespace(COMM_WORLD=world, **state))
    assert master_through_pmi(1, {}, "10.0.0.2", 1) == found


@pytest.mark.parametrize(
    ("uri", "found"),
    [
        ("1828519936.0;tcp://10.77.0.10:55619", "10.77.0.10"),
        ("1566965760.0;tcp://192.0.2.2:54691;tcp6://[fd00::2]:36483", "192.0.2.2"),
        ("1.0;tcp://127.0.0.1,10.0.0.1,192.168.0.1:55619", "10.0.0.1"),
        ("1.0;tcp://127.0.0.1:55619;tcp6://[::1],[fe80::1],[fd00::2]:36483", "fd00::2"),
        ("169082880.0;tcp://127.0.0.1:55759", None),
        ("1.0;usock://x;tcp://nonsense", None),
        ("", None),
    ],
)
def test_the_host_of_mpirun(uri: str, found: str | None) -> None:
    assert master_through_hnp({"OMPI_MCA_orte_hnp_uri": uri}) == found
    assert master_through_hnp({}) is None
