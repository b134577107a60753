"""``ddplint run`` on a small script, in a process of its own with an environment of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest
from corrected import SECOND_OF_TWO, Done, Run


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run ``ddplint run OPTIONS train.py ARGUMENTS`` with this text as the script, below ``tmp_path``."""

    def start(
        text: str, *arguments: str, options: tuple[str, ...] = (), environment: dict[str, str] | None = None
    ) -> Done:
        (tmp_path / "train.py").write_text(dedent(text), encoding="utf-8")
        program = ("-m", "train") if "-m" in options else ("train.py",)
        words = [*(word for word in options if word != "-m"), *program, *arguments]
        given = SECOND_OF_TWO if environment is None else environment
        own = {name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH", "VIRTUAL_ENV") if name in os.environ}
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-m", "ddplint", "run", *words],
            cwd=tmp_path,
            env=own | given,
            capture_output=True,
            text=True,
            timeout=120,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    return start
