"""What a right launch has done: every process trained one model with all the others, and it is the right model."""

from __future__ import annotations

import pytest
from launch import Outcome

# Sums of floats in another order; three epochs of four steps.
TOLERANCE = 1e-5


def assert_trained(outcome: Outcome, reference: Outcome, nnodes: int, processes: int = 2, writers: int = 1) -> None:
    """It ran to its end on so many hosts, and trained what one process without torch.distributed trains."""
    assert outcome.succeeded, outcome.output
    world_size = nnodes * processes
    wanted = [(f"node{rank // processes}", rank, world_size) for rank in range(world_size)]
    assert outcome.ranks("report") == wanted
    reports = outcome.all("report")
    assert len({report["digest"] for report in reports}) == 1, "the ranks ended with different parameters"
    [alone] = reference.all("report")
    assert reports[0]["parameters"] == pytest.approx(alone["parameters"], abs=TOLERANCE)
    # Each rank has seen an equal share of the last batch.
    assert sum(report["loss"] for report in reports) / world_size == pytest.approx(alone["loss"], abs=TOLERANCE)
    assert len(outcome.written) == writers, f"rank 0 alone writes the model: {outcome.written}"


def assert_own_gpus(outcome: Outcome) -> None:
    """Every process of a host has used one GPU, and each another one."""
    used: dict[tuple[str, int], set[int]] = {}
    for entry in (*outcome.all("device"), *outcome.all("tensor")):
        used.setdefault((entry["host"], entry["pid"]), set()).add(entry["index"])
    for host in {host for host, _ in used}:
        gpus = [indices for (other, _), indices in used.items() if other == host]
        assert sorted(map(sorted, gpus)) == [[number] for number in range(len(gpus))], f"{host}: {gpus}"


def same_result(one: Outcome, other: Outcome) -> bool:
    """Both ended alike: the same statuses, ranks, parameters to the last bit, losses and files."""
    return result(one) == result(other)


def result(outcome: Outcome) -> tuple[object, ...]:
    reports = [(entry["rank"], entry["world_size"], entry["digest"], entry["loss"]) for entry in outcome.all("report")]
    return outcome.statuses, reports, [path.rpartition("/")[2] for path in outcome.written]
