"""What people see: goldens of whole findings, and carets under the right cells."""

from __future__ import annotations

import io

import pytest
from reports import duplicate, finding, report, span

from ddplint.findings import Counterexample, Process, Severity
from ddplint.reporters import Style, reporter
from ddplint.reporters.frame import frame
from ddplint.reporters.wording import printable, summary

ESCAPE = "\x1b["


class Terminal(io.StringIO):
    """A stream that says it is one."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


class Pipe(io.StringIO):
    """A file or a pipe."""

    encoding = "utf-8"


def written(findings: list, width: int | None = None, **style: object) -> str:
    stream = Pipe() if width is None else Terminal()
    reporter("text")(report(findings), stream, Style(width=width, **style))
    return stream.getvalue()


PIPED = """\
train.py:3:22: error DDP101 global-rank
  rank is the index that mp.spawn gives on each node, so two processes claim the same rank

    2 │ dist.init_process_group(
    3 │     "nccl", rank=rank, world_size=args.world_size
      │                  ^^^^
    4 │ )

  from: rank comes from the spawn index (launch.py:88)
  when: 2 nodes x 2 processes: node 0 local rank 0 and node 1 local rank 0 both claim rank 0
        node  local rank  rank  world size
           0           0     0           4  ← also claimed by node 1
           0           1     1           4  ← also claimed by node 1
           1           0     0           4  ← also claimed by node 0
           1           1     1           4  ← also claimed by node 0
  help: pass node_rank * nprocs + local_rank

Found 1 finding (1 error) in 1 of 12 files.
1 fixable with --fix --unsafe-fixes.
Why, and what to do: ddplint rule DDP101
"""

NARROW = """\
train.py:3:22: error DDP101 global-rank
  rank is the index that mp.spawn gives on each node, so
  two processes claim the same rank

    2 │ dist.init_process_group(
    3 │     "nccl", rank=rank, world_size=args.world_size
      │                  ^^^^
    4 │ )

  from: rank comes from the spawn index (launch.py:88)
  when: 2 nodes x 2 processes: node 0 local rank 0 and node
        1 local rank 0 both claim rank 0
        node  local rank  rank  world size
           0           0     0           4  ← also claimed …
           0           1     1           4  ← also claimed …
           1           0     0           4  ← also claimed …
           1           1     1           4  ← also claimed …
  help: pass node_rank * nprocs + local_rank

