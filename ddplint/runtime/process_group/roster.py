"""Who is in a job that has started already, for a process that comes too late: one too many, or of another job."""

from __future__ import annotations

import json
import socket
from datetime import timedelta

import torch.distributed as dist

from ddplint.runtime.problem import ERROR, Problem
from ddplint.runtime.rollcall import Attendance, Verdict

_KEY, _DOOR = "ddplint/roster", "ddplint/door"
# The port may belong to something that is no store at all.
_PATIENCE = timedelta(seconds=1)
_VALIDATE = b"\x00" + (0x3C85F7CE).to_bytes(4, "little")
_PING = b"\x0d"


def post(store: dist.Store, verdict: Verdict, door: int | None) -> None:
    """Leave the names of all processes in the store of the job that starts, and the port for those who come late."""
    if door is not None:
        store.set(_DOOR, str(door))
    store.set(_KEY, json.dumps([[one.rank, one.host, one.pid] for one in verdict.present]))


def problem(address: str, port: int, own: Attendance) -> Problem | None:
    """That the job at this address has started without this process; None where no such job answers."""
    try:
        present = json.loads(_posted(address, port, _KEY) or "null")
    except ValueError:
        return None
    if present is None:
        return None
    named = [f"{host} pid {pid}" for rank, host, pid in present if rank == own.rank]
    holder = f", in which rank {own.rank} is {named[0]}" if named else ""
    return Problem(
        ERROR,
        f"a job of {len(present)} processes has started at {address}:{port} already{holder}",
        "a process that comes after the start is one too many, or belongs to another job",
        "start as many processes as the world size says; give each job a MASTER_PORT of its own",
    )


def door(address: str, port: int) -> int | None:
    """The port at which the job that has started at this address hears who comes late; None where there is none."""
    text = _posted(address, port, _DOOR) or b""
    return int(text) if len(text) < 6 and text.isdigit() else None


def _posted(address: str, port: int, name: str) -> bytes | None:
    try:
        if not _is_a_store(address, port):
            return None
        store = dist.TCPStore(address, port, is_master=False, timeout=_PATIENCE, wait_for_workers=False)
        return store.get(name) if store.check([name]) else None
    except (OSError, RuntimeError):
        return None


def _is_a_store(address: str, port: int) -> bool:
    """Whether torch's store answers there: torch's own client waits for ever for a listener that says nothing.

    Its protocol, run with 2.13 (torch/csrc/distributed/c10d/TCPStoreBackend.hpp): validate with a magic number, then
    ping with any number, which comes back. Where that has changed nothing comes back, and nothing is known.
    """
    number = b"ddpl"
    with socket.create_connection((address, port), timeout=_PATIENCE.total_seconds()) as connection:
        connection.sendall(_VALIDATE + _PING + number)
        return connection.recv(4, socket.MSG_WAITALL) == number
