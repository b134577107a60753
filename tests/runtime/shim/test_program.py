"""A script under ``ddplint run`` sees what it sees under ``python``."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest
from corrected import Run

SEES = """
import json, os, sys

class Here:
    pass

print(json.dumps([__name__, sys.argv[1:], os.getcwd(), __file__, sys.path[0], __spec__ is None, __package__,
                  sys.modules["__main__"].Here is Here, sorted(set(globals()) - {"json", "os", "sys", "Here"})]))
"""


def test_it_is_the_main_program(run: Run, tmp_path: Path) -> None:
    ours = run(SEES, "--lr", "3", "-m", "--nnodes", "2")
    theirs = subprocess.run(
        [sys.executable, "train.py", "--lr", "3", "-m", "--nnodes", "2"], cwd=tmp_path, capture_output=True, text=True
    )
    assert ours.err == ""
    assert ours.out == theirs.stdout


def test_a_module_is_the_main_program(run: Run, tmp_path: Path) -> None:
    script = SEES.replace("__spec__ is None", "__spec__.name, __spec__.parent, __loader__ is not None")
    ours = run(script, "a", options=("-m",))
    theirs = subprocess.run([sys.executable, "-m", "train", "a"], cwd=tmp_path, capture_output=True, text=True)
    assert ours.err == ""
    assert ours.out == theirs.stdout


def test_a_package_is_run_by_its_main(tmp_path: Path) -> None:
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg/__init__.py").write_text("", encoding="utf-8")
    (tmp_path / "pkg/__main__.py").write_text("from . import other\nprint(other.X, __name__)\n", encoding="utf-8")
    (tmp_path / "pkg/other.py").write_text("X = 7\n", encoding="utf-8")
    words = [sys.executable, "-m", "ddplint", "run", "--nproc-per-node", "1", "-m", "pkg"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "7 __main__\n"), done.stderr


FAILS = """
def inner():
    raise ValueError("wrong")

def outer():
    try:
        inner()
    except ValueError as error:
        raise KeyError("other") from error