Found 1 finding (1 error) in 1 of 12 files.
1 fixable with --fix --unsafe-fixes.
Why, and what to do: ddplint rule DDP101
"""


def test_finding_in_a_pipe() -> None:
    assert written([duplicate()]) == PIPED


def test_finding_on_a_narrow_terminal() -> None:
    assert written([duplicate()], width=60, color="never") == NARROW


@pytest.mark.parametrize("width", [40, 80, 120])
def test_nothing_but_the_place_is_wider_than_the_terminal(width: int) -> None:
    long = finding(message="word " * 200, where=span(1, 1, 300))
    for line in written([long, duplicate()], width=width, color="never").splitlines():
        assert len(line) <= width or line.startswith(("train.py:", "Found", "Why"))


def test_a_pipe_gets_no_escape_codes_and_whole_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    path = "/".join(["a folder with a long name"] * 8) + "/train.py"
    text = written([finding(path=path, message="word " * 100)])
    assert ESCAPE not in text
    assert f"{path}:1:1: warning DDP103" in text
    assert "word " * 99 in text


@pytest.mark.parametrize(
    ("environment", "color", "terminal", "expected"),
    [
        ({}, "auto", True, True),
        ({}, "auto", False, False),
        ({"NO_COLOR": "1"}, "auto", True, False),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, "auto", True, False),
        ({"TERM": "dumb"}, "auto", True, False),
        ({"FORCE_COLOR": "1"}, "auto", False, True),
        ({"NO_COLOR": "1"}, "always", False, True),
        ({"FORCE_COLOR": "1"}, "never", True, False),
    ],
)
def test_when_there_is_color(
    environment: dict[str, str], color: str, terminal: bool, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    for findings in ([duplicate()], []):
        stream = Terminal() if terminal else Pipe()
        reporter("text")(report(findings), stream, Style(color=color))
        assert (ESCAPE in stream.getvalue()) == expected


def test_what_looks_like_markup_is_not() -> None:
    text = 'print("[red]x[/red] :smile: [/]")\n'
    stream = Terminal()
    found = finding(message="[bold]x[/bold] [/]", path="[red].py")
    reporter("text")(report([found], text=text), stream, Style(color="never", width=100))
    assert text.strip() in stream.getvalue()
    assert "[bold]x[/bold] [/]" in stream.getvalue()
    assert "[red].py:1:1: " in stream.getvalue()


def test_escape_codes_in_a_script_or_a_name_do_not_reach_the_terminal() -> None:
    text = 'x = "\x1b[2J\x9b31m\u202e"\n'
    stream = Pipe()
    found = finding(path="new\nline\x1b[1m.py", message="a\x1b[2Jb")
    reporter("text")(report([found], text=text), stream, Style())
    assert not set(stream.getvalue()) & {"\x1b", "\x9b", "\u202e"}
    assert "new\\nline\\x1b[1m.py:1:1:" in stream.getvalue()


def test_ascii_console() -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="backslashreplace", newline="")
    reporter("text")(report([duplicate()]), stream, Style())
    stream.flush()
    text = stream.buffer.getvalue().decode("ascii")  # type: ignore[attr-defined]
    assert "    3 |     " in text
    assert "<- also claimed by node 1" in text
    assert "\\u" not in text


def test_suppressed_findings_are_only_counted() -> None:
    text = written([finding(suppressed=True, message="hidden"), finding(message="seen")])
    assert "hidden" not in text
    assert "Found 1 finding (1 warning) in 1 of 12 files. 1 finding suppressed." in text


def test_quiet_leaves_findings_only() -> None:
    assert "Found" not in written([duplicate()], quiet=True)
    assert written([], quiet=True) == ""


def test_statistics() -> None:
    text = written([finding(), finding(), duplicate()], statistics=True)
    assert "2  DDP103  localhost-master-addr\n1  DDP101  global-rank\n" in text


def test_summary() -> None:
    three = [finding(), finding(path="b.py"), duplicate()]
    assert summary(report(three)) == "Found 3 findings (1 error, 2 warnings) in 2 of 12 files."
    assert summary(report([])) == "No findings in 12 files (3 distributed)."
    assert summary(report([finding(severity=Severity.NOTE)], files=1, checked=1)) == (
        "Found 1 finding (1 note) in 1 of 1 file."
    )


def test_large_counterexample_is_cut_to_what_matters() -> None:
    processes = tuple(
        Process(rank // 8, rank % 8, rank=rank, trouble="duplicate rank" if rank in (3, 60) else None)
        for rank in range(64)
    )
    text = written([finding(counterexample=Counterexample(8, 8, processes, "8 nodes x 8 processes"))])
    assert text.count("← duplicate rank") == 2
    assert "and 54 more" in text


def test_columns_without_values_are_left_out_and_unknown_ones_marked() -> None:
    processes = (Process(0, 0, device=0), Process(0, 1, device=None, trouble="no such device"))
    text = written([finding(counterexample=Counterexample(1, 2, processes, "1 node x 2 processes"))])
    assert "node  local rank  device\n" in text
    assert "   0           1       ?  ← no such device" in text


def carets(text: str, line: int, column: int, end: int, width: int = 80) -> tuple[str, str]:
    marked = next(found for found in frame(text, span(line, column, end), width) if found.width)
    return marked.text, " " * marked.caret + "^" * marked.width


@pytest.mark.parametrize(
    ("text", "column", "end", "shown", "marks"),
    [
        ("x = rank", 5, 9, "x = rank", "    ^^^^"),
        ("\tx = rank", 6, 10, "x = rank", "    ^^^^"),
        ("if a:\tx = rank", 11, 15, "if a:   x = rank", "            ^^^^"),
        ('f("日本", rank)', 9, 13, 'f("日本", rank)', "          ^^^^"),
        ('f("e\u0301", rank)', 9, 13, 'f("e\u0301", rank)', "       ^^^^"),
        ("f(日本)", 3, 5, "f(日本)", "  ^^^^"),
        ("abc", 4, 5, "abc", "   ^"),
        ("abc", 9, 12, "abc", "   ^"),
        ("\x0cx = 1", 2, 3, "x = 1", "^"),
    ],
)
def test_carets_are_under_the_right_cells(text: str, column: int, end: int, shown: str, marks: str) -> None:
    assert carets(text, 1, column, end) == (shown, marks)


def test_a_span_over_several_lines_is_marked_to_the_end_of_its_first() -> None:
    lines = frame("call(\n    a,\n)\n", span(1, 1, 2, end_line=3), 80)
    assert [(line.number, line.width) for line in lines] == [(1, 5), (2, 0)]


def test_long_line_is_shown_around_the_mark() -> None:
    text = "x = [" + "0, " * 5_000 + "rank" + ", 0" * 5_000 + "]"
    shown, marks = carets(text, 1, 15_006, 15_010, width=60)
    assert len(shown) <= 60
    assert shown[marks.index("^") : len(marks)] == "rank"
    assert shown.startswith("…")
    assert shown.endswith("…")


def test_wide_letters_are_not_cut_in_half() -> None:
    text = "x = '" + "日" * 200 + "' + rank"
    shown, marks = carets(text, 1, 210, 214, width=41)
    assert "rank" in shown
    assert marks.count("^") == 4


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_line_ends_of_every_kind(newline: str) -> None:
    text = newline.join(["a", "b = rank", "c", ""])
    assert [line.text for line in frame(text, span(2, 5, 9), 80)] == ["a", "b = rank", "c"]


def test_place_that_the_file_does_not_have() -> None:
    assert frame("", span(7, 1, 2), 80) == []
    assert [line.number for line in frame("x = (\n", span(2, 1, 2), 80)] == [1, 2]


def test_printable_keeps_what_is_harmless() -> None:
    assert printable("naïve 日本 👩‍🔬") == "naïve 日本 👩‍🔬"
    assert printable("a\tb\r\n") == "a\\tb\\r\\n"
