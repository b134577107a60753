"""Reports made by hand, for the tests of the reporters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ddplint.findings import (
    Applicability,
    Counterexample,
    Edit,
    Finding,
    Fix,
    Note,
    Position,
    Process,
    Severity,
    Span,
)
from ddplint.linter import Report

SOURCE = """\
def worker(rank, args):
    dist.init_process_group(
        "nccl", rank=rank, world_size=args.world_size
    )
"""


def span(line: int, column: int, end_column: int, end_line: int | None = None) -> Span:
    return Span(Position(line, column), Position(end_line or line, end_column))


def finding(path: str = "train.py", where: Span | None = None, **changes: object) -> Finding:
    plain = Finding("DDP103", "localhost-master-addr", Severity.WARNING, "a message", path, where or span(1, 1, 4))
    return replace(plain, **changes)  # type: ignore[arg-type]


def duplicate() -> Finding:
    """A finding with everything in it."""
    processes = tuple(
        Process(node, local, rank=local, world_size=4, trouble=f"also claimed by node {1 - node}")
        for node in (0, 1)
        for local in (0, 1)
    )
    return Finding(
        code="DDP101",
        name="global-rank",
        severity=Severity.ERROR,
        message="rank is the index that mp.spawn gives on each node, so two processes claim the same rank",
        path="train.py",
        span=span(3, 22, 26),
        help="pass node_rank * nprocs + local_rank",
        notes=(Note("rank comes from the spawn index", "launch.py", 88),),
        counterexample=Counterexample(
            2, 2, processes, "2 nodes x 2 processes: node 0 local rank 0 and node 1 local rank 0 both claim rank 0"
        ),
        fix=Fix(Applicability.UNSAFE, "compute the global rank", (Edit(span(3, 22, 26), "node * 2 + rank"),)),
    )


def report(findings: Sequence[Finding], files: int = 12, checked: int = 3, text: str = SOURCE) -> Report:
    return Report(
        findings=tuple(findings),
        files=files,
        checked=checked,
        skipped=files - checked,
        texts={found.path: text for found in findings},
    )