outer()
"""


def test_a_traceback_has_no_frame_of_ours(run: Run, tmp_path: Path) -> None:
    ours = run(FAILS)
    theirs = subprocess.run([sys.executable, "train.py"], cwd=tmp_path, capture_output=True, text=True)
    assert ours.code == theirs.returncode == 1
    assert ours.err == theirs.stderr


@pytest.mark.parametrize(
    ("text", "code", "err"),
    [
        ("import sys; sys.exit(3)", 3, ""),
        ("import sys; sys.exit()", 0, ""),
        ("import sys; sys.exit('no data')", 1, "no data\n"),
        ("raise SystemExit", 0, ""),
    ],
)
def test_it_ends_as_it_says(text: str, code: int, err: str, run: Run) -> None:
    done = run(text)
    assert (done.code, done.err) == (code, err)


def test_what_is_registered_runs_at_exit(run: Run) -> None:
    done = run("import atexit\nX = 5\natexit.register(lambda: print('left', X))\n")
    assert done.out == "left 5\n"


def test_its_excepthook_is_used(run: Run) -> None:
    done = run("import sys\nsys.excepthook = lambda kind, error, traceback: print('hook', error)\n1 / 0\n")
    assert (done.code, done.out) == (1, "hook division by zero\n")


@pytest.mark.parametrize(
    ("options", "said"),
    [((), "cannot read absent.py: No such file or directory"), (("-m",), "no module named absent that can be run")],
)
def test_what_is_not_there(options: tuple[str, ...], said: str, tmp_path: Path) -> None:
    name = "absent" if options else "absent.py"
    words = [sys.executable, "-m", "ddplint", "run", "--nproc-per-node", "1", *options, name]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert done.stderr == f"ddplint: error: {said}\n"


def test_without_a_script_it_says_what_is_missing(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "ddplint", "run", "--nproc-per-node", "1"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert done.stderr.startswith("ddplint: error: which script? ")


def test_a_script_with_an_error_in_its_syntax(run: Run) -> None:
    done = run("x = (\n")
    assert done.code == 2
    assert "SyntaxError" in done.err
    assert "train.py" in done.err


def test_launchers_that_contradict_each_other(run: Run) -> None:
    environment = {
        "OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_LOCAL_RANK": "1",
        "OMPI_COMM_WORLD_LOCAL_SIZE": "2", "RANK": "0", "WORLD_SIZE": "2",
    }  # fmt: skip
    done = run("print('started')", environment=environment)
    assert done.code == 2
    assert "openmpi and environment disagree" in done.err
    done = run("import os; print(os.environ['RANK'])", options=("--launcher", "openmpi"), environment=environment)
    assert (done.code, done.out) == (0, "1\n"), done.err


def test_torch_is_not_imported_before_the_script_does(run: Run) -> None:
    done = run("import sys; print('torch' in sys.modules)")
    assert (done.out, done.err) == ("False\n", "")


def test_text_of_the_script_stays_as_it_is(run: Run, tmp_path: Path) -> None:
    text = dedent(SEES)
    run(text)
    assert (tmp_path / "train.py").read_text(encoding="utf-8") == text


def test_asking_for_torch_is_not_importing_it(run: Run, tmp_path: Path) -> None:
    """transformers and others ask first; the corrections wait for the import."""
    (tmp_path / "torch.py").write_text("", encoding="utf-8")
    done = run(
        """
        import importlib.util, sys
        before = len(sys.meta_path)
        assert importlib.util.find_spec("torch") is not None
        assert importlib.util.find_spec("torch") is not None
        print(len(sys.meta_path) == before, "torch" in sys.modules)
        """
    )
    assert done.out == "True False\n", done.err


def test_a_dash_dash_before_the_script(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("import sys; print(sys.argv[1:])", encoding="utf-8")
    words = [sys.executable, "-m", "ddplint", "run", "--nproc-per-node", "1", "--", "train.py", "--", "x"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "['--', 'x']\n"), done.stderr


def test_alone_it_is_as_under_python(tmp_path: Path) -> None:
    """Many scripts ask for RANK to see whether they were launched."""
    (tmp_path / "train.py").write_text("import os; print('RANK' in os.environ)", encoding="utf-8")
    words = [sys.executable, "-m", "ddplint", "run", "--nproc-per-node", "1", "train.py"]
    environment = {"PATH": "/usr/bin:/bin"}
    done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "False\n"), done.stderr


@pytest.mark.parametrize(
    "text", ["import sys; print('said'); sys.stdout.close()", "import os; print('unsaid'); os.close(1)"]
)
def test_a_script_that_closes_its_output(text: str, run: Run, tmp_path: Path) -> None:
    ours = run(text)
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    theirs = subprocess.run([sys.executable, "train.py"], cwd=tmp_path, env=buffered, capture_output=True, text=True)
    assert (ours.code, ours.out, ours.err) == (theirs.returncode, theirs.stdout, theirs.stderr)


@pytest.mark.parametrize("name", ["pkg", "pkg.train"])
@pytest.mark.parametrize(
    "init",
    ["1 / 0", "import absent", "raise ValueError('wrong')", "raise SystemExit(3)", "import sys; print(sys.argv)"],
)
def test_a_package_that_cannot_be_imported(init: str, name: str, tmp_path: Path) -> None:
    (tmp_path / "pkg").mkdir()
    for module, text in (("__init__", init), ("__main__", "print('runs')"), ("train", "print('runs')")):
        (tmp_path / f"pkg/{module}.py").write_text(text, encoding="utf-8")
    ours, theirs = (
        subprocess.run(
            [sys.executable, *words, "-m", name, "x"], cwd=tmp_path, capture_output=True, text=True, timeout=60
        )
        for words in (["-m", "ddplint", "run", "--nproc-per-node", "1"], [])
    )
    assert (ours.returncode, ours.stdout) == (theirs.returncode, theirs.stdout), ours.stderr
    assert ours.stderr.splitlines()[-2:] == theirs.stderr.splitlines()[-2:]
    assert "ddplint" not in ours.stderr
