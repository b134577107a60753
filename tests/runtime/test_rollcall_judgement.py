"""What the processes of a job say of themselves, and what is wrong with it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rollcalls import one

from ddplint.runtime.problem import ERROR, WARNING, Problem
from ddplint.runtime.rollcall import Attendance, judge, naming
from ddplint.runtime.rollcall.hearing import GRACE, Hearing, progress
from ddplint.runtime.rollcall.judgement import Notes

NODES = ("node0", "node1", "node2")


def found(*present: Attendance, notes: Notes | None = None, seconds: float = 60) -> list[Problem]:
    return list(judge(present, notes or Notes(), seconds=seconds))


def only(*present: Attendance, severity: str = ERROR, **more: Any) -> str:
    (problem,) = found(*present, **more)
    assert problem.severity == severity
    return str(problem)


def full(size: int, per_host: int = 4, **more: Any) -> list[Attendance]:
    more.setdefault("local_world_size", per_host)
    return [one(rank, size, f"node{rank // per_host}", **more) for rank in range(size)]


def test_nothing_is_wrong() -> None:
    assert found(*full(8)) == []
    assert found(one(0, 1)) == []


@given(st.sets(st.integers(0, 200)), st.integers(0, 200))
def test_ranges_say_what_they_are_given(numbers: set[int], size: int) -> None:
    def read(text: str) -> set[int]:
        pieces = [piece.split("-") for piece in text.split(",") if piece]
        return {number for piece in pieces for number in range(int(piece[0]), int(piece[-1]) + 1)}

    spans = naming.gaps(numbers, size)
    assert {number for first, last in spans for number in range(first, last + 1)} == set(range(size)) - numbers
    if len(spans) <= naming.MOST_RANGES:
        assert read(naming.spelt(spans)) == set(range(size)) - numbers
    if len(naming.gaps(set(range(201)) - numbers, 201)) <= naming.MOST_RANGES:
        assert read(naming.ranges(numbers)) == numbers


def test_ranges() -> None:
    assert naming.ranges([7, 0, 1, 2, 3, 3]) == "0-3,7"
    assert naming.ranges([]) == ""
    assert naming.ranges(range(0, 100, 2)).endswith("28,30,and 34 more ranges")
    assert naming.gaps([], 1 << 24) == [(0, (1 << 24) - 1)]


def test_missing_ranks_are_named_with_their_host() -> None:
    present = full(12, hosts=NODES, hosts_source="SLURM_STEP_NODELIST", launcher="slurm")[:8]
    text = only(*present)
    assert "ranks 8-11 of 12 did not come within 60 s; nothing was heard from node2 (SLURM_STEP_NODELIST)" in text
    assert "srun" in text
    assert progress(present, 12, 20.2) == "8/12 present after 20 s; missing 8-11 = node2 (SLURM_STEP_NODELIST)"


def test_hosts_are_compared_by_their_first_label_and_case() -> None:
    present = [one(0, 2, "Node0.cluster.local", hosts=("node0", "node1.cluster.local"))]
    assert "nothing was heard from node1.cluster.local" in only(*present)
    heard = [one(0, 2, "node0", hosts=("NODE0.a", "node1.a")), one(1, 3, "NODE1")]
    assert "nothing was heard" not in str(found(*heard))


def test_a_list_with_other_names_is_not_held_against_anybody() -> None:
    assert "nothing was heard" not in only(one(0, 2, "node0", hosts=("10.0.0.1", "10.0.0.2")))
    assert "nothing was heard" not in only(one(0, 2, "a", hosts=("b", "c")))
    # Addresses have no first label.
    assert "heard from 10.0.0.2" in only(one(0, 2, "10.0.0.1", hosts=("10.0.0.1", "10.0.0.2")))


def test_missing_nodes_by_their_number() -> None:
    present = [one(0, 4, node_rank=0, nnodes=2), one(1, 4, node_rank=0, nnodes=2)]
    text = only(*present)
    assert "ranks 2-3 of 4 did not come within 60 s; no process of node 1 of 2 came" in text
    assert progress(present, 4, 5) == "2/4 present after 5 s; missing 2-3; nothing from node 1 of 2"


def test_a_host_of_which_only_a_part_came() -> None:
    text = only(*full(8)[:6])
    assert "ranks 6-7 of 8 did not come within 60 s; there came 2 of 4 from node1" in text


@pytest.mark.parametrize(
    ("launcher", "words"),
    [("slurm", "srun"), ("torchrun", "torchrun on every node"), ("openmpi", "mpirun"), ("environment", "one process")],
)
def test_the_fix_speaks_the_language_of_the_launcher(launcher: str, words: str) -> None:
    assert words in found(one(0, 2, launcher=launcher))[0].fix


def test_a_duplicate_and_the_rank_that_it_makes_missing() -> None:
    duplicate, missing = found(one(0, 3), one(1, 3, "node0", 11), one(1, 3, "node1", 9), seconds=2.3)
    assert duplicate.detected == "rank 1 is claimed twice: by node0 pid 11 (RANK) and node1 pid 9 (RANK)"
    assert missing.detected.startswith("rank 2 of 3 did not come within 2.3 s")
    assert missing.fix.startswith("first the other error")


def test_local_ranks_taken_for_ranks() -> None:
    present = [one(rank, 6, host, local_rank=rank) for host in NODES for rank in range(2)]
    duplicate, missing = found(*present)
    assert "the same ranks 0-1 on several hosts" in duplicate.detected
    assert "rank 1 is claimed 3 times: by node0 pid 1001 (RANK), node1 pid 1001 (RANK) and node2" in duplicate.detected
    assert "rank = node_rank * local_world_size + local_rank; ddplint rule DDP101" in duplicate.fix
    assert missing.detected.startswith("ranks 2-5 of 6")
    # On one host, or with a local rank that is something else, it is no such pattern.
    here = found(one(0, 2), one(1, 2, pid=5, local_rank=1), one(1, 2, pid=6, local_rank=1))[0]
    assert "several hosts" not in here.detected
    other = found(one(0, 2), one(1, 2, "node0", local_rank=0), one(1, 2, "node1", local_rank=1))[0]
    assert "several hosts" not in other.detected


def test_disagreement_about_the_world_size() -> None:
    first, *_ = found(one(0, 2), one(1, 2), one(1, 3, "node1", 9, sources={}))
    assert first.detected == (
        "the processes disagree about the world size: "
        "2 (WORLD_SIZE) say ranks 0-1 on node0; 3 says rank 1 on node1 pid 9"
    )
    alone = only(one(0, 2), one(1, 3))
    assert "2 (WORLD_SIZE) says rank 0 on node0 pid 1000; 3 (WORLD_SIZE) says rank 1 on node0 pid 1001" in alone


def test_a_rank_beyond_the_world() -> None:
    beyond, missing = found(one(0, 2), one(2, 2))
    assert beyond.detected == "rank 2 on node0 pid 1002 (RANK) with a world size of 2 (WORLD_SIZE)"
    assert missing.detected.startswith("rank 1 of 2 did not come")


def test_one_process_too_many() -> None:
    duplicate, extra = found(one(0, 2), one(1, 2, pid=5), one(1, 2, pid=6))
    assert "claimed twice" in duplicate.detected
    assert extra.detected == "3 processes came, and the world size is 2"


def test_two_commands_on_one_port() -> None:
    text = only(one(0, 2, command="train.py --lr 0.1"), one(1, 2, pid=9, command="train.py --lr 0.2"))
    assert (
        "rank 1 on node0 pid 9 runs `train.py --lr 0.2`, rank 0 runs `train.py --lr 0.1`: two jobs on one port" in text
    )
    # The majority is not right against rank 0.
    many = only(one(0, 3, command="a"), one(1, 3, command="b"), one(2, 3, command="b"))
    assert "ranks 1-2 on node0 run `b`, rank 0 runs `a`" in many
    # On another host as well; whoever says it leaves out what may differ there.
    assert "rank 1 on node1" in only(one(0, 2, command="a"), one(1, 2, "node1", command="b"))
    # Some do not say it.
    assert found(one(0, 2, command="/a/train.py"), one(1, 2)) == []


def test_long_commands_are_cut_where_they_differ() -> None:
    text = only(one(0, 2, command="x" * 500 + " --seed 1"), one(1, 2, command="x" * 500 + " --seed 2"))
    assert "--seed 1" in text
    assert "--seed 2" in text
    assert len(text) < 500


def test_two_spawners_on_one_host() -> None:
    text = only(one(0, 2, spawner=5), one(1, 2, spawner=6))
    assert "on node0 rank 0 by pid 5 and rank 1 by pid 6: two jobs on one port" in text
    assert found(one(0, 2, spawner=5), one(1, 2, "node1", spawner=6)) == []


def test_one_gpu_for_two_processes() -> None:
    seen = {"device": "GPU-1", "devices": ("GPU-1",)}
    text = only(one(0, 3, **seen), one(1, 3, **seen), one(2, 3, "node1", **seen))
    assert "GPU GPU-1 of node0 is used by rank 0 pid 1000 and rank 1 pid 1001" in text
    assert "CUDA_VISIBLE_DEVICES" in text
    both = {"device": "GPU-1", "devices": ("GPU-1", "GPU-2")}
    text = only(one(0, 2, **both), one(1, 2, **both))
    assert "set_device(local_rank)" in text
    assert "CUDA_VISIBLE_DEVICES" in text


@pytest.mark.parametrize(
    ("name", "first", "second", "severity"),
    [
        ("torch", "2.3.0", "2.4.0", ERROR),
        ("torch", "2.3.0", "2.3.1", WARNING),
        ("torch", "2.3.0+cu121", "2.3.0+cu118", WARNING),
        ("nccl", "2.20.5", "2.21.5", WARNING),
        ("cuda", "12.1", "11.8", WARNING),
    ],
)
def test_different_versions(name: str, first: str, second: str, severity: str) -> None:
    present = [one(rank, 4, f"node{rank // 2}", versions={name: first if rank < 2 else second}) for rank in range(4)]
    text = only(*present, severity=severity)
    assert f"{first} on ranks 0-1 on node0" in text
    assert f"{second} on ranks 2-3 on node1" in text


def test_versions_that_some_do_not_say() -> None:
    assert found(one(0, 2, versions={"torch": "2.3.0"}), one(1, 2, versions={"python": "3.11"})) == []


def test_the_master_address_leads_to_the_host_itself() -> None:
    first = one(0, 2, master="node0", resolved=("10.0.0.1",))
    text = only(first, one(1, 2, "node1", master="node0", resolved=("127.0.1.1",)))
    assert "node0 leads to 127.0.1.1, to the host itself, for rank 1 on node1 pid 1001" in text
    # On one host that is right.
    assert found(one(0, 2, resolved=("127.0.0.1",)), one(1, 2, resolved=("127.0.0.1",))) == []


def test_the_host_of_rank_0_may_know_itself_by_loopback() -> None:
    first = one(0, 2, master="node0", resolved=("127.0.1.1",))
    text = only(first, one(1, 2, "node1", master="node0", resolved=("10.0.0.1",)), severity=WARNING)
    assert "node0 leads to 127.0.1.1 on node0" in text


def test_the_master_address_leads_to_different_places() -> None:
    first = one(0, 2, master="node0", resolved=("10.0.0.1", "10.1.0.1"))
    second = one(1, 2, "node1", master="node0", resolved=("192.168.0.1",))
    text = only(first, second, severity=WARNING)
    assert "node0 is 10.0.0.1 and 10.1.0.1 for rank 0 on node0 pid 1000" in text
    assert "node0 is 192.168.0.1 for rank 1 on node1 pid 1001" in text
    assert found(first, one(1, 2, "node1", resolved=("10.1.0.1", "fd00::1"))) == []


def test_the_problems_of_one_are_told_to_all() -> None:
    own = Problem(ERROR, "no GPU\nat all", "a GPU", "get one")
    (problem,) = found(one(0, 3), one(1, 3), one(2, 3, pid=9, problems=(str(own),)))
    assert problem.detected == "rank 2 on node0 pid 9 cannot start: no GPU\nat all"
    assert (problem.requirement, problem.fix) == ("a GPU", "get one")
    assert "rank 1 on node0 pid 1001 cannot start: whatever" in only(one(0, 2), one(1, 2, problems=("whatever",)))
    many = found(*full(64, problems=("alike",)))
    assert [problem.detected for problem in many] == [
        "ranks 0-63 on 16 hosts (node0, node1 and 14 more) cannot start: alike"
    ]


def test_who_left_and_who_knocked() -> None:
    gone = one(1, 2, "node1", 9)
    left, knocked = found(one(0, 2), gone, notes=Notes((gone,), ("rank 1 of job two from 10.0.0.9",)))
    assert left.detected == "rank 1 on node1 pid 9 left while waiting"
    assert knocked.severity == WARNING
    assert "job two from 10.0.0.9" in knocked.detected


def test_texts_stay_short_for_a_thousand_ranks() -> None:
    present = [
        one(
            rank % 512,
            1024,
            f"node{rank % 100}",
            rank,
            command=str(rank),
            device="GPU-0",
            spawner=rank,
            versions={"torch": f"2.{rank}"},
            problems=(f"problem {rank}",),
            resolved=(f"10.0.{rank // 256}.{rank % 256}",),
        )
        for rank in range(1024)
    ]
    problems = found(*present, notes=Notes(tuple(present)))
    assert len(problems) > 8
    assert max(len(str(problem)) for problem in problems) < 4000
    assert len("".join(map(str, problems))) < 25_000


def test_errors_come_before_warnings() -> None:
    problems = found(one(0, 3, versions={"nccl": "1"}), one(1, 3, versions={"nccl": "2"}))
    assert [problem.severity for problem in problems] == [ERROR, WARNING]


def test_the_course_of_a_good_hearing() -> None:
    hearing = Hearing(one(0, 2), 60, 0.3, 100.0)
    assert hearing.verdict(100.0) is None
    assert hearing.progress(104.9) is None
    assert hearing.progress(105.0) == "1/2 present after 5 s; missing 1"
    assert hearing.progress(114.9) is None
    assert hearing.progress(115.0) is not None
    hearing.come(one(1, 2), 120.0)
    assert hearing.verdict(120.0) is None
    assert hearing.verdict(120.2) is None
    assert hearing.verdict(120.31) == ()


def test_an_error_is_told_a_little_later() -> None:
    hearing = Hearing(one(0, 3), 60, 0.3, 100.0)
    hearing.come(one(1, 3, pid=5), 110.0)
    hearing.come(one(1, 3, pid=6), 110.0)
    assert hearing.verdict(110.1) is None
    hearing.come(one(2, 3), 111.0)
    assert hearing.verdict(111.0) is None
    problems = hearing.verdict(110.1 + GRACE)
    assert problems is not None
    assert "claimed twice" in str(problems[0])
    assert len(problems) == 2


def test_the_most_impatient_sets_the_deadline() -> None:
    hearing = Hearing(one(0, 3), 60, 0.3, 100.0)
    hearing.come(one(1, 3), 101.0, patience=4.0)
    assert hearing.verdict(104.9) is None
    problems = hearing.verdict(105.0)
    assert problems is not None
    assert "rank 2 of 3 did not come within 5 s" in problems[0].detected


def test_who_leaves_and_comes_back_is_not_missed() -> None:
    hearing = Hearing(one(0, 2), 60, 0.3, 100.0)
    number = hearing.come(one(1, 2), 101.0)
    hearing.leave(number, 102.0)
    hearing.come(one(1, 2, pid=7), 102.5)
    assert hearing.verdict(102.5) is None
    assert hearing.verdict(103.0) == ()
    gone = Hearing(one(0, 2), 60, 0.3, 100.0)
    gone.leave(gone.come(one(1, 2), 101.0), 102.0)
    assert gone.verdict(102.5) is None
    problems = gone.verdict(102.5 + GRACE)
    assert problems is not None
    assert [problem.detected for problem in problems] == ["rank 1 on node0 pid 1001 left while waiting"]
