"""``--diff`` is what ``--fix`` would write: the real ``patch -p1`` gives the same bytes."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest
from toys import HEAD, checked, toy

from ddplint.cli import main
from ddplint.fixes import diff, repair, save

Choose = Callable[..., None]

H = HEAD.encode()
FILES = {
    "plain.py": H + b"x = a\n",
    "sub/deeper/plain.py": H + b"1\n" * 30 + b"x = a\n" + b"2\n" * 30 + b"y = a\n",
    "no_end.py": H + b"x = a",
    "no_end_far_away.py": H + b"x = a\n" + b"1\n" * 20 + b"2",
    "crlf.py": H.replace(b"\n", b"\r\n") + b"x = a\r\ny = 1\r\n",
    "cr.py": H + b"x = a\ry = 1\rz = a",
    "mixed.py": H + b"x = a\r\ny = a\nz = 1\r\n\r\n\n",
    "form_feed.py": H + b"\x0c\nx = a\n\x0cy = a\n'\x0b\x1c\x1d\xc2\x85\xe2\x80\xa8'\n",
    "bom.py": b"\xef\xbb\xbf" + H + b"x = a\n",
    "latin.py": b"# coding: latin-1\n" + H + b"'\xe9'\nx = a, '\xfc'\n",
    "a name with spaces.py": H + b"x = a\n",
    'quo"te\\and\ttab.py': H + b"x = a\n",
    "日é.py": H + b"x = a\n",
    "- dashes.py": H + b"s = '''\n--- a/plain.py\n+++ b/plain.py\n@@ -1 +1 @@\n'''\nx = a\n",
}


@pytest.fixture
def patch(unavailable: Callable[[str], NoReturn]) -> str:
    return shutil.which("patch") or unavailable("there is no patch")


def write(files: dict[str, bytes], folder: Path) -> None:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_patch_gives_what_fix_writes(rules: Choose, patch: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rules(toy("DDP901", r"\ba\b", "b"), toy("DDP902", r"\bz\b", "w"))
    patched, fixed = folder / "patched", folder / "fixed"
    write(FILES, patched)
    write(FILES, fixed)
    monkeypatch.chdir(patched)
    outcome = repair(checked("."), unsafe=False)
    assert len(outcome.changed) == len(FILES)
    text = b"".join(diff(before, after) for before, after in outcome.changed.values())
    assert contents(patched) == FILES
    done = subprocess.run([patch, "-p1"], input=text, capture_output=True)
    assert done.returncode == 0, done.stdout.decode()
    monkeypatch.chdir(fixed)
    assert save(repair(checked("."), unsafe=False))[1] == {}
    assert contents(patched) == contents(fixed)
    assert all(contents(fixed)[name] != data for name, data in FILES.items())


def test_a_link_is_patched_where_it_leads(rules: Choose, patch: str) -> None:
    rules(toy("DDP901", r"\ba\b", "b"))
    Path("real").mkdir()
    Path("real/train.py").write_bytes(H + b"x = a\n")
    Path("link.py").symlink_to("real/train.py")
    [(before, after)] = repair(checked("link.py"), unsafe=False).changed.values()
    text = diff(before, after)
    assert text.startswith(b"--- a/real/train.py\n+++ b/real/train.py\n@@ ")
    subprocess.run([patch, "-p1"], input=text, check=True, capture_output=True)
    assert os.path.islink("link.py")
    assert Path("link.py").read_bytes() == H + b"x = b\n"


def test_the_same_for_real_scripts(patch: str, folder: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    fixtures = Path(__file__).parents[1] / "fixtures"
    scripts = {
        f"{side}/{path.relative_to(fixtures)}": path.read_bytes()
        for side in ("patched", "fixed")
        for path in fixtures.rglob("broken*.py")
    }
    write(scripts, folder)
    os.chdir(folder / "patched")
    assert main(["--diff", "--unsafe-fixes", "--quiet"]) == 1
    text = capfdbinary.readouterr().out
    subprocess.run([patch, "-p1"], input=text, check=True, stdout=subprocess.DEVNULL)
    os.chdir(folder / "fixed")
    main(["--fix-only", "--unsafe-fixes"])
    assert contents(folder / "patched") == contents(folder / "fixed")
    changed = [name for name, data in contents(folder / "fixed").items() if scripts[f"fixed/{name}"] != data]
    assert len(changed) > 10
