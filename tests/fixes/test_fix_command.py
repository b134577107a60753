"""``ddplint --fix`` and its kin: what is written where, what is said, and the exit code."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest
from toys import HEAD, toy

from ddplint.cli import main
from ddplint.findings import Applicability, Severity

UNSAFE = Applicability.UNSAFE
Choose = Callable[..., None]
SCRIPT = HEAD + "x = a\ny = u\nz = n\n"


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str


Command = Callable[..., Outcome]


@pytest.fixture
def command(capfdbinary: pytest.CaptureFixture[bytes]) -> Command:
    def run(*words: str) -> Outcome:
        try:
            code = main(list(words))
        except SystemExit as error:
            code = int(error.code or 0)
        sys.stdout.flush()
        sys.stderr.flush()
        out, err = capfdbinary.readouterr()
        return Outcome(code, out.decode(), err.decode())

    return run


@pytest.fixture(autouse=True)
def script(rules: Choose) -> Path:
    """A script with one finding that is repaired safely, one unsafely, and one that is not."""
    rules(
        toy("DDP901", r"\ba\b", "b"),
        toy("DDP902", r"\bu\b", "v", applicability=UNSAFE),
        toy("DDP903", r"\bn\b", None),
    )
    path = Path("train.py")
    path.write_text(SCRIPT)
    return path


def test_a_lint_says_what_can_be_repaired(command: Command) -> None:
    found = command()
    assert found.code == 1
    assert "train.py:2:5: warning DDP901 toy-ddp901 [*]\n" in found.out
    assert "train.py:3:5: warning DDP902 toy-ddp902\n" in found.out
    assert "\n1 fixable with --fix, 1 more with --unsafe-fixes.\n" in found.out
    unsafe = command("--unsafe-fixes", "--output-format", "concise")
    assert unsafe.out.splitlines() == [
        "train.py:2:5: DDP901 warning [*] 'a' was found",
        "train.py:3:5: DDP902 warning [*] 'u' was found",
        "train.py:4:5: DDP903 warning 'n' was found",
        "Found 3 findings (3 warnings) in 1 of 1 file.",
        "2 fixable with --fix --unsafe-fixes.",
    ]
    only = command("--select", "DDP902", "--output-format", "concise")
    assert only.out.endswith("file.\n1 fixable with --fix --unsafe-fixes.\n")
    none = command("--select", "DDP903", "--output-format", "concise")
    assert "fixable" not in none.out
    assert Path("train.py").read_text() == SCRIPT


def test_fix(command: Command, script: Path) -> None:
    done = command("--fix", "--output-format", "concise")
    assert script.read_text() == HEAD + "x = b\ny = u\nz = n\n"
    assert (done.code, done.err) == (1, "")
    assert done.out.splitlines() == [
        "train.py:3:5: DDP902 warning 'u' was found",
        "train.py:4:5: DDP903 warning 'n' was found",
        "Found 2 findings (2 warnings) in 1 of 1 file.",
        "Fixed 1 finding in 1 file. 2 left: 1 with an unsafe fix (--unsafe-fixes), 1 without a fix.",
    ]
    again = command("--fix", "--output-format", "concise")
    assert again.out.splitlines()[-1].startswith("Fixed nothing. 2 left: ")


def test_unsafe_fixes_too(command: Command, script: Path) -> None:
    done = command("--fix", "--unsafe-fixes")
    assert script.read_text() == HEAD + "x = b\ny = v\nz = n\n"
    assert done.code == 1
    assert "Fixed 2 findings in 1 file. 1 left, without a fix.\n" in done.out


def test_everything_repaired(command: Command, script: Path) -> None:
    done = command("--fix", "--unsafe-fixes", "--ignore", "DDP903")
    assert (done.code, done.err) == (0, "")
    assert done.out == "No findings in 1 file (1 distributed).\nFixed 2 findings in 1 file.\n"
    assert command("--fix", "plain.py").code == 2
    Path("plain.py").write_text("print(1)\n")
    nothing = command("--fix", "plain.py")
    assert (nothing.code, nothing.out) == (0, "No findings in 1 file (0 distributed).\n")


def test_show_fixes(command: Command) -> None:
    Path("two.py").write_text(HEAD + "a\na\nu\n")
    done = command("--fix", "--show-fixes", "--output-format", "concise", "--unsafe-fixes")
    assert done.out.splitlines()[-8:] == [
        "Found 1 finding (1 warning) in 1 of 2 files.",
        "Fixed 5 findings in 2 files. 1 left, without a fix.",
        "  train.py:",
        "    1 x DDP901 toy-ddp901: Repair DDP901",
        "    1 x DDP902 toy-ddp902: Repair DDP902",
        "  two.py:",
        "    2 x DDP901 toy-ddp901: Repair DDP901",
        "    1 x DDP902 toy-ddp902: Repair DDP902",
    ]


def test_fix_only(command: Command, script: Path) -> None:
    done = command("--fix-only", "--show-fixes")
    assert script.read_text() == HEAD + "x = b\ny = u\nz = n\n"
    assert (done.code, done.err) == (0, "")
    assert done.out == "Fixed 1 finding in 1 file.\n  train.py:\n    1 x DDP901 toy-ddp901: Repair DDP901\n"
    assert command("--fix-only", "--quiet").out == ""
    assert json.loads(command("--fix-only", "--output-format", "json").out)["findings"] == []
    assert command("--fix-only", "missing.py").code == 2


DIFF = """\
--- a/train.py
+++ b/train.py
@@ -1,4 +1,4 @@
 import torch.distributed as dist
