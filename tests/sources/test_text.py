"""Decoding: what Python reads is read the same way, what it refuses is refused at the byte at fault."""

from __future__ import annotations

import io
import os
import tokenize
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddplint.findings import Position
from ddplint.sources import SourceError, from_bytes, read, read_bytes, split_lines


def refused(data: bytes) -> SourceError:
    with pytest.raises(SourceError) as caught:
        from_bytes(data, "a.py", None)
    return caught.value


@pytest.mark.parametrize(
    ("data", "encoding", "text"),
    [
        (b"", "utf-8", ""),
        ("x = 'é'\n".encode(), "utf-8", "x = 'é'\n"),
        (b"# -*- coding: latin-1 -*-\nx = '\xe9'\n", "iso8859-1", "# -*- coding: latin-1 -*-\nx = 'é'\n"),
        (b"#!/usr/bin/python\r\n# vim: set fileencoding=cp1252 :\r\n\x80", "cp1252", None),
        (b"\n# coding: latin-1\n\xe9", "iso8859-1", None),
        # Not in the first two lines, or behind code: no declaration.
        (b"\n\n# coding: latin-1\n", "utf-8", None),
        (b"x = 1\n# coding: latin-1\n", "utf-8", None),
        (b"x = 1  # coding: latin-1\n", "utf-8", None),
        # A lone carriage return ends a line.
        (b"x = 1\r# coding: latin-1\r", "utf-8", None),
        (b"\f# coding: latin-1\n", "iso8859-1", None),
    ],
)
def test_encoding(data: bytes, encoding: str, text: str | None) -> None:
    source = from_bytes(data, "a.py", None)
    assert source.encoding == encoding
    assert source.text.encode(encoding) == data
    assert text is None or source.text == text


def test_byte_order_mark_is_removed_and_remembered() -> None:
    source = from_bytes(b"\xef\xbb\xbf# coding: utf-8\r\nx = 1\r\n", "a.py", None)
    assert (source.bom, source.newline, source.text) == (True, "\r\n", "# coding: utf-8\r\nx = 1\r\n")


@pytest.mark.parametrize(
    ("data", "position", "part"),
    [
        (b"x = 1\ny = '\xe9'\n", Position(2, 6), "byte 0xe9 is not UTF-8"),
        ("é = 1\r\nx = 'é".encode() + b"\xff'", Position(2, 7), "0xff"),
        (b"a\rb\r\xff", Position(3, 1), "0xff"),
        (b"x = 1\n\0", Position(2, 1), "NUL"),
        (b"# coding: klingon\n", Position(1, 11), "unknown encoding: klingon"),
        (b"# coding: rot13\n", Position(1, 11), "not a text encoding"),
        (b"# coding: utf-16\n", Position(1, 11), "utf-16"),
        (b"\xef\xbb\xbf# coding: latin-1\n", Position(1, 11), "mark of UTF-8"),
        ("x = 1".encode("utf-16"), Position(1, 1), "UTF-16"),
        ("x = 1".encode("utf-32"), Position(1, 1), "UTF-32"),
        (b"# coding: undefined\n", Position(1, 11), "undefined"),
    ],
)
def test_refused(data: bytes, position: Position, part: str) -> None:
    error = refused(data)
    assert error.position == position
    assert part in error.message
    assert str(error).startswith("a.py: ")


@pytest.mark.parametrize(
    ("text", "newline"),
    [("", "\n"), ("a", "\n"), ("a\r\nb\r\nc\n", "\r\n"), ("a\rb\r", "\r"), ("a\nb\r\n", "\n")],
)
def test_newline_is_the_usual_one(text: str, newline: str) -> None:
    assert from_bytes(text.encode(), "a.py", None).newline == newline


def test_split_lines_breaks_only_where_python_does() -> None:
    assert split_lines("a\fb\u2028c\x85d\r\ne\rf\ng") == ["a\fb\u2028c\x85d\r\n", "e\r", "f\n", "g"]
    assert split_lines("") == []
    assert split_lines("\n") == ["\n"]


@given(st.text(alphabet="ab \t\f\r\n\u2028é"))
def test_split_lines_loses_nothing(text: str) -> None:
    lines = split_lines(text)
    assert "".join(lines) == text
    assert lines == list(io.StringIO(text, newline=""))


@given(
    st.sampled_from([b"", b"\xef\xbb\xbf"]),
    st.lists(
        st.sampled_from([b"# coding: latin-1", b"# coding=utf-8", b"#", b"", b"x = 1", b"# -*- coding: cp1251 -*-"])
    ),
    st.sampled_from([b"\n", b"\r\n"]),
)
def test_agrees_with_the_standard_library(mark: bytes, lines: list[bytes], newline: bytes) -> None:
    data = mark + newline.join(lines)
    try:
        expected = tokenize.detect_encoding(io.BytesIO(data).readline)[0]
    except SyntaxError:
        refused(data)
        return
    source = from_bytes(data, "a.py", None)
    assert source.text == data.decode(expected)
    assert (b"\xef\xbb\xbf" if source.bom else b"") + source.text.encode(source.encoding) == data


def test_read(tmp_path: Path) -> None:
    (tmp_path / "a b\nc.py").write_bytes(b"x = 1\n")
    (tmp_path / "link.py").symlink_to(tmp_path / "a b\nc.py")
    source = read(tmp_path / "link.py", "link.py")
    assert (source.path, source.text, source.file) == ("link.py", "x = 1\n", (tmp_path / "a b\nc.py").resolve())


def test_unusable_files(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="gone"):
        read_bytes(tmp_path / "vanished.py", "vanished.py")
    with pytest.raises(SourceError, match="cannot be read"):
        read_bytes(tmp_path, "folder.py")
    locked = tmp_path / "locked.py"
    locked.write_text("")
    locked.chmod(0)
    if not os.access(locked, os.R_OK):
        with pytest.raises(SourceError, match="Permission denied"):
            read_bytes(locked, "locked.py")


def test_large_file() -> None:
    data = b"x = [1, 2, 3]\n" * 400_000
    assert len(from_bytes(data, "a.py", None).text) == len(data)
