"""The scripts in fixtures/idioms look suspicious and are right: they run to the end.

That nothing is found in them is in test_planted_hangs.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from ranks_server import Server

IDIOMS = sorted((Path(__file__).parents[1] / "fixtures" / "idioms").glob("*.py"))


@pytest.mark.torch
@pytest.mark.parametrize("script", IDIOMS, ids=lambda path: path.stem)
def test_runs(script: Path, server: Server, runnable: Callable[[Path], Path], tmp_path: Path) -> None:
    outcome = server.run(runnable(script), tmp_path / "job")
    assert outcome.succeeded, str(outcome)
