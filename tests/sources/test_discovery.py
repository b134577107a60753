"""Discovery, on real trees; what .gitignore means is asked of git itself."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ddplint.settings import Settings
from ddplint.sources import discover


def make(root: Path, *files: str, **texts: str) -> None:
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_text(texts.get(file, ""))


def shown(root: Path, *paths: str, given: Settings | None = None) -> list[str]:
    found = discover(paths or (".",), given or Settings(), root)
    assert not found.problems
    return [file.display for file in found.files]


def test_python_files_of_a_folder_in_order(tmp_path: Path) -> None:
    make(tmp_path, "b.py", "a/z.py", "a/notes.txt", "build/c.py", "a/.venv/lib/d.py", "x.py/e.py", "s p\na.py", "f.pyi")
    assert shown(tmp_path) == ["a/z.py", "b.py", "s p\na.py", "x.py/e.py"]
    assert shown(tmp_path, "a", "b.py") == ["a/z.py", "b.py"]


def test_named_files_are_always_taken(tmp_path: Path) -> None:
    make(tmp_path, "build/c.py", "run", ".gitignore")
    (tmp_path / ".gitignore").write_text("run\n")
    assert shown(tmp_path, "build/c.py", "run", given=Settings(exclude=("c.py",))) == ["build/c.py", "run"]


def test_named_folders_are_walked_although_excluded(tmp_path: Path) -> None:
    make(tmp_path, "build/c.py", "build/venv/d.py", "build/build/e.py")
    assert shown(tmp_path, "build") == ["build/build/e.py", "build/c.py"]


def test_each_file_once(tmp_path: Path) -> None:
    make(tmp_path, "a/x.py")
    (tmp_path / "a/alias.py").symlink_to(tmp_path / "a/x.py")
    assert shown(tmp_path, ".", "a", "a/x.py", "./a/../a/x.py", str(tmp_path / "a/x.py")) == ["a/x.py"]


def test_paths_outside_are_shown_as_given(tmp_path: Path) -> None:
    make(tmp_path, "other/x.py", "here/y.py")
    assert shown(tmp_path / "here", "../other", "../here/y.py") == ["../other/x.py", "y.py"]


def test_links(tmp_path: Path) -> None:
    make(tmp_path, "tree/a.py", "data/b.py")
    (tmp_path / "tree/loop").symlink_to(tmp_path / "tree")
    (tmp_path / "tree/data").symlink_to(tmp_path / "data")
    (tmp_path / "tree/file.py").symlink_to(tmp_path / "data/b.py")
    (tmp_path / "tree/self.py").symlink_to(tmp_path / "tree/self.py")
    (tmp_path / "tree/.#lock.py").symlink_to("nobody@nowhere")
    assert shown(tmp_path, "tree") == ["tree/a.py", "tree/file.py"]


def test_problems(tmp_path: Path) -> None:
    make(tmp_path, "empty/readme.txt", "a.py")
    found = discover(["missing.py", "", "nul\0.py", "empty", "a.py"], Settings(), tmp_path)
    assert found.problems[0] == "missing.py: no such file or folder"
    assert len(found.problems) == 3
    assert found.empty == ("empty",)
    assert [file.display for file in found.files] == ["a.py"]


def test_exclude_is_relative_to_the_settings_file(tmp_path: Path) -> None:
    make(tmp_path, "pkg/gen/a.py", "pkg/b.py", "gen/c.py", "pkg/x_pb2.py")
    given = Settings(root=str(tmp_path), extend_exclude=("/gen", "*_pb2.py"))
    assert shown(tmp_path / "pkg", given=given) == ["b.py", "gen/a.py"]
    again = Settings(root=str(tmp_path), extend_exclude=("pkg/**/a.py", "*.py", "!b.py"))
    assert shown(tmp_path, given=again) == ["pkg/b.py"]


def test_nested_gitignore(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    make(tmp_path, "a/x.py", "a/keep.py", "a/sub/keep.py", "b/x.py", "vendor/.git/HEAD", "vendor/x.py")
    (tmp_path / ".gitignore").write_bytes(b"\xef\xbb\xbfx.py\r\n# no\n\nkeep.py\n")
    (tmp_path / "a/.gitignore").write_text("!keep.py\nsub/\n")
    expected = ["a/keep.py", "vendor/x.py"]
    assert shown(tmp_path) == expected
    assert shown(tmp_path / "a") == ["keep.py"]
    assert len(shown(tmp_path, given=Settings(respect_gitignore=False))) == 5


def test_plain_patterns_do_without_pathspec(tmp_path: Path) -> None:
    make(tmp_path, "a.py")
    (tmp_path / ".gitignore").write_text("__pycache__/\n*.py[cod]\n/docs/_build/\n.venv\n.coverage.*\n*.egg-info/\n")
    code = (
        "import sys; from ddplint.settings import Settings; from ddplint.sources import discover;"
        f"discover(['.'], Settings(), {str(tmp_path)!r}); print('pathspec' in sys.modules, 'libcst' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


FILES = ("a.py", "ab.py", "x/a.py", "x/b.py", "x/y/a.py", "x/y/ab.py", "y/x/b.py", "y/a.py", "a.pyc.py")
# Without "!x/": to pathspec it also keeps what another line ignores below x, to git only x itself.
PATTERNS = st.lists(
    st.one_of(
        st.sampled_from(
            ["*.py", "*.py[cod]", "x", "x/", "/x", "x/y", "/x/y/", "a*", "a*.py", "*b.py", "**/y", "x/**", "*"]
        ),
        st.sampled_from(
            ["!a.py", "!/x/a.py", "!*.py", "#x", "", "\\#x", "a.py  ", "?b.py", "[ab].py", "x/*", "/", "//"]
        ),
        st.text(alphabet="abxy/*.p", min_size=1, max_size=6),
    ),
    max_size=4,
)


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
@settings(max_examples=60, deadline=None)
@given(PATTERNS, PATTERNS)
def test_ignores_what_git_ignores(outer: list[str], inner: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        make(root, *FILES)
        (root / ".gitignore").write_text("\n".join(outer) + "\n")
        (root / "x/.gitignore").write_text("\n".join(inner) + "\n")
        subprocess.run(["git", "init", "-q", "."], cwd=root, check=True)
        listed = ["git", "ls-files", "--others", "--exclude-standard", "-z", "--", "*.py"]
        done = subprocess.run(listed, cwd=root, check=True, capture_output=True, text=True)
        expected = sorted(file for file in done.stdout.split("\0") if file)
        assert shown(root) == expected
