"""Positions are those of LibCST's own provider, which is too slow to lint with but a good judge."""

from __future__ import annotations

import io
import re
import tokenize
import warnings
from collections.abc import Iterator
from pathlib import Path

import libcst as cst
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from libcst.metadata import MetadataWrapper, PositionProvider

from ddplint.findings import Position, Span
from ddplint.program.positions import Positions

ROOT = Path(__file__).parents[2]

# The syntax of Python, piece by piece: "##### name" and then the code up to the next such line.
_PARTS = re.split(r"^##### (.*)\n", (Path(__file__).parent / "snippets.txt").read_text("utf-8"), flags=re.MULTILINE)
SNIPPETS = dict(zip(_PARTS[1::2], _PARTS[2::2], strict=True)) | {
    "tabs": "if a:\n\tb()\n\tif c:\n\t\td(e)\n\telse:\n\t  f()\n",
    "many elifs": "if x == 0: a(0)\n" + "".join(f"elif x == {i}:\n    a({i})\n" for i in range(1, 100)),
    "only a comment": "# a",
    "blank": "\n  \n\n",
    "empty": "",
    "no last newline": "if a:\n    b(c)",
    "carriage returns": "a = 'b'  # c\rd(e)\nf = '''g\rh'''; i(j)\n",
}
TEXTS = [pytest.param(text, id=name) for name, text in SNIPPETS.items()]


def judged(tree: cst.Module) -> list[tuple[cst.CSTNode, Span]]:
    """All nodes of a tree with the spans that the provider gives them."""
    ranges = MetadataWrapper(tree, unsafe_skip_copy=True).resolve(PositionProvider)
    return [
        (node, Span(Position(found.start.line, found.start.column + 1), Position(found.end.line, found.end.column + 1)))
        for node, found in ranges.items()
    ]


def is_cheap(node: cst.CSTNode) -> bool:
    """Whether positions of such nodes are found without a look at the whole module."""
    clauses = cst.Else, cst.Finally, cst.ExceptHandler, cst.ExceptStarHandler, cst.MatchCase
    parts = cst.Arg, cst.Param, cst.Annotation, cst.WithItem, cst.Decorator, cst.ImportAlias, cst.AsName, cst.CompFor
    kinds = cst.BaseExpression, cst.BaseStatement, cst.BaseSmallStatement, cst.BaseSuite, *clauses, *parts
    return isinstance(node, kinds)


def check(text: str) -> None:
    tree = cst.parse_module(text)
    positions = Positions(tree, text)
    found = [(type(node).__name__, positions.span(node), span) for node, span in judged(tree) if is_cheap(node)]
    assert [one for one in found if one[1] != one[2]] == []


@pytest.mark.parametrize("text", TEXTS)
def test_agrees_with_the_provider(text: str) -> None:
    check(text)


@pytest.mark.parametrize("text", TEXTS)
def test_agrees_when_every_line_occurs_twice(text: str) -> None:
    check(text + "\n" + text)


@pytest.mark.parametrize("text", [param for param in TEXTS if "\r" not in param.values[0]])
@pytest.mark.parametrize("newline", ["\r\n", "\r"])
def test_agrees_for_other_newlines(text: str, newline: str) -> None:
    check(text.replace("\n", newline))


@pytest.mark.parametrize("text", TEXTS)
def test_agrees_where_python_does_not_know_the_syntax(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ddplint.program.positions.statement_starts", lambda tree, text: None)
    check(text + "\n" + text)


@pytest.mark.parametrize("text", TEXTS)
def test_does_not_depend_on_what_was_asked_before(text: str) -> None:
    tree = cst.parse_module(text)
    expected = [(node, span) for node, span in judged(tree) if is_cheap(node)]
    found = [(type(node).__name__, Positions(tree, text).span(node), span) for node, span in expected]
    assert [one for one in found if one[1] != one[2]] == []


@pytest.mark.parametrize(
    "path",
    [str(path.relative_to(ROOT)) for top in ("ddplint", "tests") for path in sorted(ROOT.glob(f"{top}/**/*.py"))],
)
def test_agrees_on_our_own_files(path: str) -> None:
    text = (ROOT / path).read_bytes().decode()
    try:
        cst.parse_module(text)
    except cst.ParserSyntaxError:
        pytest.skip("broken on purpose")
    check(text)


def test_agrees_on_the_module_and_on_layout() -> None:
    text = SNIPPETS["comments"] + SNIPPETS["expressions"]
    tree = cst.parse_module(text)
    positions = Positions(tree, text)
    assert [positions.span(node) for node, _ in judged(tree)] == [span for _, span in judged(tree)]


def insertions(text: str) -> tuple[list[int], list[int]]:
    """Where a comment may be added to the end of a line, and where a line may be put between two."""
    starts = [0, *(at + 1 for at, character in enumerate(text) if character == "\n")]
    ends = [
        starts[token.start[0] - 1] + token.start[1]
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type == tokenize.NEWLINE and token.string == "\n"
    ]
    return ends, [0, *(end + 1 for end in ends)]


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_agrees_whatever_stands_between_the_statements(data: st.DataObject) -> None:
    # Python before 3.12 splits "\r" in its own way when it tokenizes, and a long text only costs time here
    texts = [text for text in SNIPPETS.values() if "\r" not in text and len(text) < 2000]
    text = data.draw(st.sampled_from(texts))
    ends, lines = insertions(text)
    inserts = st.sampled_from(["  ", "\t", "# a", "  # ü", " \t# b()"])
    between = st.sampled_from(["\n", "  \n", "\t# c\n", "# é = d()\n", "        # e\n\n", "\r\n", "# f\r\n"])
    added = data.draw(st.dictionaries(st.sampled_from(ends), inserts, max_size=8)) if ends else {}
    added |= data.draw(st.dictionaries(st.sampled_from(lines), between, max_size=8))
    for at in sorted(added, reverse=True):
        text = text[:at] + added[at] + text[at:]
    check(text)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("\ufeffname = f(other); third\n", id="byte order mark"),
        pytest.param("\\\nname = f(other)\nthird\n", id="backslash before a statement"),
        pytest.param("if a:\n\f name(b)\n\f third\n", id="form feed before a statement"),
        pytest.param("a = [\n\f name,\n\f other]\n\f\nthird\n", id="form feed in a statement"),
        pytest.param("'''\nname(a)\n'''\n\fif name(a):\n\f  name(a)\nelse: other\n", id="form feed and a copy"),
    ],
)
def test_is_true_to_the_file_where_the_tree_is_not(text: str) -> None:
    tree = cst.parse_module(text)
    positions = Positions(tree, text)
    lines = text.removeprefix("\ufeff").split("\n")
    names = [node for node in descendants(tree) if isinstance(node, cst.Name)]
    spans = [positions.span(name) for name in names]
    assert [lines[span.start.line - 1][span.start.column - 1 : span.end.column - 1] for span in spans] == [
        name.value for name in names
    ]


