"""What was overruled: the line of the script, what it said, what counts, and the rule that finds it unrun."""

from __future__ import annotations

import os
import sys
import sysconfig
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType

import ddplint

# Frames that are nobody's script.
_OURS = str(Path(ddplint.__file__).parent) + os.sep
_STANDARD = sysconfig.get_paths()["stdlib"] + os.sep
_INSTALLED = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")


@dataclass(frozen=True)
class Correction:
    """One value of the script that does not count."""

    place: str
    text: str
    rule: str

    def __str__(self) -> str:
        return f"{self.place}: {self.text}" + (f" [{self.rule}]" if self.rule else "")

    def as_json(self) -> dict[str, str]:
        return asdict(self)


def is_ours(path: str) -> bool:
    return path.startswith((_OURS, "<frozen "))


def place() -> str:
    """The line that is being executed: that of the script, else that of the library that was called by it.

    Called from a patch, so the innermost frames are ours, then torch's or the standard library's.
    """
    frame: FrameType | None = sys._getframe(1)
    nearest = ""
    while frame is not None:
        path = frame.f_code.co_filename
        here = f"{_short(path)}:{frame.f_lineno}"
        if not is_ours(path) and not path.startswith("<"):
            if not path.startswith(_STANDARD) and not any(part in path for part in _INSTALLED):
                return here
            nearest = nearest or here
        frame = frame.f_back
    return nearest or "?"


def _short(path: str) -> str:
    relative = os.path.relpath(path)
    return path if relative.startswith("..") else relative
