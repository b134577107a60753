"""The corrected start, with real process groups on this machine."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

import pytest

from ddplint.runtime import ports

pytest.importorskip("torch")
pytestmark = pytest.mark.torch

START = "from ddplint.runtime import *\nimport torch, torch.distributed as dist, os, sys, time\n"
# What no launcher has set stays out of the processes.
CLEAN = {name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH") if name in os.environ}


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str


def start(text: str, environment: Mapping[str, str]) -> subprocess.Popen[str]:
    program = START + dedent(text)
    words = [sys.executable, "-W", "ignore", "-c", program]
    variables = CLEAN | {"OMP_NUM_THREADS": "1", "DDPLINT_ROLLCALL_TIMEOUT": "30"} | environment
    return subprocess.Popen(words, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def end(process: subprocess.Popen[str], seconds: float = 90) -> Done:
    try:
        out, err = process.communicate(timeout=seconds)
    finally:
        process.kill()
    return Done(process.returncode, out, err)


def free_port() -> str:
    with ports.listen(0) as listener:
        return str(listener.getsockname()[1])


def together(text: str, size: int = 2, **more: str) -> list[Done]:
    """Run the text in so many processes of one job."""
    port = free_port()
    processes = [
        start(text, {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(size), "LOCAL_WORLD_SIZE": str(size),
                     "MASTER_ADDR": "localhost", "MASTER_PORT": port, **more})
        for rank in range(size)
    ]  # fmt: skip
    return [end(process) for process in processes]


def test_one_process_needs_no_port() -> None:
    done = end(start("""
    process = init_process_group()
    tensor = torch.ones(1)
    dist.all_reduce(tensor)
    print(process.rank, process.world_size, tensor.item(), is_main_process(), local_rank(), dist.get_backend())
    print(os.environ["RANK"], os.environ["WORLD_SIZE"], "MASTER_PORT" in os.environ)
    """, {}))  # fmt: skip
    assert done.out == "0 1 1.0 True 0 gloo\n0 1 False\n", done.err


def test_called_twice_it_is_one_group() -> None:
    for done in together("""
    first = init_process_group()
    assert init_process_group() is first
    tensor = torch.full((1,), first.rank + 1.0)
    dist.all_reduce(tensor)
    print(tensor.item())
    """):  # fmt: skip
        assert (done.code, done.out) == (0, "3.0\n"), done.err


def test_a_group_that_exists_is_described() -> None:
    for rank, done in enumerate(together("""
    dist.init_process_group("gloo")
    process = init_process_group()
    print(process.rank, process.world_size, process.backend, process.device)
    """)):  # fmt: skip
        assert (done.code, done.out) == (0, f"{rank} 2 gloo cpu\n"), done.err


def test_a_group_of_another_rank_is_an_error() -> None:
    [done] = together("""
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    os.environ["RANK"], os.environ["WORLD_SIZE"] = "1", "2"
    init_process_group()
    """, size=1)  # fmt: skip
    assert done.code == 1
    assert "a process group exists, in which this is rank 0 of 1; environment says rank 1 (RANK)" in done.err


def test_the_timeout_is_the_one_asked_for() -> None:
    """The start has a short one of its own; a collective that one rank never reaches shows which one counts."""
    one, other = together("""
    from datetime import timedelta
    process = init_process_group(timeout=timedelta(seconds=2))
    if process.rank == 0:
        began = time.monotonic()
        try:
            dist.barrier()
        except RuntimeError:
            print("gave up", 1 < time.monotonic() - began < 20, flush=True)
        os._exit(0)
    time.sleep(4)
    os._exit(0)
    """)
    assert one.out == "gave up True\n", one.err
    assert other.code == 0, other.err


def test_the_store_is_at_the_master_port() -> None:
    """What else speaks to the master port finds torch's store there, as with env://."""
    for done in together("""
    init_process_group()
    store = dist.TCPStore("localhost", int(os.environ["MASTER_PORT"]), is_master=False)
    store.add("came", 1)
    while int(store.get("came")) < 2:
        time.sleep(0.01)
    print("met")
    """):  # fmt: skip
        assert done.out == "met\n", done.err


def test_a_second_group_after_the_first_was_destroyed() -> None:
    for done in together("""
    for _ in range(2):
        init_process_group()
        dist.barrier()
        dist.destroy_process_group()
    init_process_group()
    print(dist.get_world_size())
    """):  # fmt: skip
        assert done.out == "2\n", done.err


def test_the_main_process_goes_first(tmp_path: Path) -> None:
    text = """
    init_process_group()
    with main_process_first():
        if is_main_process():
            time.sleep(1)
            open(os.environ["FILE"], "w").write("done")
        else:
            print(open(os.environ["FILE"]).read())
    with main_process_first(local=True):
        pass
    print_on_main("main")
    """
    one, other = together(text, FILE=str(tmp_path / "first"))
    assert (one.out, other.out) == ("main\n", "done\n"), one.err + other.err


