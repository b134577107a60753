"""Environments of processes, recorded from real launches or written by hand from a launcher's source."""

from __future__ import annotations

from pathlib import Path

HERE = Path(__file__).parent / "environments"
# The linter's tests have the first of them; no launch is kept twice.
FOLDERS = (HERE, Path(__file__).parents[1] / "program" / "environments")
# Launchers that could not be run: the first line says so and names the source.
WRITTEN = Path(__file__).parent / "written"


def read(path: Path) -> dict[str, str]:
    """The variables of a file of ``NAME=value`` lines; a line that starts with a hash is a remark."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def launch(name: str) -> dict[int, dict[str, str]]:
    """The environment of each recorded rank of a launch."""
    files = [path for folder in FOLDERS for path in (folder / name).glob("rank*.env")]
    return {int(path.stem.removeprefix("rank")): read(path) for path in files}


def names() -> list[str]:
    return sorted(path.name for folder in FOLDERS for path in folder.iterdir() if path.is_dir())
