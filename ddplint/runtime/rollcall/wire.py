"""Frames between rank 0 and the others: a length, then JSON; what counts in them is signed with the job's key.

A client opens with `MAGIC`; rank 0 answers ``hello`` with a nonce of its own; the client reports with a nonce of its
own, and both nonces are in every signature after that, so neither side can replay what it heard elsewhere.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
import struct
from collections.abc import Iterator, Mapping
from typing import Any

from ddplint.runtime.rollcall.attendance import Attendance, plain, without_lists
from ddplint.runtime.rollcall.job import Job

MAGIC = b"ddplint roll-call 1\n"
MOST_REPORT = 1 << 16
MOST_VERDICT = 1 << 20
# What a label may say of a job that has not shown its key.
MOST_LABEL = 200

REPORT, REPLY = b"report", b"reply"
_LENGTH = struct.Struct(">I")
_NONCE = re.compile(r"[0-9a-f]{32}")


class WireError(ValueError):
    """Bytes that are no frame of a roll-call."""


def nonce() -> str:
    return secrets.token_hex(16)


def canonical(message: object) -> bytes:
    """The one spelling of a message that is signed."""
    return json.dumps(message, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def pack(payload: bytes, most: int) -> bytes:
    """A frame around JSON that is spelt already."""
    if len(payload) > most:
        raise WireError(f"a frame of {len(payload)} bytes, and {most} is the most")
    return _LENGTH.pack(len(payload)) + payload


def unpack(payload: bytes) -> dict[str, Any]:
    """The object in a frame."""
    try:
        message = json.loads(payload.decode("utf-8"), parse_constant=_no_constant)
    # A few thousand opening brackets are enough for a RecursionError.
    except (ValueError, RecursionError) as error:
        raise WireError("a frame without JSON") from error
    if not isinstance(message, dict):
        raise WireError("a frame without an object")
    return message


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


class Frames:
    """Bytes as they come, cut into frames; holds what has come of one and never what it announces."""

    def __init__(self, most: int, opening: bytes = b"") -> None:
        self._most = most
        self._opening = opening
        self._buffer = bytearray()

    @property
    def size(self) -> int:
        """The bytes that wait for the rest of their frame."""
        return len(self._buffer)

    @property
    def opened(self) -> bool:
        """Whether the line that a client starts with has come."""
        return not self._opening

    def feed(self, data: bytes) -> None:
        self._buffer += data
        if self._opening:
            start = bytes(self._buffer[: len(self._opening)])
            if not self._opening.startswith(start):
                raise WireError("another protocol")
            if start == self._opening:
                del self._buffer[: len(start)]
                self._opening = b""

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """The frames that are complete."""
        while not self._opening and len(self._buffer) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._buffer)
            if length > self._most:
                raise WireError(f"a frame of {length} bytes is announced, and {self._most} is the most")
            end = _LENGTH.size + length
            if len(self._buffer) < end:
                return
            payload = bytes(self._buffer[_LENGTH.size : end])
            del self._buffer[:end]
            yield unpack(payload)


def _mac(key: bytes, direction: bytes, server: str, client: str, body: bytes) -> str:
    # The digest of the body is signed, so that one verdict for a thousand ranks is hashed once.
    digest = hashlib.sha256(body).digest()
    return hmac.new(key, b"|".join((direction, server.encode(), client.encode(), digest)), "sha256").hexdigest()


def _signed(key: bytes, direction: bytes, server: str, client: str, body: object, mac: object) -> bool:
    if not isinstance(mac, str) or not mac.isascii():
        return False
    try:
        spelt = canonical(body)
    except ValueError:
        return False
    return hmac.compare_digest(_mac(key, direction, server, client, spelt), mac)


def hello(job: Job, server: str) -> bytes:
    return pack(canonical({"hello": 1, "nonce": server, "label": plain(job.label, MOST_LABEL)}), MOST_REPORT)


def read_hello(message: Mapping[str, Any]) -> str:
    """The nonce of whoever answers there; nothing is proved yet."""
    server = message.get("nonce")
    if "hello" not in message or not isinstance(server, str) or not _NONCE.fullmatch(server):
        raise WireError("no hello")
    return server


def report(job: Job, attendance: Attendance, patience: float, server: str, client: str) -> bytes:
    """The frame in which a process says who it is, and for how many seconds more it will wait."""
    try:
        return _report(job, attendance, patience, server, client)
    except WireError:
        return _report(job, without_lists(attendance), patience, server, client)


def _report(job: Job, attendance: Attendance, patience: float, server: str, client: str) -> bytes:
    body = {"attendance": attendance.to_json(), "patience": max(0, round(patience * 1000))}
    mac = _mac(job.key, REPORT, server, client, canonical(body))
    label = plain(job.label, MOST_LABEL)
    return pack(canonical({"report": body, "nonce": client, "mac": mac, "label": label}), MOST_REPORT)


def read_report(job: Job, message: Mapping[str, Any], server: str) -> tuple[Attendance, float, str] | None:
    """Who reports, its patience in seconds and its nonce; None if it is signed with another key."""
    body, client = message.get("report"), message.get("nonce")
    if not isinstance(body, dict) or not isinstance(client, str) or not _NONCE.fullmatch(client):
        raise WireError("no report")
    if not _signed(job.key, REPORT, server, client, body, message.get("mac")):
        return None
    patience = body.get("patience")
    if type(patience) is not int or not 0 <= patience < 1 << 40:
        raise WireError("no patience")
    return Attendance.from_json(body.get("attendance")), patience / 1000, client


def claimed(message: Mapping[str, Any]) -> str:
    """What a process with another key says of itself; hearsay, and cut short."""
    body = message.get("report")
    attendance = body.get("attendance") if isinstance(body, dict) else None
    words: list[str] = []
    if isinstance(attendance, dict):
        rank, host, pid = (attendance.get(name) for name in ("rank", "host", "pid"))
        if type(rank) is int and isinstance(host, str) and type(pid) is int:
            words.append(f"rank {rank % (1 << 32)} on {plain(host, 64)} pid {pid % (1 << 32)}")
    label = message.get("label")
    if isinstance(label, str):
        words.append(f"of {plain(label, MOST_LABEL)}")
    return " ".join(words)


def reply_parts(job: Job, spelt: bytes, server: str, client: str) -> tuple[bytes, bytes, bytes]:
    """A signed frame in three pieces; the middle one is the body as it was given, shared by all who are told it."""
    before = b'{"body":'
    after = b',"mac":"' + _mac(job.key, REPLY, server, client, spelt).encode() + b'"}'
    length = len(before) + len(spelt) + len(after)
    if length > MOST_VERDICT:
        raise WireError(f"a frame of {length} bytes, and {MOST_VERDICT} is the most")
    return _LENGTH.pack(length) + before, spelt, after


def read_reply(job: Job, message: Mapping[str, Any], server: str, client: str) -> dict[str, Any]:
    """What rank 0 says, if it is rank 0 of this job."""
    body = message.get("body")
    if not isinstance(body, dict) or not _signed(job.key, REPLY, server, client, body, message.get("mac")):
        raise WireError("not signed by this job")
    return body


def refusal(job: Job) -> bytes:
    """The answer to a report of another job."""
    label = plain(job.label, MOST_LABEL)
    return pack(canonical({"refused": "another job", "label": label}), MOST_REPORT)


def read_refusal(message: Mapping[str, Any]) -> str | None:
    """The label of the job that the port belongs to, if this is a refusal."""
    if "refused" not in message:
        return None
    label = message.get("label")
    return plain(label, MOST_LABEL) if isinstance(label, str) else ""
