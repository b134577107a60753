"""The formats that other programs read."""

from __future__ import annotations

import io
import json
import subprocess
import sys

import pytest
from reports import duplicate, finding, report, span

from ddplint import __version__
from ddplint.findings import Finding, Severity
from ddplint.reporters import FORMATS, Style, reporter

DUPLICATE = {
    "code": "DDP101",
    "name": "global-rank",
    "severity": "error",
    "message": "rank is the index that mp.spawn gives on each node, so two processes claim the same rank",
    "path": "train.py",
    "cell": None,
    "start": {"line": 3, "column": 22},
    "end": {"line": 3, "column": 26},
    "counterexample": {
        "nnodes": 2,
        "nproc_per_node": 2,
        "processes": [
            {
                "node": node,
                "local_rank": local,
                "rank": local,
                "world_size": 4,
                "device": None,
                "master_addr": None,
                "trouble": f"also claimed by node {1 - node}",
            }
            for node in (0, 1)
            for local in (0, 1)
        ],
    },
    "notes": [{"message": "rank comes from the spawn index", "path": "launch.py", "line": 88}],
    "fix": {
        "applicability": "unsafe",
        "title": "compute the global rank",
        "edits": [
            {
                "path": "train.py",
                "start": {"line": 3, "column": 22},
                "end": {"line": 3, "column": 26},
                "text": "node * 2 + rank",
            },
        ],
    },
    "suppressed": False,
    "url": "https://ddplint.readthedocs.io/en/stable/rules/global-rank/",
}


def written(output_format: str, findings: list[Finding], **style: object) -> str:
    stream = io.StringIO()
    reporter(output_format)(report(findings), stream, Style(**style))  # type: ignore[arg-type]
    return stream.getvalue()


def test_json() -> None:
    assert json.loads(written("json", [duplicate()])) == {
        "version": 1,
        "tool": {"name": "ddplint", "version": __version__},
        "findings": [DUPLICATE],
        "summary": {"files": 12, "checked": 3, "skipped": 9, "errors": 0},
    }


def test_json_keeps_suppressed_findings_and_the_order_of_keys() -> None:
    (found,) = json.loads(written("json", [finding(suppressed=True)]))["findings"]
    assert found["suppressed"] is True
    assert (found["counterexample"], found["notes"], found["fix"]) == (None, [], None)
    assert list(found) == list(DUPLICATE)


def test_json_lines() -> None:
    lines = written("json-lines", [duplicate(), finding(message="two\nlines")]).splitlines()
    assert [json.loads(line)["code"] for line in lines] == ["DDP101", "DDP103"]
    assert json.loads(lines[0]) == DUPLICATE
    assert written("json-lines", []) == ""


@pytest.mark.parametrize("output_format", ["json", "json-lines"])
def test_json_is_ascii_whatever_is_in_a_name(output_format: str) -> None:
    text = written(output_format, [finding(path="日本 \udc80.py")])
    assert text.isascii()
    assert (
        "日本 \udc80.py" in (json.loads(text)["findings"][0] if output_format == "json" else json.loads(text))["path"]
    )


def test_concise() -> None:
    assert written("concise", [duplicate(), finding(suppressed=True)]) == (
        "train.py:3:22: DDP101 error rank is the index that mp.spawn gives on each node, "
        "so two processes claim the same rank\n"
        "Found 1 finding (1 error) in 1 of 12 files. 1 finding suppressed.\n"
        "1 fixable with --fix --unsafe-fixes.\n"
    )


def test_concise_is_one_line_a_finding() -> None:
    text = written("concise", [finding(path="a\nb.py", message="x\ny")], quiet=True)
    assert text == "a\\nb.py:1:1: DDP103 warning x\\ny\n"


def test_github() -> None:
    assert written("github", [duplicate()], quiet=True) == (
        "::error file=train.py,line=3,endLine=3,col=22,endColumn=25,title=DDP101 global-rank::"
        "rank is the index that mp.spawn gives on each node, so two processes claim the same rank"
        "%0A2 nodes x 2 processes: node 0 local rank 0 and node 1 local rank 0 both claim rank 0"
        "%0Arank comes from the spawn index (launch.py:88)"
        "%0Ahelp: pass node_rank * nprocs + local_rank\n"
    )


def test_github_escapes() -> None:
    found = finding(path="a,b:c%\n.py", message="100%\r\n::error::", severity=Severity.NOTE)
    (line,) = written("github", [found], quiet=True).splitlines()
    assert line == (
        "::notice file=a%2Cb%3Ac%25%0A.py,line=1,endLine=1,col=1,endColumn=3,title=DDP103 localhost-master-addr::"
        "100%25%0D%0A::error::"
    )


def test_github_has_no_columns_for_several_lines() -> None:
    (line,) = written("github", [finding(where=span(1, 5, 2, end_line=3))], quiet=True).splitlines()
    assert "line=1,endLine=3,col=5,title" in line


@pytest.mark.parametrize("output_format", sorted(set(FORMATS) - {"text"}))
def test_rich_is_imported_for_text_only(output_format: str) -> None:
    code = (
        "import io, sys\n"
        "from ddplint.linter import Report\n"
        "from ddplint.reporters import Style, reporter\n"
        f"reporter({output_format!r})(Report(), io.StringIO(), Style(color='always'))\n"
        "sys.exit('rich' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_unknown_format() -> None:
    with pytest.raises(ValueError, match="unknown output format"):
        reporter("xml")
