"""What the rules say happens does happen: scripts run by two processes on this machine, before and after the fix."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from ddplint.program.results import WRITTEN
from tests import jobs
from tests.jobs import FIXTURES, job

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")


@pytest.fixture
def repaired(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[Path, Path]]:
    monkeypatch.chdir(tmp_path)
    return partial(jobs.repaired, tmp_path)


def test_aliased_gather_buffers(repaired: Callable[[str, str], tuple[Path, Path]]) -> None:
    before, after = repaired("aliased_gather_buffers", "DDP306")
    # The longest run is that of rank 0 (16, rank 1 has 11), and every place shows the data of rank 1.
    wrong, right = job(before), job(after)
    assert [process.code for process in (*wrong, *right)] == [0, 0, 0, 0]
    assert wrong[0].out == "longest run 11 of 2 players\n"
    assert right[0].out == "longest run 16 of 2 players\n"


def test_collective_returns_none(repaired: Callable[[str, str], tuple[Path, Path]]) -> None:
    before, after = repaired("collective_returns_none", "DDP307")
    for process in job(before):
        assert process.code == 1
        assert "TypeError: unsupported operand type(s) for -: 'Tensor' and 'NoneType'" in process.err
    right = job(after)
    assert [process.code for process in right] == [0, 0]
    assert right[0].out.startswith("pi is about 3.14, the players differ by ")


@pytest.mark.parametrize(("processes", "code"), [(1, 0), (2, 1)])
def test_sampler_and_shuffle(repaired: Callable[[str, str], tuple[Path, Path]], processes: int, code: int) -> None:
    before, after = repaired("sampler_and_shuffle", "DDP403")
    for process in job(before, processes):
        assert process.code == code
        assert ("ValueError: sampler option is mutually exclusive with shuffle" in process.err) == bool(code)
    for process in job(after, processes):
        assert process.code == 0, process.err
        assert process.out.endswith(" of 128 right\n")


@pytest.mark.parametrize("processes", [1, 2])
def test_missing_set_epoch(repaired: Callable[[str, str], tuple[Path, Path]], processes: int) -> None:
    before, after = repaired("missing_set_epoch", "DDP402")
    for script, orders in ((before, 1 if processes > 1 else 3), (after, 3)):
        for process in job(script, processes):
            assert process.code == 0, process.err
            epochs = [line.partition(": ") for line in process.out.splitlines()]
            assert [epoch for epoch, _, _ in epochs] == ["epoch 0", "epoch 1", "epoch 2"]
            assert len({order for _, _, order in epochs}) == orders


@pytest.mark.parametrize("nodes", [1, 2])
def test_sampler_rank(repaired: Callable[[str, str], tuple[Path, Path]], nodes: int) -> None:
    before, after = repaired("sampler_rank", "DDP404")
    for script in (before, after):
        ended = job(script, 2, nodes)
        assert [process.code for process in ended] == [0, 0], ended
        seen = [int(number) for process in ended for number in re.findall(r"\d", process.out)]
        assert (sorted(seen) == list(range(8))) == (script is after or nodes == 1)
        assert len(set(seen)) == (8 if script is after or nodes == 1 else 4)


RETURNS = """\
import torch
import torch.distributed as dist

dist.init_process_group("gloo")
one, two = torch.ones(1), torch.ones(2)
parts = [torch.ones(1), torch.ones(1)]
root = dist.get_rank() == 0
results = {
    "all_gather": dist.all_gather(parts, one),
    "all_gather_into_tensor": dist.all_gather_into_tensor(two, one),
    "all_reduce": dist.all_reduce(one),
    "all_to_all": dist.all_to_all(parts, [torch.ones(1), torch.ones(1)]),
    "all_to_all_single": dist.all_to_all_single(two, torch.ones(2)),
    "barrier": dist.barrier(),
    "broadcast": dist.broadcast(one, 0),
    "gather": dist.gather(one, parts if root else None),
    "reduce": dist.reduce(one, 0),
    "reduce_scatter": dist.reduce_scatter(one, parts),
    "reduce_scatter_tensor": dist.reduce_scatter_tensor(one, two),
    "scatter": dist.scatter(one, parts if root else None),
}
for name, result in results.items():
    print(f"torch.distributed.{name} {result}")
