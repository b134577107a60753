"""Two launchers that contradict each other, shown side by side."""

from __future__ import annotations

from ddplint.runtime.topology import DetectionError, Field, Topology


class Conflict(DetectionError):
    """Two launchers say different things about this process."""

    def __init__(self, first: Topology, second: Topology, override: str, both_can_win: bool = True) -> None:
        self.first = first
        self.second = second
        choice = f"{override}={first.launcher}"
        if both_can_win:
            choice += f" or {override}={second.launcher}"
        super().__init__(
            f"{first.launcher} and {second.launcher} disagree about this process\n\n"
            f"{table(first, second)}\n\n"
            f"Unset the variables that are left over from elsewhere, or set {choice} to say which one is right."
        )


def table(first: Topology, second: Topology) -> str:
    """Every value that either of two topologies has, with its variable; a star marks where they differ."""
    rows = [("", first.launcher, second.launcher)]
    theirs = dict(second.fields())
    for name, own in first.fields():
        other = theirs[name]
        if own.value is None and other.value is None:
            continue
        # One host has many names, so addresses that differ are no contradiction.
        counts = isinstance(own.value, int) and isinstance(other.value, int)
        star = "* " if counts and name != "master_port" and own.value != other.value else "  "
        rows.append((star + name.replace("_", " "), _cell(own), _cell(other)))
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    return "\n".join(f"{row[0]:{widths[0]}}  {row[1]:{widths[1]}}  {row[2]}".rstrip() for row in rows)


def _cell(field: Field[object]) -> str:
    if field.value is None:
        return "-"
    value = field.value
    if isinstance(value, tuple):
        value = ",".join(value) if len(value) < 3 else f"{value[0]} and {len(value) - 1} more"
    return f"{value} ({field.source})"