def descendants(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    for child in node.children:
        yield child
        yield from descendants(child)


def test_several_spans_at_once() -> None:
    text = SNIPPETS["nested"]
    tree = cst.parse_module(text)
    expected = [(node, span) for node, span in judged(tree) if is_cheap(node)]
    spans = Positions(tree, text).spans(node for node, _ in expected)
    assert spans == {id(node): span for node, span in expected}


def test_line() -> None:
    tree = cst.parse_module("\n\na = (\n    b\n)\n")
    name = next(node for node in descendants(tree) if isinstance(node, cst.Name) and node.value == "b")
    assert Positions(tree, "\n\na = (\n    b\n)\n").line(name) == 4


def test_a_node_of_another_tree_is_unknown() -> None:
    text = "a(b)\n"
    positions = Positions(cst.parse_module(text), text)
    stranger = cst.parse_module(text).body[0]
    for ask in positions.span, positions.line, positions.statement_span, lambda node: positions.spans([node]):
        with pytest.raises(KeyError):
            ask(stranger)


@pytest.mark.parametrize(
    ("marked", "expected"),
    [
        ("a(); b(HERE, c); d()\n", ((1, 6), (1, 16))),
        ("if a:\n    b = (\n        HERE\n    )\n", ((2, 5), (4, 6))),
        ("if a: b(HERE)\n", ((1, 7), (1, 14))),
        ("if HERE:\n    b()\nelse:\n    c()\nd()\n", ((1, 1), (4, 8))),
        ("if a:\n    b()\nelif HERE:\n    c()\n", ((3, 1), (4, 8))),
        ("try:\n    a()\nexcept HERE:\n    b()\n", ((1, 1), (4, 8))),
        ("@HERE\ndef a():\n    b()\n", ((2, 1), (3, 8))),
        ("def a(b=HERE): return lambda: c\n", ((1, 1), (1, 32))),
    ],
)
def test_statement_span(marked: str, expected: tuple[tuple[int, int], tuple[int, int]]) -> None:
    tree = cst.parse_module(marked)
    here = next(node for node in descendants(tree) if isinstance(node, cst.Name) and node.value == "HERE")
    start, end = expected
    assert Positions(tree, marked).statement_span(here) == Span(Position(*start), Position(*end))


def test_the_statement_of_a_statement_is_itself() -> None:
    text = SNIPPETS["nested"] + SNIPPETS["try"]
    tree = cst.parse_module(text)
    positions = Positions(tree, text)
    for node in descendants(tree):
        if isinstance(node, (cst.BaseStatement, cst.BaseSmallStatement)):
            assert positions.statement_span(node) == positions.span(node)
    with pytest.raises(KeyError):
        positions.statement_span(tree)


def test_does_not_generate_the_module(monkeypatch: pytest.MonkeyPatch) -> None:
    newer = "type parameters", "type alias", "except groups"  # than the oldest Python that we run on
    text = "\n".join(text for name, text in SNIPPETS.items() if name not in newer)
    tree = cst.parse_module(text)
    expected = [(node, span) for node, span in judged(tree) if is_cheap(node)]
    monkeypatch.delattr(cst.Module, "_codegen_impl")
    positions = Positions(tree, text)
    assert [positions.span(node) for node, _ in expected] == [span for _, span in expected]


def test_says_nothing_about_the_code() -> None:
    text = "a = '\\d'\na = '\\d'\n"
    tree = cst.parse_module(text)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert Positions(tree, text).line(tree.body[1]) == 2


def test_code_too_deep_to_generate_is_at_the_start_of_its_statement() -> None:
    text = "a\nb = " + " + ".join(["c"] * 900) + "\nd(e)\n"
    tree = cst.parse_module(text)
    positions = Positions(tree, text)
    deepest = tree.body[1].body[0].value
    while isinstance(deepest, cst.BinaryOperation):
        deepest = deepest.left
    assert positions.line(deepest) == 2
    assert positions.span(tree.body[2]) == Span(Position(3, 1), Position(3, 5))
