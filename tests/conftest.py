"""What all tests share: what to do when this machine lacks something."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import NoReturn

import pytest


@pytest.fixture
def unavailable() -> Callable[[str], NoReturn]:
    """Skip the test with a reason. In CI that is a failure: there a test that cannot run is one that nobody runs."""

    def stop(reason: str) -> NoReturn:
        if os.environ.get("CI") == "true":
            pytest.fail(f"not to be skipped in CI: {reason}", pytrace=False)
        pytest.skip(reason)

    return stop
