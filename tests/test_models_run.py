"""What the rules about wrapped models say happens does happen: two processes of this machine, before and after."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.jobs import FIXTURES, Process, job, repaired

pytestmark = pytest.mark.torch
pytest.importorskip("torch")


@pytest.fixture
def outcomes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[list[Process], list[Process]]]:
    """How two processes of the broken script of a rule end, and two of what its fix makes of it.

    Where a rule has no fix, the right script of the fixture is run instead.
    """

    def run(rule: str, code: str, *, unsafe: bool = False, fix: bool = True) -> tuple[list[Process], list[Process]]:
        monkeypatch.chdir(tmp_path)
        if fix:
            before, after = repaired(tmp_path, rule, code, unsafe)
        else:
            before, after = FIXTURES / rule / "broken.py", FIXTURES / rule / "fixed.py"
        return job(before), job(after)

    return run


Outcomes = Callable[..., tuple[list[Process], list[Process]]]


def test_attribute_on_wrapper(outcomes: Outcomes) -> None:
    wrong, right = outcomes("attribute_on_wrapper", "DDP509")
    for process in wrong:
        assert process.code == 1
        assert "AttributeError: 'DistributedDataParallel' object has no attribute 'sizes'" in process.err
    assert [(process.code, process.out) for process in right] == [(0, "sorted 512 parcels into 5 sizes\n")] * 2


def test_sharded_clip_grad_norm(outcomes: Outcomes) -> None:
    wrong, right = outcomes("sharded_clip_grad_norm", "DDP802")
    assert [(process.code, process.out) for process in wrong] == [(0, "a norm for each process\n")] * 2
    assert [(process.code, process.out) for process in right] == [(0, "one norm\n")] * 2


def test_optimizer_before_shard(outcomes: Outcomes) -> None:
    wrong, right = outcomes("optimizer_before_shard", "DDP803", fix=False)
    assert [(process.code, process.out) for process in wrong] == [(0, "learned nothing\n")] * 2
    assert [(process.code, process.out) for process in right] == [(0, "learned\n")] * 2


def test_sharded_forward_bypass(outcomes: Outcomes) -> None:
    wrong, right = outcomes("sharded_forward_bypass", "DDP804")
    for process in wrong:
        assert process.code == 1
        assert "got mixed torch.Tensor and DTensor" in process.err
    assert [(process.code, process.out) for process in right] == [(0, "learned\n")] * 2


def test_forward_bypasses_ddp(outcomes: Outcomes) -> None:
    wrong, right = outcomes("forward_bypasses_ddp", "DDP503", unsafe=True)
    assert [(process.code, process.out) for process in wrong] == [(0, "a model for each process\n")] * 2
    assert [(process.code, process.out) for process in right] == [(0, "one model\n")] * 2


def test_no_sync_misuse(outcomes: Outcomes) -> None:
    wrong, right = outcomes("no_sync_misuse", "DDP507", fix=False)
    assert [(process.code, process.out) for process in wrong] == [(0, "a model for each process\n")] * 2
    assert [(process.code, process.out) for process in right] == [(0, "one model\n")] * 2


def test_wrap_before_device(outcomes: Outcomes) -> None:
    wrong, right = outcomes("wrap_before_device", "DDP501", fix=False)
    assert [(process.code, process.out) for process in wrong] == [(0, "a model for each process\n")] * 2
    assert [(process.code, process.out) for process in right] == [(0, "one model\n")] * 2


def test_params_changed_after_wrap(outcomes: Outcomes) -> None:
    wrong, right = outcomes("params_changed_after_wrap", "DDP508", fix=False)
    assert [(process.code, process.out) for process in wrong] == [(0, "a model for each process\n")] * 2
    assert [(process.code, process.out) for process in right] == [(0, "one model\n")] * 2


def test_partial_result_misuse(outcomes: Outcomes) -> None:
    wrong, right = outcomes("partial_result_misuse", "DDP310", fix=False)
    assert [(process.code, process.out) for process in wrong] == [(0, "a model for each process\n")] * 2
    assert [(process.code, process.out) for process in right] == [(0, "one model\n")] * 2


def test_sync_batchnorm_after_wrap(outcomes: Outcomes) -> None:
    wrong, right = outcomes("sync_batchnorm_after_wrap", "DDP502", fix=False)
    for process in wrong:
        assert process.code == 1
        assert "SyncBatchNorm layers only work with GPU modules" in process.err
    assert [(process.code, process.out) for process in right] == [(0, "learned\n")] * 2
