"""Calls that open a run of an experiment tracker.

Signatures: torch 2.13 ``torch/utils/tensorboard/writer.py``, tensorboardX 2.6 ``tensorboardX/writer.py``, wandb 0.18
``wandb/sdk/wandb_init.py``, mlflow 2.16 ``mlflow/tracking/fluent.py``.
"""

from __future__ import annotations

from collections.abc import Mapping

WANDB = "wandb.init"

_WRITER = ("log_dir", "comment", "purge_step", "max_queue", "flush_secs", "filename_suffix")

TRACKERS: Mapping[str, tuple[str, ...]] = {
    "torch.utils.tensorboard.SummaryWriter": _WRITER,
    "tensorboardX.SummaryWriter": ("logdir", *_WRITER[1:], "write_to_disk"),
    WANDB: (),
    "mlflow.start_run": ("run_id", "experiment_id", "run_name", "nested"),
}
