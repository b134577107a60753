"""What ddplint finds in a folder of repositories: the figures of docs/corpus.md, and a sample of findings to read.

usage: python benchmarks/corpus.py FOLDER ... [--commits FILE] [--preview] [--sample N] [--seed N] [--json FILE]

Every folder in FOLDER is a repository, linted whole with the default settings. FILE holds a repository and its commit
in every line, divided by a tab; a folder is found there by its name, with + for /.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

# Long enough for the largest repository on a busy machine; one that takes longer is reported, not dropped silently.
_MOST_SECONDS = 900


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="+", metavar="FOLDER", type=Path)
    parser.add_argument("--commits", metavar="FILE", type=Path)
    parser.add_argument("--preview", action="store_true", help="preview rules as well")
    parser.add_argument("--sample", type=int, default=0, metavar="N", help="print N findings of level warning or above")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--json", metavar="FILE", type=Path, help="write all findings there")
    args = parser.parse_args()

    repositories = sorted({path for folder in args.folders for path in folder.iterdir() if path.is_dir()})
    with ThreadPoolExecutor(args.jobs) as pool:
        reports = list(pool.map(lambda path: _lint(path, args.preview), repositories))
    found = {path: report for path, report in zip(repositories, reports, strict=True) if report is not None}
    findings = [
        {**finding, "repository": path.name, "file": str(path / finding["path"])}
        for path, report in found.items()
        for finding in report["findings"]
    ]
    if args.json is not None:
        args.json.write_text(json.dumps(findings, indent=1), encoding="utf-8")
    _rules(findings)
    _repositories(found, _commits(args.commits))
    if args.sample:
        serious = [one for one in findings if one["severity"] != "note" and one["code"] != "DDP000"]
        for one in random.Random(args.seed).sample(serious, min(args.sample, len(serious))):
            print(f"{one['file']}:{one['start']['line']}: {one['severity']} {one['code']} {one['message']}")


def _lint(path: Path, preview: bool) -> dict[str, Any] | None:
    command = [sys.executable, "-m", "ddplint", "check", "--isolated", "--exit-zero", "--no-cache"]
    command += ["--output-format", "json", *(["--preview"] if preview else []), "."]
    try:
        done = subprocess.run(command, cwd=path, capture_output=True, text=True, timeout=_MOST_SECONDS)
        report: dict[str, Any] = json.loads(done.stdout)
    except (subprocess.TimeoutExpired, json.JSONDecodeError) as error:
        print(f"{path.name}: {error}", file=sys.stderr)
        return None
    return report


def _commits(path: Path | None) -> dict[str, str]:
    if path is None:
        return {}
    lines = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines() if "\t" in line]
    return {line[0].replace("/", "+"): line[1] for line in lines}


def _rules(findings: Sequence[dict[str, Any]]) -> None:
    print("| rule | errors | warnings | notes | repositories |\n|---|---|---|---|---|")
    for code, name in sorted({(one["code"], one["name"]) for one in findings}):
        own = [one for one in findings if one["code"] == code]
        levels = Counter(one["severity"] for one in own)
        repositories = len({one["repository"] for one in own})
        print(f"| {code} {name} | {levels['error']} | {levels['warning']} | {levels['note']} | {repositories} |")
    print()


def _repositories(found: dict[Path, dict[str, Any]], commits: dict[str, str]) -> None:
    print("| repository | commit | distributed files | findings |\n|---|---|---|---|")
    for path, report in found.items():
        name = path.name.replace("+", "/", 1)
        commit = commits.get(path.name, "")[:10]
        print(f"| {name} | {commit} | {report['summary']['checked']} | {len(report['findings'])} |")
    total = sum(report["summary"]["checked"] for report in found.values())
    print(f"\n{len(found)} repositories, {total} distributed files")


if __name__ == "__main__":
    main()
