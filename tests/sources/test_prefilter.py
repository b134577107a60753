from __future__ import annotations

import pytest

from ddplint.sources import mentions_distributed


@pytest.mark.parametrize(
    "text",
    [
        "import torch.distributed as dist",
        "from torch import nn, distributed",
        "import torch\nmodel = torch.nn.DataParallel(model)",
        "import torch.multiprocessing as mp",
        "import torch\ntorch.cuda.set_device(0)",
        "import torch\nimport deepspeed",
        "import torch\nfrom accelerate import Accelerator",
        "import os\nos.environ['MASTER_PORT'] = 29500",
        "parser.add_argument('--local_rank')",
        "int(os.environ['WORLD_SIZE'])",
        "x = 1  # ddplint: ignore[global-rank]",
        "x = 1  # noqa: F401, DDP101",
        "x = '\0'",
    ],
)
def test_worth_parsing(text: str) -> None:
    assert mentions_distributed(text.encode())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "import json\nprint(json.dumps({}))  # noqa: F401",
        '"""Licensed under the Apache License: distributed under the License is\ndistributed on an "AS IS" basis."""',
        "import torch\n# distributed under the License is distributed on an\nx = torch.zeros(3)",
    ],
)
def test_not_worth_parsing(text: str) -> None:
    assert not mentions_distributed(text.encode())


def test_utf_16_is_not_passed_over() -> None:
    assert mentions_distributed("import torch.distributed".encode("utf-16"))