-x = a
+x = b
 y = u
 z = n
"""


@pytest.mark.parametrize("more", [(), ("--fix",), ("--fix-only",)])
def test_diff(more: tuple[str, ...], command: Command, script: Path) -> None:
    shown = command("--diff", *more)
    assert (shown.code, shown.out, shown.err) == (1, DIFF, "Would fix 1 finding in 1 file.\n")
    assert script.read_text() == SCRIPT
    assert command("--diff", "--unsafe-fixes", "-q").out == DIFF.replace(" y = u\n", "").replace(
        "+x = b\n", "+x = b\n+y = v\n"
    ).replace("-x = a\n", "-x = a\n-y = u\n")
    assert command("--diff", "--exit-zero", "-q") == Outcome(0, DIFF, "")
    assert command("--diff", "missing.py", "train.py").code == 2


def test_diff_of_nothing(command: Command, script: Path) -> None:
    assert command("--diff", "--unfixable", "ALL") == Outcome(0, "", "Would fix nothing.\n")
    script.write_text("x = a\n")
    assert command("--diff") == Outcome(0, "", "Would fix nothing.\n")


def test_diff_into_a_file(command: Command) -> None:
    assert command("--diff", "--output-file", "out.diff", "-q") == Outcome(1, "", "")
    assert Path("out.diff").read_text() == DIFF


def test_json(command: Command) -> None:
    document = json.loads(command("--output-format", "json").out)
    assert "fixed" not in document["summary"]
    assert document["findings"][0]["fix"] == {
        "applicability": "safe",
        "title": "Repair DDP901",
        "edits": [
            {"path": "train.py", "start": {"line": 2, "column": 5}, "end": {"line": 2, "column": 6}, "text": "b"}
        ],
    }
    document = json.loads(command("--fix", "--output-format", "json").out)
    assert [finding["code"] for finding in document["findings"]] == ["DDP902", "DDP903"]
    assert (document["summary"]["fixed"], document["summary"]["refused"]) == (1, 0)


@pytest.mark.parametrize(
    ("words", "levels"),
    [
        (("--unfixable", "DDP901"), [None, "unsafe"]),
        (("--fixable", "toy-ddp901"), ["safe", None]),
        (("--extend-safe-fixes", "DDP902"), ["safe", "safe"]),
        (("--extend-unsafe-fixes", "DDP90"), ["unsafe", "unsafe"]),
    ],
)
def test_rules_and_their_levels(words: tuple[str, ...], levels: list[str | None], command: Command) -> None:
    def found(*more: str) -> list[str | None]:
        findings = json.loads(command(*more, "--output-format", "json").out)["findings"][:2]
        return [finding["fix"] and finding["fix"]["applicability"] for finding in findings]

    assert found(*words) == levels
    key, value = words[0].removeprefix("--"), words[1]
    Path("ddplint.toml").write_text(f'{key} = ["{value}"]\n')
    assert found() == levels


# -- standard input ---------------------------------------------------------------------------------------------------


def give(data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(data)))


def test_standard_input(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    give(SCRIPT.encode(), monkeypatch)
    done = command("--fix", "-", "--output-format", "concise")
    assert done.code == 1
    assert done.out == HEAD + "x = b\ny = u\nz = n\n"
    assert done.err.startswith("<stdin>:3:5: DDP902 warning 'u' was found\n")
    assert "Fixed 1 finding in 1 file." in done.err
    give(SCRIPT.encode(), monkeypatch)
    shown = command("--diff", "-", "--stdin-filename", "src/train.py")
    assert (shown.code, shown.out) == (1, DIFF.replace("/train.py", "/src/train.py"))
    give(SCRIPT.encode(), monkeypatch)
    assert command("--fix-only", "-").out == HEAD + "x = b\ny = u\nz = n\n"


@pytest.mark.parametrize(
    "data", [b"print(1)\n", b"", SCRIPT.encode() + b"(\n", b"import torch.distributed\n\xff", b"\xef\xbb\xbfx = 1\r\n"]
)
def test_standard_input_that_is_not_repaired_comes_out_as_it_is(
    data: bytes, capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    give(data, monkeypatch)
    main(["--fix", "-"])
    assert capfdbinary.readouterr().out == data


# -- what goes wrong --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--add-ignore", "--fix"), "--add-ignore and --fix: one repairs findings, the other hides them"),
        (("--add-ignore", "--diff"), "--add-ignore and --diff: "),
        (("--add-ignore", "--unsafe-fixes"), "--add-ignore and --unsafe-fixes: "),
        (("--add-ignore", "-"), "--add-ignore: standard input is no file to write suppressions into"),
        (("--show-fixes",), "--show-fixes: nothing is repaired without --fix, --fix-only or --diff"),
        (("--fix", "-", "train.py"), '"-" and other paths: only one text can be written to standard output'),
        (("--diff", "-", "train.py"), '"-" and other paths: '),
    ],
)
def test_options_that_do_not_go_together(words: tuple[str, ...], message: str, command: Command, script: Path) -> None:
    wrong = command(*words)
    assert (wrong.code, wrong.out) == (2, "")
    assert wrong.err.startswith(f"ddplint: error: {message}")
    assert script.read_text() == SCRIPT


def test_a_fix_that_does_not_hold_is_named_with_the_reason(command: Command, rules: Choose) -> None:
    rules(toy("DDP901", r"\ba\b", "b"), toy("DDP902", r"\bu\b", "u ", severity=Severity.ERROR))
    done = command("--fix", "--output-format", "concise")
    assert done.code == 1
    assert done.out.splitlines()[-3:] == [
        "Fixed 1 finding in 1 file. 1 left, with a fix that was left out.",
        "1 fix did not hold and was left out:",
        "  train.py:3:5: DDP902 Repair DDP902: DDP902 would still be reported in train.py",
    ]


def test_a_file_that_cannot_be_written(command: Command, script: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ddplint.fixes import writing

    Path("two.py").write_text(HEAD + "a\n")
    real = writing.replace_file

    def changed(before, data):  # type: ignore[no-untyped-def]
        if before.path == "train.py":
            script.write_text("saved = 1\n")
        real(before, data)

    monkeypatch.setattr(writing, "replace_file", changed)
    done = command("--fix", "--output-format", "concise")
    assert done.code == 2
    assert done.err == "ddplint: error: train.py: left as it is: it has changed since it was read\n"
    assert script.read_text() == "saved = 1\n"
    assert Path("two.py").read_text() == HEAD + "b\n"
    assert "train.py:2:5: DDP901 warning [*] 'a' was found\n" in done.out
    assert "Fixed 1 finding in 1 file." in done.out


def test_fixes_that_come_to_no_end(command: Command, rules: Choose, monkeypatch: pytest.MonkeyPatch) -> None:
    from ddplint.fixes import loop

    monkeypatch.setattr(loop, "ROUNDS", 1)
    rules(toy("DDP901", r"\ba\b", "b"), toy("DDP902", r"f\(a", "g(a"))
    Path("train.py").write_text(HEAD + "f(a)\n")
    done = command("--fix", "-q")
    assert "warning: the fixes of DDP901 came to no end, and were stopped." in done.err


def test_other_files_are_repaired_beside_one_that_does_not_parse(command: Command) -> None:
    Path("bad.py").write_text(HEAD + "x = (a\n")
    done = command("--fix", "--output-format", "concise")
    assert done.code == 1
    assert "bad.py:2:5: DDP000 error" in done.out
    assert Path("bad.py").read_text() == HEAD + "x = (a\n"
    assert "x = b" in Path("train.py").read_text()


def test_a_lint_does_not_import_what_repairs() -> None:
    code = (
        "import sys\nfrom ddplint.cli import main\nmain(['.', '--output-format', 'concise'])\n"
        "found = [name for name in sys.modules if name.startswith('ddplint.fixes')]\n"
        "sys.exit(str(found) if found else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
