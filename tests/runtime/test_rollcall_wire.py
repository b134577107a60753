"""Reports and frames: what is written is read again, and nothing else is."""

from __future__ import annotations

import json
import struct
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rollcalls import JOB, OTHER, one

from ddplint.runtime.problem import ERROR, WARNING, Problem
from ddplint.runtime.rollcall import Attendance, Job, Verdict, verdict, wire
from ddplint.runtime.rollcall.attendance import MOST_RANK, AttendanceError

SERVER, CLIENT = "0" * 32, "1" * 32
NAMES = st.text(st.characters(categories=("L", "N", "P")), max_size=20)
ATTENDANCES = st.builds(
    Attendance,
    rank=st.integers(0, MOST_RANK - 1),
    world_size=st.integers(0, MOST_RANK - 1),
    host=NAMES,
    pid=st.integers(0, 1 << 22),
    launcher=NAMES,
    local_rank=st.none() | st.integers(0, 8),
    nnodes=st.none() | st.integers(0, 8),
    sources=st.dictionaries(NAMES, NAMES, max_size=4),
    hosts=st.lists(NAMES, max_size=4).map(tuple),
    hosts_source=st.none() | NAMES,
    device=st.none() | NAMES,
    versions=st.dictionaries(NAMES, NAMES, max_size=4),
    problems=st.lists(NAMES, max_size=4).map(tuple),
)
FULL = one(
    1,
    2,
    local_rank=1,
    node_rank=0,
    local_world_size=2,
    nnodes=1,
    hosts=("node0",),
    hosts_source="LIST",
    devices=("GPU-1",),
    device="GPU-1",
    versions={"torch": "2.3"},
    master="node0",
    resolved=("10.0.0.1",),
    command="train.py",
    spawner=4,
    problems=("a\nb",),
)


@given(ATTENDANCES)
@example(FULL)
def test_what_is_written_is_read_again(attendance: Attendance) -> None:
    data = json.loads(json.dumps(attendance.to_json()))
    assert Attendance.from_json({**data, "unknown": [1]}) == attendance
    assert data.keys() == {field.name for field in fields(Attendance)}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("rank", -1), ("rank", MOST_RANK), ("rank", True), ("rank", "1"), ("rank", 1.0), ("rank", None),
        ("world_size", -1), ("world_size", MOST_RANK), ("pid", -1), ("host", None), ("host", "x" * 257), ("host", 3),
        ("launcher", ["a"]), ("local_rank", "0"), ("local_rank", -1), ("nnodes", 1.5), ("sources", []),
        ("sources", {"rank": 1}), ("sources", {str(n): "" for n in range(17)}), ("hosts", "node0"), ("hosts", [1]),
        ("hosts", ["h"] * 16385), ("devices", ["d"] * 257), ("device", {}), ("versions", {"torch": None}),
        ("versions", {"torch": "x" * 257}), ("master", "x" * 257), ("resolved", ["a"] * 65),
        ("command", "x" * 2049), ("spawner", -2), ("problems", ["p"] * 9), ("problems", ["x" * 4097]),
    ],
)  # fmt: skip
def test_what_nobody_writes_is_refused(name: str, value: object) -> None:
    Attendance.from_json(FULL.to_json())
    with pytest.raises(AttendanceError):
        Attendance.from_json({**FULL.to_json(), name: value})


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(), lambda s: st.lists(s) | st.dictionaries(st.text(), s)
    )
)
def test_any_other_json_is_refused(data: object) -> None:
    for read in (Attendance.from_json, verdict.from_json):
        try:
            read(data)
        except AttendanceError:
            continue
        assert read is verdict.from_json
        assert data == []


def test_what_is_too_long_is_cut_before_it_is_sent() -> None:
    big = replace(
        FULL, host="h" * 999, command="\x1b[31m" + "c" * 9999, hosts=tuple(f"n{n}" for n in range(20000)),
        devices=("d" * 999,) * 999, resolved=("r" * 999,) * 999, problems=("\U0001f600\n" * 9999,) * 99,
        sources={f"{n}\U0001f600" * 99: "\U0001f600" * 999 for n in range(99)}, versions={},
    )  # fmt: skip
    read = Attendance.from_json(big.to_json())
    assert len(read.hosts) == 16384
    assert read.command.startswith("?[31mcc")
    frame = wire.report(JOB, big, 1.0, SERVER, CLIENT)
    assert len(frame) <= wire.MOST_REPORT + 4
    opened = wire.read_report(JOB, wire.unpack(frame[4:]), SERVER)
    assert opened is not None
    assert opened[0].host == read.host
    assert opened[0].hosts == ()


def test_a_host_cannot_write_into_the_texts() -> None:
    read = Attendance.from_json({**FULL.to_json(), "host": "a\nDetected: \x1b[2J\udc80"})
    assert read.host == "a?Detected: ?[2J?"


