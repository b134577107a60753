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
    """A copy of the script and what lies beside it, in a folder of this name, after ``ddplint --fix`` with options."""
    copy = script.parent / name / script.name
    copy.parent.mkdir()
    for file in files(script):
        shutil.copy(file, copy.parent)
    ddplint(copy, "--fix", *options)
    return copy


def files(script: Path) -> list[Path]:
    return sorted(script.parent.glob("*.py"))


def ddplint(script: Path, *options: str) -> subprocess.CompletedProcess[str]:
    names = [file.name for file in files(script)]
    command = [sys.executable, "-m", "ddplint", "check", "--isolated", *options, *names]
    done = subprocess.run(command, cwd=script.parent, capture_output=True, text=True, timeout=120)
    assert done.returncode in (0, 1), done.stderr
    return done
