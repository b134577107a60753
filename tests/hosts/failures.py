"""How a launch went wrong. Each check names one way, and fails with what the processes said if it was another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from launch import Outcome

Failure = Callable[[Outcome], None]


def duplicate_ranks(outcome: Outcome) -> None:
    """Processes on both hosts claim the same rank, and none of them ever trains with the others."""
    claims = Counter(rank for _, rank, _ in outcome.ranks("init"))
    assert claims == {0: 2, 1: 2}, claims
    nobody_trains_with_all(outcome)


def node_ranks(outcome: Outcome) -> None:
    """Both processes of a host claim the number of their host."""
    claims = [(host, rank) for host, rank, _ in outcome.ranks("init")]
    assert claims in (
        [("node0", 0), ("node0", 0), ("node1", 1), ("node1", 1)],
        [("node0", 0), ("node0", 0)],
    )
    assert not outcome.succeeded
    assert outcome.ranks("report") == []


def missing_ranks(outcome: Outcome) -> None:
    """Fewer processes were started on each host than they wait for: they hang."""
    claims = outcome.ranks("init")
    assert claims
    assert {(rank, world_size) for _, rank, world_size in claims} == {(0, 2)}, claims
    assert outcome.hung
    assert outcome.ranks("report") == []


def hang(outcome: Outcome) -> None:
    """The ranks are right, and still the processes do not find each other."""
    claims = [(rank, world_size) for _, rank, world_size in outcome.ranks("init")]
    assert claims == [(0, 4), (1, 4), (2, 4), (3, 4)]
    assert outcome.hung
    assert outcome.ranks("report") == []


def ranks_beyond_the_world(outcome: Outcome) -> None:
    """The second host's ranks are not below the world size: 8 and 9 of 4. Nobody trains."""
    claims = outcome.ranks("init")
    assert {rank for host, rank, world_size in claims if rank >= world_size} == {8, 9}, claims
    assert not outcome.succeeded
    assert outcome.ranks("report") == []


def world_of_one_host(outcome: Outcome) -> None:
    """The world size counts one host: that one may train alone, the ranks of the other are not below it."""
    assert outcome.ranks("init") == [("node0", 0, 2), ("node0", 1, 2), ("node1", 2, 2), ("node1", 3, 2)]
    assert not outcome.succeeded
    nobody_trains_with_all(outcome)


def each_host_alone(outcome: Outcome) -> None:
    """Nothing fails: each host trains a model of its own on all of the data."""
    assert outcome.succeeded
    alone = [("node0", 0, 2), ("node0", 1, 2), ("node1", 0, 2), ("node1", 1, 2)]
    assert outcome.ranks("init") == outcome.ranks("report") == alone


def no_such_gpu(outcome: Outcome) -> None:
    """The second host's processes ask for GPUs 2 and 3, and it has 0 and 1."""
    assert "invalid device ordinal (GPU 2 of 2)" in outcome.output or "(GPU 3 of 2)" in outcome.output
    assert not outcome.succeeded
    assert outcome.ranks("report") == []


def too_few_gpus(outcome: Outcome) -> None:
    """One GPU a host, and two processes: the second dies in the middle of its start, on either host."""
    assert outcome.output.count("RuntimeError: CUDA error: invalid device ordinal (GPU 1 of 1)") == 2
    assert outcome.statuses == (1, 1)
    assert outcome.ranks("report") == []


def one_gpu_for_all(outcome: Outcome) -> None:
    """It trains here, where GPUs are made up; NCCL refuses two processes on one GPU. GPU 1 is never used."""
    assert outcome.ranks("report"), outcome.output
    assert {entry["index"] for entry in (*outcome.all("device"), *outcome.all("tensor"))} == {0}


def no_model_written(outcome: Outcome) -> None:
    """It trains, and what rank 0 was to do nobody does."""
    assert outcome.succeeded
    assert len(outcome.ranks("report")) in (2, 4)
    assert outcome.written == ()


def raises(text: str) -> Failure:
    """Every process that starts ends with this message."""

    def check(outcome: Outcome) -> None:
        assert text in outcome.output
        assert outcome.statuses.count(0) == outcome.statuses.count(None) == 0, outcome.statuses
        assert outcome.ranks("report") == []

    return check


def nobody_trains_with_all(outcome: Outcome) -> None:
    assert [report for report in outcome.ranks("report") if report[2] == 4] == []