def test_if_the_main_process_fails_the_others_stop() -> None:
    one, other = together("""
    init_process_group()
    with main_process_first():
        if is_main_process():
            raise OSError("no disk")
    print("went on")
    """)  # fmt: skip
    assert (one.code, other.code, one.out, other.out) == (1, 1, "", "")
    assert "no disk" in one.err
    assert "the main process failed in a block of main_process_first" in other.err


def test_after_an_error_nobody_hangs() -> None:
    one, other = together("""
    process = init_process_group()
    if process.rank == 1:
        raise ValueError("wrong")
    dist.all_reduce(torch.ones(1))
    """)  # fmt: skip
    assert (one.code, other.code) == (1, 1)
    assert "wrong" in other.err
    assert "Connection closed by peer" in one.err


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_roll_call(signum: signal.Signals) -> None:
    """One process waits for another that never comes, and is told to stop."""
    environment = {"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0", "MASTER_ADDR": "localhost"}
    text = "import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
    text += "print('starts', flush=True)\ninit_process_group()\n"
    process = start(text, {**environment, "MASTER_PORT": free_port()})
    assert process.stdout is not None
    assert process.stdout.readline() == "starts\n"
    time.sleep(1)
    process.send_signal(signum)
    began = time.monotonic()
    done = end(process, 20)
    assert time.monotonic() - began < 10
    # Python's own end of a program that is interrupted.
    assert done.code in (-signum, 130)


def test_wrong_options_are_torchs_to_refuse() -> None:
    done = end(start("init_process_group('nonsense')", {}))
    assert done.code == 1
    assert "nonsense" in done.err.lower()


@pytest.mark.gpu
@pytest.mark.skipif("not __import__('torch').cuda.is_available()", reason="no CUDA device")
def test_nccl_with_a_gpu() -> None:
    done = end(start("""
    process = init_process_group()
    tensor = torch.ones(1, device=process.device)
    dist.all_reduce(tensor)
    print(dist.get_backend(), process.device, torch.cuda.current_device(), tensor.item())
    """, {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0"}))  # fmt: skip
    assert (done.code, done.out) == (0, "nccl cuda:0 0 1.0\n"), done.err
    assert "destroy_process_group" not in done.err


@pytest.mark.gpu
@pytest.mark.skipif("not __import__('torch').cuda.is_available()", reason="no CUDA device")
def test_two_processes_on_one_gpu_are_told() -> None:
    for done in together("init_process_group()", CUDA_VISIBLE_DEVICES="0"):
        assert done.code == 1
        assert "GPU-" in done.err


TRAINS = """
print("not written yet", end="")
process = init_process_group()
dist.all_reduce(torch.ones(1))
print("started", file=sys.stderr, flush=True)
if process.rank == 0 or {ends!r}:
    time.sleep({seconds})
else:
    # Waits for a rank 0 that does not come to it.
    dist.all_reduce(torch.ones(1))
"""


def unnamed(seconds: float, ends: bool = True) -> tuple[list[subprocess.Popen[str]], dict[str, str]]:
    """Two processes of a job without a name, once they train; and the environment of another rank 1."""
    own = {"WORLD_SIZE": "2", "LOCAL_RANK": "0", "MASTER_ADDR": "localhost", "MASTER_PORT": free_port()}
    text = TRAINS.format(seconds=seconds, ends=ends)
    processes = [start(text, own | {"RANK": str(rank)}) for rank in (0, 1)]
    for process in processes:
        assert process.stderr is not None
        assert process.stderr.readline() == "started\n"
    return processes, own | {"RANK": "1"}


def test_a_job_without_a_name_ends_if_one_comes_late() -> None:
    processes, third = unnamed(60, ends=False)
    late = start(TRAINS.format(seconds=60, ends=True), third)
    for done in map(end, [*processes, late]):
        assert done.code == 1
        assert f"rank 1 on {socket.gethostname()} pid {late.pid} came" in done.err
        assert f"rank 1 is {socket.gethostname()} pid {processes[1].pid}" in done.err
        assert "DDPLINT_JOB_TOKEN" in done.err
        # What stood in its buffer is not lost.
        assert done.out == "not written yet"


def test_a_job_without_a_name_ends_as_any_other() -> None:
    processes, _ = unnamed(0.5)
    began = time.monotonic()
    for process in processes:
        done = end(process)
        assert (done.code, done.out, done.err) == (0, "not written yet", "")
    assert time.monotonic() - began < 30
