"""``--add-ignore``: the comment goes where it hides the finding, and changes nothing else."""

from __future__ import annotations

import ast
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from toys import HEAD, toy

import ddplint.rules
from ddplint.cli import main
from ddplint.fixes import hide
from ddplint.linter import examine
from ddplint.settings import Settings

Choose = Callable[..., None]
TAG = "# ddplint: ignore[toy-ddp901]"


@pytest.fixture(autouse=True)
def letters(rules: Choose) -> None:
    """Rules that report the letters a and c, wherever they stand."""
    rules(toy("DDP901", r"\ba\b", None), toy("DDP902", r"\bc\b", None))


def hidden(text: str) -> str:
    """The script afterwards: everything in it is hidden, and a second time changes nothing."""
    Path("train.py").write_bytes((HEAD + text).encode())
    assert main(["train.py", "-q"]) == 1
    assert main(["train.py", "--add-ignore"]) == 0
    after = Path("train.py").read_bytes()
    assert main(["train.py", "--fail-on", "note"]) == 0
    assert main(["train.py", "--add-ignore"]) == 0
    assert Path("train.py").read_bytes() == after
    assert os.listdir() == ["train.py"]
    assert ast.dump(ast.parse(after)) == ast.dump(ast.parse(HEAD + text))
    return after.decode().removeprefix(HEAD)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("x = a\n", f"x = a  {TAG}\n"),
        ("x = a", f"x = a  {TAG}"),
        ("x = a   \r\ny = 1\r\n", f"x = a  {TAG}   \r\ny = 1\r\n"),
        ("x = a, c\n", "x = a, c  # ddplint: ignore[toy-ddp901, toy-ddp902]\n"),
        ("x = a  # said\n", f"x = a  # said  {TAG}\n"),
        ("x = a  # type: ignore\n", f"x = a  # type: ignore  {TAG}\n"),
        ("x = a  # noqa: F401\n", f"x = a  # noqa: F401  {TAG}\n"),
        # A statement of several lines, once.
        (
            "f(\n    1,\n    a,\n    c,\n)\n",
            "f(\n    1,\n    a,  # ddplint: ignore[toy-ddp901, toy-ddp902]\n    c,\n)\n",
        ),
        # Lists that are there.
        ("x = a, c  # ddplint: ignore[toy-ddp902]\n", "x = a, c  # ddplint: ignore[toy-ddp902, toy-ddp901]\n"),
        ("x = a, c  # ddplint: ignore=toy-ddp902\n", "x = a, c  # ddplint: ignore=toy-ddp902, toy-ddp901\n"),
        (
            "# ddplint: ignore[toy-ddp902] why\nf(c,\n  a)\n",
            "# ddplint: ignore[toy-ddp902, toy-ddp901] why\nf(c,\n  a)\n",
        ),
        ("x = a, c  # noqa: DDP902\n", f"x = a, c  # noqa: DDP902  {TAG}\n"),
        # Where no comment can follow.
        (
            "if x:\n    y = 1 + \\\n        a + \\\n        2\n",
            f"if x:\n    {TAG}\n    y = 1 + \\\n        a + \\\n        2\n",
        ),
        ("y = 1 + \\\n    a\n", f"y = 1 + \\\n    a  {TAG}\n"),
        ('y = f("""\na\n""", 1)\n', f'{TAG}\ny = f("""\na\n""", 1)\n'),
        ('y = f("""\n""", a)\n', f'y = f("""\n""", a)  {TAG}\n'),
        ('\ty = """ a\n"""\n'.replace("\t", "if x:\n\t"), f'if x:\n\t{TAG}\n\ty = """ a\n"""\n'),
        ('y = f"""{\n  a\n}"""\n', f'{TAG}\ny = f"""{{\n  a\n}}"""\n'),
        ("x = a  # fmt: skip\n", f"{TAG}\nx = a  # fmt: skip\n"),
        # Compound statements.
        ("if a:\n    pass\n", f"if a:  {TAG}\n    pass\n"),
        ("if x:\n    pass\nelif f(\n    a\n):\n    pass\n", f"if x:\n    pass\nelif f(\n    a  {TAG}\n):\n    pass\n"),
        (
            'if x:\n    pass\nelif f("""\na\n"""):\n    pass\n',
            f'if x:\n    pass\n{TAG}\nelif f("""\na\n"""):\n    pass\n',
        ),
        ("@f(a)\ndef g(): pass\n", f"@f(a)  {TAG}\ndef g(): pass\n"),
        ("@f\n@f('''\na\n''')\ndef g():\n    pass\n", f"@f\n{TAG}\n@f('''\na\n''')\ndef g():\n    pass\n"),
        ("x = 1; y = a\n", f"x = 1; y = a  {TAG}\n"),
        # A suppression that hides nothing.
        ("x = 1  # noqa: DDP901\n", "x = 1  # noqa: DDP901  # ddplint: ignore[unused-suppression]\n"),
        (
            "# ddplint: ignore[toy-ddp902]\nx = 1\n",
            "# ddplint: ignore[toy-ddp902, unused-suppression]\nx = 1\n",
        ),
        ("# ddplint: disable=DDP9\n\n", "# ddplint: disable=DDP9  # ddplint: ignore[unused-suppression]\n\n"),
        ("x = 1  # ddplint: ignore[tpyo]\n", "x = 1  # ddplint: ignore[tpyo, unused-suppression]\n"),
        (
            "x = 1  # ddplint: ingore[DDP901]\n",
            "x = 1  # ddplint: ingore[DDP901]  # ddplint: ignore[unused-suppression]\n",
        ),
    ],
)
def test_placed(before: str, after: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert hidden(before) == after


def test_what_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    Path("train.py").write_text(HEAD + "x = a\ny = c\nz = c  # noqa: DDP902\n")
    Path("bad.py").write_text(HEAD + "(\n")
    Path("helper.py").write_text("import os\nos.environ['A'] = a\n")
    Path("two.py").write_text(HEAD + "import helper\nx = (a,\n     c)\n")
    assert main(["--add-ignore", "train.py", "two.py"]) == 0
    assert capsys.readouterr().out == (
        "No findings in 2 files (2 distributed). 6 findings suppressed.\n"
        "Added suppressions for 5 findings in 3 files.\n"
    )
    assert main(["--add-ignore", "train.py"]) == 0
    assert capsys.readouterr().out.endswith("\nAdded no suppression.\n")
    # What does not parse cannot be hidden.
    assert main(["--add-ignore"]) == 1
    assert "bad.py:3:1: error DDP000" in capsys.readouterr().out.replace("bad.py:2:1", "bad.py:3:1")


def test_encoding_stays() -> None:
    data = ("# coding: latin-1\n" + HEAD + "x = a, 'é'\r\n").encode("latin-1")
    Path("train.py").write_bytes(data)
    assert main(["train.py", "--add-ignore", "-q"]) == 0
    assert Path("train.py").read_bytes() == data.replace(b"\r\n", f"  {TAG}\r\n".encode())


LINES = st.sampled_from(
    [
        "x = a",
        "x = a, c  # said",
        "x = a  # ddplint: ignore[toy-ddp902]",
        "x = c  # noqa: DDP901",
        "# ddplint: ignore[toy-ddp901]",
        "# ddplint: disable=DDP901",
        "# ddplint: enable",
        "f(a,  # said\n  c)",
        "f(c,\n  # ddplint: ignore[DDP901, typo]\n  a)",
        "y = a + \\\n  c",
        "y = '''a\nc'''",
        "y = f('''\na''', c)  # said",
        "if c: y = a",
        "if a:\n    y = '''\n  c'''\nelse:\n    # a\n    pass",
        "@f(\n  a)\nclass B:\n    # noqa: DDP902\n    c = 1",
        "",
    ]
)


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(LINES, min_size=1, max_size=6), st.booleans())
def test_everything_is_hidden_and_nothing_else_changed(newline: str, lines: list[str], end: bool) -> None:
    text = HEAD + "\n".join(lines) + "\n" * end
    Path("train.py").write_bytes(text.replace("\n", newline).encode())
    check = examine(["train.py"], Settings()).check
    assert check is not None
    after = hide(check)
    assert not after.refused
    assert [finding for finding in after.check.findings if not finding.suppressed] == []
    assert not hide(after.check).changed
    for _, changed in after.changed.values():
        assert ast.dump(ast.parse(changed.text)) == ast.dump(ast.parse(text))
        # Only whole comments were added, or words to a list.
        rest = iter(changed.text)
        assert all(char in rest for char in text.replace("\n", newline))


def test_real_rules(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.chdir(folder)
    assert "DDP101" in ddplint.rules.registry()
    scripts = sorted((Path(__file__).parents[1] / "fixtures").rglob("broken*.py"))
    assert len(scripts) > 5
    for script in scripts:
        Path("train.py").write_bytes(script.read_bytes())
        main(["train.py", "--add-ignore", "-q"])
        check = examine(["train.py"], Settings()).check
        left = {finding.code for finding in check.findings if not finding.suppressed} if check else set()
        assert left <= {"DDP000"}, script