work = dist.all_reduce(one, async_op=True)
work.wait()
print("async", type(work).__name__)
dist.destroy_process_group()
"""


def test_these_collectives_return_none(tmp_path: Path) -> None:
    script = tmp_path / "returns.py"
    script.write_text(RETURNS, encoding="utf-8")
    for process in job(script):
        assert process.code == 0, process.err
        *lines, work = process.out.splitlines()
        assert lines == [f"{name} None" for name in sorted(WRITTEN)]
        assert work == "async Work"


def test_missing_init() -> None:
    for process in job(FIXTURES / "missing_init" / "broken.py"):
        assert process.code == 1
        assert "Default process group has not been initialized" in process.err
    right = job(FIXTURES / "missing_init" / "fixed.py")
    assert [process.code for process in right] == [0, 0], right[0].err
    assert right[0].out == "plane [2.0, -1.0, 0.5]\n"


def test_unguarded_spawn(repaired: Callable[[str, str], tuple[Path, Path]]) -> None:
    before, after = repaired("unguarded_spawn", "DDP205")
    (wrong,), (right,) = job(before, 1), job(after, 1)
    assert wrong.code == 1
    assert "An attempt has been made to start a new process before the" in wrong.err
    assert (right.code, right.out) == (0, "303 primes below 2000\n")


def test_spawn_signature(repaired: Callable[[str, str], tuple[Path, Path]]) -> None:
    before, after = repaired("spawn_signature", "DDP207")
    (wrong,), (right,) = job(before, 1), job(after, 1)
    assert wrong.code == 1
    assert "TypeError: area() takes 3 positional arguments but 4 were given" in wrong.err
    assert (right.code, right.out) == (0, "a worker is there\narea 0.33\n")
    text = before.read_text(encoding="utf-8")
    before.write_text(text.replace("args=(rank, workers, found)", "args=(workers, found)"), encoding="utf-8")
    (single,) = job(before, 1)
    assert single.code == 1
    assert "TypeError: 'int' object is not iterable" in single.err


@pytest.mark.parametrize(
    ("target", "error"),
    [("lambda index: print(index)", "Can't pickle"), ("inner", "inner"), ("main(1)", "'NoneType' object")],
)
def test_what_cannot_be_spawned(tmp_path: Path, target: str, error: str) -> None:
    script = tmp_path / "spawn.py"
    script.write_text(
        f"import torch.multiprocessing as mp\n\n\ndef main(index):\n    pass\n\n\ndef start():\n"
        f"    def inner(index):\n        pass\n\n    mp.spawn({target}, nprocs=2)\n\n\n"
        f'if __name__ == "__main__":\n    start()\n',
        encoding="utf-8",
    )
    (process,) = job(script, 1)
    assert process.code == 1
    assert error in process.err


def test_gather_list_mismatch(repaired: Callable[..., tuple[Path, Path]]) -> None:
    before, after = repaired("gather_list_mismatch", "DDP312", unsafe=True)
    wrong, right = job(before), job(after)
    assert wrong[1].code == 1
    assert "Argument ``gather_list`` must NOT be specified on non-destination ranks" in wrong[1].err
    assert [process.code for process in right] == [0, 0]
    assert right[0].out == "longest words: 10 9\n"


MISSING_LIST = """\
import torch
import torch.distributed as dist

dist.init_process_group("gloo")
if dist.get_rank() == 0:
    {call}
"""


@pytest.mark.parametrize(
    "call",
    [
        "dist.gather(torch.ones(1))",
        "dist.scatter(torch.ones(1))",
        "dist.gather_object(1)",
        "dist.scatter_object_list([None], None)",
    ],
)
def test_the_root_needs_a_list(tmp_path: Path, call: str) -> None:
    script = tmp_path / "missing.py"
    script.write_text(MISSING_LIST.format(call=call), encoding="utf-8")
    first, _ = job(script)
    assert first.code == 1
    assert "ValueError" in first.err


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_backend_mismatch(repaired: Callable[..., tuple[Path, Path]]) -> None:
    before, after = repaired("backend_mismatch", "DDP203")
    for process in job(before):
        assert process.code == 1
        assert "nccl" in process.err.lower()
    right = job(after)
    assert [process.code for process in right] == [0, 0], right[0].err
    assert right[0].out == "mean colour: [0.5, 0.5, 0.5]\n"


def test_unwaited_async(repaired: Callable[..., tuple[Path, Path]]) -> None:
    _, after = repaired("unwaited_async", "DDP304", unsafe=True)
    # What is read too early may be right by chance: only the repaired script is sure of the same number everywhere.
    right = job(after)
    assert [process.code for process in right] == [0, 0], right[0].err
    ring = [float(number) for number in range(16)]
    for _ in range(10):
        ring = [(ring[place - 1] + ring[place] + ring[(place + 1) % 16]) / 3 for place in range(16)]
    for process in right:
        assert float(process.out.removeprefix("largest: ")) == pytest.approx(max(ring), rel=1e-5)
