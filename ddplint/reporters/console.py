"""How rich is set up, for every format that uses it."""

from __future__ import annotations

from typing import TextIO

from rich.console import Console

from ddplint.findings import Severity
from ddplint.reporters import colored

COLORS = {Severity.ERROR: "bold red", Severity.WARNING: "bold yellow", Severity.NOTE: "bold cyan"}


def console_for(stream: TextIO, color: str, width: int | None = None) -> Console:
    """A console that colours as :func:`colored` says and never guesses (it would take Jupyter or CI for a terminal)."""
    on = colored(color, stream)
    return Console(
        file=stream,
        force_terminal=on,
        force_jupyter=False,
        color_system=("auto" if stream.isatty() else "standard") if on else None,
        no_color=not on,
        width=width,
        highlight=False,
        markup=False,
        emoji=False,
        # Old Windows consoles are driven through system calls unless escape codes are off altogether.
        legacy_windows=None if on else False,
    )
