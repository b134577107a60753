"""JSON: the shape is a contract with other programs, so a key is never renamed or dropped."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TextIO

from ddplint import __version__
from ddplint.findings import Counterexample, Finding, Fix, Position, Process
from ddplint.reporters.wording import rule_url

if TYPE_CHECKING:
    from ddplint.linter import Report
    from ddplint.reporters import Style


def write_json(report: Report, stream: TextIO, style: Style) -> None:
    """One object for the whole run, suppressed findings included and marked as such."""
    summary = {
        "files": report.files,
        "checked": report.checked,
        "skipped": report.skipped,
        "errors": len(report.errors),
    }
    if report.fixes is not None:
        summary["fixed"] = sum(len(fix.findings) for fix in report.fixes.applied)
        summary["refused"] = len(report.fixes.refused)
    document = {
        "version": 1,
        "tool": {"name": "ddplint", "version": __version__},
        "findings": [as_object(finding) for finding in report.findings],
        "summary": summary,
    }
    # ASCII only: the stream's encoding is whatever the console has, and an escape says the same everywhere.
    json.dump(document, stream, indent=2)
    stream.write("\n")


def write_json_lines(report: Report, stream: TextIO, style: Style) -> None:
    """One object a line for each finding, and nothing else."""
    for finding in report.findings:
        stream.write(json.dumps(as_object(finding)) + "\n")


def as_object(finding: Finding) -> dict[str, Any]:
    """A finding as the design's contract writes it. Lines and columns are 1-based, columns in characters."""
    return {
        "code": finding.code,
        "name": finding.name,
        "severity": finding.severity.value,
        "message": finding.message,
        "path": finding.path,
        "cell": finding.cell,
        "start": _position(finding.span.start),
        "end": _position(finding.span.end),
        "counterexample": _counterexample(finding.counterexample) if finding.counterexample else None,
        "notes": [{"message": note.message, "path": note.path, "line": note.line} for note in finding.notes],
        "fix": _fix(finding.fix, finding.path) if finding.fix else None,
        "suppressed": finding.suppressed,
        "url": rule_url(finding.name),
    }


def _position(position: Position) -> dict[str, int]:
    return {"line": position.line, "column": position.column}


def _counterexample(example: Counterexample) -> dict[str, Any]:
    return {
        "nnodes": example.nnodes,
        "nproc_per_node": example.nproc_per_node,
        "processes": [_process(process) for process in example.processes],
    }


def _process(process: Process) -> dict[str, Any]:
    return {
        "node": process.node,
        "local_rank": process.local_rank,
        "rank": process.rank,
        "world_size": process.world_size,
        "device": process.device,
        "master_addr": process.master_addr,
        "trouble": process.trouble,
    }


def _fix(fix: Fix, path: str) -> dict[str, Any]:
    return {
        "applicability": fix.applicability.value,
        "title": fix.title,
        "edits": [
            {
                "path": edit.path or path,
                "start": _position(edit.span.start),
                "end": _position(edit.span.end),
                "text": edit.text,
            }
            for edit in fix.edits
        ],
    }
