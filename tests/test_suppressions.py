"""Comments that hide findings: where they count, what they reach, and which of them are unused."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddplint.findings import Finding, Position, Severity, Span
from ddplint.suppressions import apply, find


@dataclass(frozen=True)
class Rule:
    name: str


RULES = {
    "DDP001": Rule("unused-suppression"),
    "DDP101": Rule("global-rank"),
    "DDP102": Rule("hardcoded-world-size"),
    "DDP103": Rule("localhost-master-addr"),
}


def finding(line: int, code: str = "DDP101") -> Finding:
    span = Span(Position(line, 1), Position(line, 2))
    return Finding(code, RULES[code].name, Severity.WARNING, "", "a.py", span)


def hidden(text: str, *findings: Finding) -> list[bool]:
    judged = apply(findings, find(textwrap.dedent(text)), RULES, "a.py")
    return [found.suppressed for found in judged[: len(findings)]]


def unused(text: str, *findings: Finding) -> list[tuple[str, str]]:
    """The text at fault and the message of every DDP001 that shows."""
    text = textwrap.dedent(text)
    lines = text.split("\n")
    reported = [found for found in apply(findings, find(text), RULES, "a.py") if found.code == "DDP001"]
    assert all(found.span.start.line == found.span.end.line for found in reported)
    return [
        (lines[found.span.start.line - 1][found.span.start.column - 1 : found.span.end.column - 1], found.message)
        for found in reported
        if not found.suppressed
    ]


@pytest.mark.parametrize(
    "comment",
    [
        "# noqa: DDP101",
        "#noqa:DDP101",
        "# NOQA : ddp101",
        "# noqa: F401, DDP101",
        "# noqa: F401 DDP101 because of",
        "# type: ignore # noqa: DDP101",
        "# one machine only  # ddplint: ignore[global-rank]",
        "# ddplint: ignore[DDP103, global-rank]",
        "# ddplint: ignore[global_rank]",
        "# DDPLINT: IGNORE[Global-Rank]",
        "#ddplint:ignore[DDP1]",
        "# ddplint: ignore[ALL]",
        "# ddplint: ignore",
    ],
)
def test_spellings(comment: str) -> None:
    assert hidden(f"x = 1  {comment}\ny = 2\n", finding(1), finding(2)) == [True, False]


@pytest.mark.parametrize(
    "comment",
    [
        "# noqa",
        "# noqa: F401",
        "# noqa DDP101",
        "# noqa: DDP102",
        "# ddplint: ignore[]",
        "# ddplint ignore[DDP101]",
        "# pylint: disable=DDP101",
        "# enough said of noqa: DDP101",
    ],
)
def test_comments_that_hide_nothing(comment: str) -> None:
    assert hidden(f"x = 1  {comment}\n", finding(1)) == [False]


CALL = ["init(", "    'nccl',", "    rank=rank,", ")"]


@pytest.mark.parametrize("at", range(4))
@pytest.mark.parametrize("comment", ["# noqa: DDP101", "# ddplint: ignore[global-rank]"])
def test_any_line_of_a_statement(at: int, comment: str) -> None:
    lines = [line + f"  {comment}" * (number == at) for number, line in enumerate(CALL)]
    text = "\n".join(["import os", *lines, "x = 1", ""])
    assert hidden(text, *map(finding, range(1, 7))) == [False, True, True, True, True, False]
    inside = "\n".join(["import os", *CALL[: at + 1], comment, *CALL[at + 1 :], "x = 1"])
    assert hidden(inside, finding(2)) == [at < 3]


def test_the_line_above_a_statement() -> None:
    text = """\
        x = 1
        # One machine. ddplint: nothing
        # ddplint: ignore[global-rank]

        # more to say
        with f(
            a
        ) as b:
            c
    """
    assert hidden(text, finding(1), finding(6), finding(8), finding(9)) == [False, True, True, False]


def test_decorators_belong_to_their_function() -> None:
    text = "# ddplint: ignore[DDP101]\n@a\n@b(\n  1)\ndef f(rank):\n    return rank\n"
    assert hidden(text, finding(2), finding(5), finding(6)) == [True, True, False]


def test_continuation_lines_and_long_strings() -> None:
    assert hidden("x = 1 + \\\n  2  # noqa: DDP101\n", finding(1)) == [True]
    assert hidden('x = f("""\na\n""")  # noqa: DDP101\ny\n', finding(1), finding(4)) == [True, False]


def test_strings_are_not_comments() -> None:
    text = '"""\n# ddplint: skip-file\n# ddplint: disable=ALL\n"""\nx = "# noqa: DDP101"\n'
    assert hidden(text, finding(1), finding(5)) == [False, False]
    assert unused(text) == []


def test_ranges() -> None:
    text = """\
        a
        # ddplint: disable=global-rank, DDP103
        b
        # ddplint: enable=DDP103
        c
        # ddplint: enable
        d
        e  # ddplint: disable
        f
    """
    found = [finding(line, code) for line in (1, 3, 5, 7, 8, 9) for code in ("DDP101", "DDP103")]
    assert hidden(text, *found) == [False, False, True, True, True, False, False, False, True, True, True, True]
    assert unused(text, *found) == []


