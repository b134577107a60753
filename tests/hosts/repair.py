"""The real command on a script: what it finds, and what it repairs."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any


def findings(script: Path) -> list[dict[str, Any]]:
    """What ddplint reports, without the notes."""
    done = ddplint(script, "--exit-zero", "--output-format", "json")
    found = json.loads(done.stdout)["findings"]
    return [finding for finding in found if finding["severity"] in ("warning", "error")]


def repair(script: Path, name: str, *options: str) -> Path:
    """A copy of the script, beside it under this name, on which ``ddplint --fix`` was run with these options."""
    # In a folder of its own: ddplint reads the other scripts of a folder too.
    copy = script.parent / name / script.name
    copy.parent.mkdir()
    shutil.copy(script, copy)
    ddplint(copy, "--fix", *options)
    return copy


def ddplint(script: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ddplint", "check", "--isolated", *options, script.name]
    done = subprocess.run(command, cwd=script.parent, capture_output=True, text=True, timeout=120)
    assert done.returncode in (0, 1), done.stderr
    return done
