"""The progress bar: only on a terminal, and only for runs that take a while."""

from __future__ import annotations

import io
import sys
import time

import pytest

from ddplint.cli.progress import Bar


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Not a fixture: pytest sets its own standard error between the fixtures and the test."""
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("TERM", "xterm-256color")
    return stream


def test_quick_run_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    stderr = terminal(monkeypatch)
    with Bar() as progress:
        progress(1, 2)
        progress(2, 2)
    assert stderr.getvalue() == ""


def test_slow_run_shows_a_bar_and_removes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    stderr = terminal(monkeypatch)
    with Bar(patience=0) as progress:
        progress(3, 12)
        deadline = time.monotonic() + 10
        while "3/12" not in stderr.getvalue() and time.monotonic() < deadline:
            time.sleep(0.01)
        progress(12, 12)
    shown = stderr.getvalue()
    assert "linting" in shown
    assert "3/12" in shown
    assert shown.endswith("\x1b[2K")  # the last thing it does is to erase its line


def test_fault_while_the_bar_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal(monkeypatch)

    def run() -> None:
        with Bar(patience=0):
            time.sleep(0.05)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run()
