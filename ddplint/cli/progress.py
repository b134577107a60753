"""A progress bar on standard error, for runs that take longer than a second."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress

_PATIENCE = 1.0  # seconds


class Bar:
    """Call it with how many files are done and of how many. Nothing is shown, or imported, before a second has gone."""

    def __init__(self, patience: float = _PATIENCE) -> None:
        self._done = 0
        self._total = 0
        self._progress: Progress | None = None
        self._closed = False
        self._lock = threading.Lock()
        # A timer and not a look at the clock: the first call may come late, parsing is one long step.
        self._timer = threading.Timer(patience, self._appear)
        self._timer.daemon = True

    def __enter__(self) -> Bar:
        self._timer.start()
        return self

    def __call__(self, done: int, total: int) -> None:
        self._done, self._total = done, total
        progress = self._progress
        if progress is not None:
            progress.update(progress.task_ids[0], completed=done, total=total)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        with self._lock:
            if self._progress is not None:
                self._progress.stop()
            self._closed = True

    def _appear(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        progress = Progress(
            TextColumn("linting"), BarColumn(), MofNCompleteColumn(), console=Console(stderr=True), transient=True
        )
        progress.add_task("", completed=self._done, total=self._total or None)
        with self._lock:
            if not self._closed:
                self._progress = progress
                progress.start()
