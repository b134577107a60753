"""How bad a finding is: apart from :mod:`ddplint.findings`, because settings need it on every start."""

from __future__ import annotations

import enum


class Severity(enum.Enum):
    """How bad a finding is.

    ``error``: the script will crash, hang or train wrongly. ``warning``: it does so on some topology
    or launcher. ``note``: slow, fragile or deprecated; a note never fails a run by default.
    """

    NOTE = "note"
    WARNING = "warning"
    ERROR = "error"

    @property
    def rank(self) -> int:
        """0 for a note, 1 for a warning, 2 for an error: the order that ``--fail-on`` compares."""
        return _ORDER[self]


_ORDER = {Severity.NOTE: 0, Severity.WARNING: 1, Severity.ERROR: 2}