def test_skip_file() -> None:
    text = "import os  # noqa: DDP101\n# ddplint: skip-file\n"
    assert hidden(text, finding(1), finding(2, "DDP103")) == [True, True]
    assert unused(text) == []


def test_unused_are_reported_at_the_rule_that_they_name() -> None:
    text = "x = 1  # noqa: F401, DDP103, DDP101  # ddplint: ignore[hardcoded-world-size]\n"
    assert unused(text, finding(1)) == [
        ("DDP103", '"DDP103" suppresses nothing: localhost-master-addr (DDP103) reports nothing here'),
        (
            "hardcoded-world-size",
            '"hardcoded-world-size" suppresses nothing: hardcoded-world-size (DDP102) reports nothing here',
        ),
    ]
    (noqa, ignore) = find(text).directives
    assert text[noqa.span.start.column - 1 : noqa.span.end.column - 1] == "# noqa: F401, DDP103, DDP101"
    assert ignore.span.end == Position(1, len(text))


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("# ddplint: disable=global-rank\nx = 1\n", "global-rank", "reports nothing here"),
        ("x = 1  # ddplint: ignore\n", "ignore", "suppresses nothing"),
        ("x  # ddplint: ignore[globl-rank]\n", "globl-rank", 'unknown rule "globl-rank" (did you mean "global-rank"?)'),
        ("# ddplint: enable=global-rnk\n", "global-rnk", 'did you mean "global-rank"?'),
        ("x  # noqa: DDP999\n", "DDP999", 'unknown rule "DDP999"'),
        ("x  # ddplint: ignore[F401]\n", "F401", 'unknown rule "F401"'),
        ("x  # ddplint: ingore[global-rank]\n", "ingore", 'unknown directive "ingore" (did you mean "ignore"?)'),
        ("é = 'ü'\t # ddplint: ignore[DDP103]\r\n", "DDP103", "suppresses nothing"),
    ],
)
def test_unused_messages(text: str, place: str, message: str) -> None:
    ((where, said),) = unused(text)
    assert where == place
    assert message in said


def test_prose_about_ddplint_is_not_a_directive() -> None:
    assert unused("# ddplint: finds what breaks\nx  # see ddplint\n") == []


def test_rules_that_did_not_run_are_not_judged() -> None:
    suppressions = find("x  # noqa: DDP101, DDP103\n")
    reported = apply([], suppressions, RULES, "a.py", lambda code: code != "DDP101")
    assert [found.span.start.column for found in reported] == [20]


def test_an_unused_suppression_can_be_hidden_by_name() -> None:
    assert unused("x  # noqa: DDP101, DDP001\n") == []
    assert [place for place, _ in unused("x  # noqa: DDP101, DDP001\n", finding(1))] == ["DDP001"]
    assert [place for place, _ in unused("x  # ddplint: ignore[ALL]\n")] == ["ALL"]


def test_every_kind_of_line_break() -> None:
    for newline in ("\n", "\r\n", "\r"):
        text = newline.join(["a", "\fb  # noqa: DDP101", "c", ""])
        assert hidden(text, finding(1), finding(2), finding(3)) == [False, True, False]


def test_files_that_do_not_tokenize_keep_what_was_read() -> None:
    for rest in ("f(\n", '"""\n', "   x\n  y\n z\n", "$ ?\n", "0777x 'a\n"):
        assert hidden("a  # noqa: DDP101\nif x:\n" + rest, finding(1)) == [True]


DIRECTIVES = st.sampled_from(
    ["# noqa: DDP101", "# ddplint: ignore[ALL]", "# ddplint: disable=ALL", "# ddplint: skip-file", "# ddplint: disable"]
)


@given(DIRECTIVES, st.sampled_from(['"', "'", '"""', "'''"]), st.sampled_from(["", "r", "b", "f", "rb"]), st.booleans())
def test_no_string_ever_suppresses(comment: str, quote: str, prefix: str, long: bool) -> None:
    inside = f"\n{comment}\n" if long and len(quote) == 3 else comment
    text = f"x = {prefix}{quote}{inside}{quote}\ny = 1\n"
    assert find(text).directives == ()


@given(st.lists(st.tuples(st.sampled_from(["a = 1", "f(1,", "2)", "if x:", "  y", "'''", "# c", ""]), st.booleans())))
def test_findings_are_neither_lost_nor_changed(lines: list[tuple[str, bool]]) -> None:
    text = "\n".join(line + "  # noqa: DDP101" * marked for line, marked in lines)
    found = [finding(number) for number in range(1, len(lines) + 1)]
    judged = apply(found, find(text), RULES, "a.py")
    assert [(item.code, item.span) for item in judged[: len(found)]] == [(item.code, item.span) for item in found]
    hiding = {directive.lines for directive in find(text).directives}
    for item in judged[: len(found)]:
        assert item.suppressed == any(first <= item.span.start.line <= last for first, last in hiding)


@given(st.text(alphabet="#noqa: DP1dlint[]=ignore,\n\"'\r\f\\("))
def test_any_text_is_read(text: str) -> None:
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    for directive in find(text).directives:
        assert lines[directive.span.start.line - 1][directive.span.start.column - 1] == "#"