def frames(data: bytes, size: int, opening: bytes = b"") -> list[dict[str, Any]]:
    reader = wire.Frames(wire.MOST_REPORT, opening)
    found: list[dict[str, Any]] = []
    for start in range(0, len(data), size):
        reader.feed(data[start : start + size])
        found += reader
    assert reader.size == 0
    return found


@given(st.lists(st.dictionaries(st.text(), st.integers())), st.integers(1, 50))
def test_frames_come_in_any_pieces(messages: list[dict[str, int]], size: int) -> None:
    data = b"".join(wire.pack(json.dumps(message).encode(), wire.MOST_REPORT) for message in messages)
    assert frames(data, size) == messages
    assert frames(wire.MAGIC + data, size, wire.MAGIC) == messages


@pytest.mark.parametrize(
    "payload", [b"", b"[]", b"1", b"{", b"\xff", b'{"a": NaN}', b"[" * 60_000, b'{"a":' * 10_000, b"9" * 60_000]
)
def test_frames_without_an_object(payload: bytes) -> None:
    with pytest.raises(wire.WireError):
        frames(struct.pack(">I", len(payload)) + payload, 1 << 16)


def test_an_announced_length_is_not_believed() -> None:
    reader = wire.Frames(wire.MOST_REPORT)
    reader.feed(struct.pack(">I", 1 << 30))
    with pytest.raises(wire.WireError):
        list(reader)
    with pytest.raises(wire.WireError):
        wire.pack(b" " * (wire.MOST_REPORT + 1), wire.MOST_REPORT)


@settings(max_examples=300)
@given(st.binary(max_size=200))
def test_random_bytes_are_no_roll_call(data: bytes) -> None:
    reader = wire.Frames(wire.MOST_REPORT, wire.MAGIC)
    try:
        reader.feed(data)
        assert list(reader) == []
    except wire.WireError:
        pass
    assert reader.size <= len(data)


def sent(job: Job = JOB, server: str = SERVER) -> dict[str, Any]:
    return wire.unpack(wire.report(job, FULL, 12.5, server, CLIENT)[4:])


def test_a_report_is_signed_for_one_connection_of_one_job() -> None:
    assert wire.read_report(JOB, sent(), SERVER) == (FULL, 12.5, CLIENT)
    assert wire.read_report(OTHER, sent(), SERVER) is None
    assert wire.read_report(JOB, sent(), "2" * 32) is None
    assert wire.read_report(JOB, {**sent(), "nonce": "3" * 32}, SERVER) is None
    changed = sent()
    changed["report"]["attendance"]["rank"] = 0
    assert wire.read_report(JOB, changed, SERVER) is None
    for mac in ("", "é", None, 5, "0" * 64):
        assert wire.read_report(JOB, {**sent(), "mac": mac}, SERVER) is None
    assert wire.claimed(sent(OTHER)) == "rank 1 on node0 pid 1001 of job two"


@pytest.mark.parametrize("message", [{}, {"report": []}, {"report": {}, "nonce": "x"}, {"nonce": CLIENT}])
def test_reports_without_a_report(message: dict[str, Any]) -> None:
    with pytest.raises(wire.WireError):
        wire.read_report(JOB, message, SERVER)
    wire.claimed(message)


def test_a_reply_is_signed_too() -> None:
    parts = wire.reply_parts(JOB, wire.canonical({"kind": "verdict"}), SERVER, CLIENT)
    (message,) = frames(b"".join(parts), 7)
    assert wire.read_reply(JOB, message, SERVER, CLIENT) == {"kind": "verdict"}
    for job, server, client in ((OTHER, SERVER, CLIENT), (JOB, CLIENT, CLIENT), (JOB, SERVER, SERVER)):
        with pytest.raises(wire.WireError):
            wire.read_reply(job, message, server, client)
    # A report that is sent back is no verdict.
    with pytest.raises(wire.WireError):
        wire.read_reply(JOB, {"body": sent()["report"], "mac": sent()["mac"]}, SERVER, CLIENT)


def test_the_key_is_in_no_text() -> None:
    assert "kkkk" not in repr(JOB)
    assert b"kkkk" not in wire.report(JOB, FULL, 1.0, SERVER, CLIENT)


def test_a_verdict_fits_into_a_frame_and_stays_an_error() -> None:
    problems = [Problem(WARNING, "\U0001f600" * 99_999, '"' * 99_999, "\n" * 99_999)] * 99
    problems.append(Problem(ERROR, "the one that counts", "", ""))
    spelt = wire.canonical({"kind": "verdict", "problems": verdict.to_json(problems)})
    wire.reply_parts(JOB, spelt, SERVER, CLIENT)
    read = verdict.from_json(json.loads(spelt)["problems"])
    assert read[0] == problems[-1]
    assert not Verdict(problems=read).ok
    assert Verdict(problems=read[1:]).ok
    for wrong in ([{}], [1], {}, [{"severity": "fine", "detected": "", "requirement": "", "fix": ""}], [read] * 99):
        with pytest.raises(AttendanceError):
            verdict.from_json(wrong)
