"""Files of this machine that variables name: PBS_NODEFILE and its kin."""

from __future__ import annotations

from pathlib import Path


def file_text(path: str) -> str | None:
    """The text of a file that a variable names; None where it cannot be read."""
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except (OSError, ValueError):
        return None
