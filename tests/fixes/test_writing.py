"""Files on disk: what is kept, what is left alone and why, and that nothing is left behind."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from toys import HEAD, checked, edit, toy

from ddplint.fixes import Repair, repair, save, writing
from ddplint.sources import Source, read

Choose = Callable[..., None]


@pytest.fixture(autouse=True)
def a_to_b(rules: Choose) -> None:
    """A rule that turns every ``a`` into ``b``."""
    rules(toy("DDP901", r"\ba\b", "b"))


def fix(*paths: str) -> tuple[Repair, dict[str, str]]:
    outcome, failed = save(repair(checked(*paths), unsafe=False))
    return outcome, dict(failed)


def fixed(data: bytes) -> bytes:
    Path("train.py").write_bytes(data)
    assert fix("train.py")[1] == {}
    assert sorted(os.listdir()) == ["train.py"]
    return Path("train.py").read_bytes()


@pytest.mark.parametrize(
    "data",
    [
        b"x = a\n",
        b"x = a",
        b"x = a\r\ny = 1\r\n",
        b"x = a\ry = 1\r",
        b"w = 1\r\nx = a\ny = 1\rz = 1\r\n\r\n",
        b"\x0cx = a\n\x0c\n\x0b\x1c\n".replace(b"\x0b\x1c\n", b"'\x0b\x1c\xe2\x80\xa8'\n"),
        "x = a, 'é日'\n".encode(),
        b"x = a   \t\n\t\n",
    ],
)
def test_every_other_byte_stays(data: bytes) -> None:
    head = HEAD.encode()
    assert fixed(head + data) == head + data.replace(b" a", b" b")


def test_byte_order_mark_and_declared_encoding() -> None:
    head = HEAD.encode()
    assert fixed(b"\xef\xbb\xbf" + head + "x = a, 'é'\n".encode()) == b"\xef\xbb\xbf" + head + "x = b, 'é'\n".encode()
    for encoding in ("latin-1", "cp1252", "utf-8", "shift_jis"):
        text = f"# -*- coding: {encoding} -*-\n{HEAD}x = a, '{'日' if encoding == 'shift_jis' else 'é'}'\n"
        assert fixed(text.encode(encoding)) == text.replace(" a,", " b,").encode(encoding)


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_new_lines_end_like_those_around(newline: str, rules: Choose) -> None:
    rules(toy("DDP901", r"\ba\b", lambda path, match, text: [edit(text, match.start(), match.end(), "b\nc = 1")]))
    assert (
        fixed(HEAD.encode() + f"a{newline}d = 1\n".encode())
        == HEAD.encode() + f"b{newline}c = 1{newline}d = 1\n".encode()
    )


def test_nothing_is_written_where_nothing_changes() -> None:
    Path("train.py").write_text(HEAD)
    before = os.stat("train.py")
    fix("train.py")
    after = os.stat("train.py")
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


@pytest.mark.skipif(os.name != "posix", reason="permission bits of Unix")
@pytest.mark.parametrize("mode", [0o600, 0o644, 0o755, 0o640, 0o4711])
def test_permission_bits(mode: int) -> None:
    Path("train.py").write_text(HEAD + "x = a\n")
    os.chmod("train.py", mode)
    fix("train.py")
    assert Path("train.py").read_text() == HEAD + "x = b\n"
    assert stat.S_IMODE(os.stat("train.py").st_mode) == mode


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may give a file away")
def test_owner() -> None:
    Path("train.py").write_text(HEAD + "x = a\n")
    os.chown("train.py", 1234, 2345)
    fix("train.py")
    status = os.stat("train.py")
    assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (1234, 2345, 0o644)


def test_a_link_stays_and_leads_to_the_new_file() -> None:
    Path("real").mkdir()
    Path("real/train.py").write_text(HEAD + "x = a\n")
    Path("link.py").symlink_to("second.py")
    Path("second.py").symlink_to("real/train.py")
    assert fix("link.py")[1] == {}
    assert (os.readlink("link.py"), os.readlink("second.py")) == ("second.py", "real/train.py")
    assert Path("real/train.py").read_text() == HEAD + "x = b\n"
    assert os.listdir("real") == ["train.py"]


def test_a_file_that_changed_meanwhile_is_left_alone() -> None:
    for name in ("one.py", "two.py"):
        Path(name).write_text(HEAD + "x = a\n")
    outcome = repair(checked("one.py", "two.py"), unsafe=False)
    Path("one.py").write_text(HEAD + "x = a  # saved in an editor\n")
    outcome, failed = save(outcome)
    assert failed == {"one.py": "left as it is: it has changed since it was read"}
    assert Path("one.py").read_text() == HEAD + "x = a  # saved in an editor\n"
    assert Path("two.py").read_text() == HEAD + "x = b\n"
    # What was not written is not said to be repaired.
    assert [fix.paths for fix in outcome.applied] == [("two.py",)]
    assert [finding.path for finding in outcome.check.findings] == ["one.py"]
    Path("two.py").unlink()
    Path("one.py").write_text(HEAD + "x = a\n")
    outcome = repair(checked("one.py"), unsafe=False)
    Path("one.py").unlink()
    assert save(outcome)[1] == {"one.py": "left as it is: the file is gone"}
    assert os.listdir() == []


def test_a_file_that_changes_while_the_new_one_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("train.py").write_text(HEAD + "x = a\n")
    outcome = repair(checked("train.py"), unsafe=False)
    real = writing._create

    def slow(temporary: str, data: bytes, status: os.stat_result) -> None:
        real(temporary, data, status)
        Path("train.py").write_text("saved = 1\n")

    monkeypatch.setattr(writing, "_create", slow)
    assert save(outcome)[1] == {"train.py": "left as it is: it has changed since it was read"}
    assert Path("train.py").read_text() == "saved = 1\n"
    assert os.listdir() == ["train.py"]


def refuse(number: int) -> Callable[..., None]:
    def call(*args: object, **kwargs: object) -> None:
        raise OSError(number, os.strerror(number))

    return call


@pytest.mark.parametrize(
    ("call", "number"),
    [("fsync", errno.EIO), ("replace", errno.EACCES), ("fchmod", errno.EPERM), ("open", errno.ENOSPC)],
)
def test_when_the_system_refuses_the_file_is_the_old_one(
    call: str, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("train.py").write_text(HEAD + "x = a\n")
    outcome = repair(checked("train.py"), unsafe=False)
    with monkeypatch.context() as patched:
        patched.setattr(writing.os, call, refuse(number))
        _, failed = save(outcome)
    assert failed == {"train.py": f"cannot be written: {os.strerror(number)}"}
    assert Path("train.py").read_text() == HEAD + "x = a\n"
    assert os.listdir() == ["train.py"]


def test_a_disk_that_fills_up() -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("there is no /dev/full here")
    Path("train.py").write_text(HEAD + "x = a\n")
    with pytest.raises(OSError, match="No space left"), open("/dev/full", "wb", buffering=0) as stream:
        stream.write(b"x")
    outcome = repair(checked("train.py"), unsafe=False)
    real = os.open

    def full(path: str, flags: int, mode: int = 0o777) -> int:
        if not path.endswith(".tmp"):
            return real(path, flags, mode)
        os.close(real(path, flags, mode))
        return real("/dev/full", os.O_WRONLY)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(writing.os, "open", full)
        _, failed = save(outcome)
    assert failed == {"train.py": "cannot be written: No space left on device"}
    assert os.listdir() == ["train.py"]


@pytest.mark.parametrize(
    ("closed", "reason"),
    [("file", "left as it is: it is read-only"), ("folder", "left as it is: nothing can be written in its folder")],
)
def test_read_only(closed: str, reason: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("train.py").write_text(HEAD + "x = a\n")
    outcome = repair(checked("train.py"), unsafe=False)
    target = folder / "train.py" if closed == "file" else folder
    if os.geteuid() == 0:
        # Root may do everything, except where the kernel says that it is not root.
        real = os.access
        monkeypatch.setattr(os, "access", lambda path, mode: str(path) != str(target.resolve()) and real(path, mode))
    else:
        os.chmod(target, 0o555)
    try:
        _, failed = save(outcome)
    finally:
        os.chmod(target, 0o755)
    assert failed == {"train.py": reason}
    assert Path("train.py").read_text() == HEAD + "x = a\n"
    assert os.listdir() == ["train.py"]


def test_what_is_no_regular_file(folder: Path) -> None:
    os.mkfifo("pipe.py")
    pipe = folder.resolve() / "pipe.py"
    source = read(__file__, "pipe.py")
    source = Source("pipe.py", pipe, source.kind, b"", "utf-8", False, "\n", "")
    with pytest.raises(writing.NotWrittenError, match="not a regular file"):
        writing.replace_file(source, b"x")


@pytest.mark.parametrize("call", ["fsync", "replace", "fchmod"])
def test_ctrl_c_leaves_the_old_file_and_nothing_else(call: str, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("train.py").write_text(HEAD + "x = a\n")
    outcome = repair(checked("train.py"), unsafe=False)

    def interrupt(*args: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(writing.os, call, interrupt)
        with pytest.raises(KeyboardInterrupt):
            save(outcome)
    assert Path("train.py").read_text() == HEAD + "x = a\n"
    assert os.listdir() == ["train.py"]


def test_files_of_one_fix_are_written_all_or_none(rules: Choose) -> None:
    def both(path, match, text):  # type: ignore[no-untyped-def]
        return [edit(text, *match.span(), "b"), edit(HEAD, 0, 0, "import os\n", "two.py")]

    rules(toy("DDP901", r"\bA1\b", both), toy("DDP902", r"\ba\b", "b"))
    Path("one.py").write_text(HEAD + "A1 = 1\n")
    Path("two.py").write_text(HEAD)
    Path("three.py").write_text(HEAD + "x = a\n")
    outcome = repair(checked("."), unsafe=False)
    assert len(outcome.changed) == 3
    Path("two.py").write_text(HEAD + "# saved\n")
    _, failed = save(outcome)
    assert set(failed) == {"one.py", "two.py"}
    assert Path("one.py").read_text() == HEAD + "A1 = 1\n"
    assert Path("three.py").read_text() == HEAD + "x = b\n"
