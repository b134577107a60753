"""What a lint costs, as ratios of things measured in the same run, because times differ between machines.

usage: python benchmarks/lint.py FOLDER ... [--repeats N] [--plain FOLDER]

FOLDERs hold real training scripts, such as checkouts of repositories. Prints each ratio beside its budget.
"""

from __future__ import annotations

import argparse
import gc
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import libcst

from ddplint.linter import lint
from ddplint.program import project
from ddplint.program.module import Module
from ddplint.settings import Settings
from ddplint.sources import Source, discover, from_bytes, mentions_distributed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="+", metavar="FOLDER")
    parser.add_argument("--repeats", type=int, default=5, help="of each measurement; the median counts (default: 5)")
    parser.add_argument(
        "--plain", metavar="FOLDER", help="a tree without distributed files (default: made from FOLDERs)"
    )
    args = parser.parse_args()

    settings = Settings()
    files = [file.path for file in discover(args.folders, settings).files]
    distributed, plain = _split(files)
    print(f"{len(files)} files, {len(distributed)} of them distributed; median of {args.repeats}, CPU time")

    silent: list[str] = []
    loud: list[str] = []
    for path in distributed:
        (loud if any(not found.suppressed for found in lint([path], settings).findings) else silent).append(path)
    for title, paths, budget in (("without findings", silent, 1.3), ("with findings", loud, 1.6)):
        _lint_against_parse(title, paths, budget, settings, args.repeats)
    if args.plain:
        _against_ruff(args.plain, args.repeats)
    else:
        with tempfile.TemporaryDirectory() as folder:
            _copy(plain, folder)
            _against_ruff(folder, args.repeats)
    start = _whole_process([sys.executable, "-c", "pass"], args.repeats * 3)
    version = _whole_process([sys.executable, "-m", "ddplint", "--version"], args.repeats * 3)
    _report("ddplint --version / python -c pass", version, start, 2.5)


def _split(files: Sequence[str]) -> tuple[list[str], list[str]]:
    """Files that the linter parses, and files that it drops."""
    distributed, plain = [], []
    for path in files:
        data = Path(path).read_bytes()
        if not mentions_distributed(data):
            plain.append(path)
            continue
        try:
            libcst.parse_module(from_bytes(data, path, None).text)
        except Exception as error:
            print(f"left out: {path}: {type(error).__name__}", file=sys.stderr)
        else:
            distributed.append(path)
    return distributed, plain


def _lint_against_parse(title: str, paths: Sequence[str], budget: float, settings: Settings, repeats: int) -> None:
    """Each file by itself, against the parse of the same files: itself and the helper modules that it needs."""
    if not paths:
        print(f"lint / parse, files {title}: there are none")
        return
    texts = [text for path in paths for text in _parsed(path, settings)]

    def parse() -> None:
        for text in texts:
            libcst.parse_module(text)

    def check() -> None:
        for path in paths:
            lint([path], settings)

    ours, bare = [], []
    for _ in range(repeats):
        # In turns: a machine that gets slower or faster does so for both of them.
        bare.append(_cpu(parse))
        ours.append(_cpu(check))
    name = f"{len(paths)} files {title}, with {len(texts) - len(paths)} helper modules"
    _report(f"lint / libcst.parse_module, {name}", statistics.median(ours), statistics.median(bare), budget)


def _parsed(path: str, settings: Settings) -> list[str]:
    """The texts that linting one file parses."""
    texts: list[str] = []
    real = project.parse

    def noted(source: Source) -> Module:
        texts.append(source.text)
        return real(source)

    project.parse = noted
    try:
        lint([path], settings)
    finally:
        project.parse = real
    return texts


def _against_ruff(folder: str, repeats: int) -> None:
    ruff = shutil.which("ruff", path=os.pathsep.join([os.path.dirname(sys.executable), os.environ.get("PATH", "")]))
    if ruff is None:
        print("ruff is not installed: no comparison")
        return
    ours, theirs = [], []
    for _ in range(repeats):
        theirs.append(_whole_process([ruff, "check", "--no-cache", "--quiet", "--exit-zero", "--isolated", folder], 1))
        ours.append(_whole_process([sys.executable, "-m", "ddplint", "--no-cache", "--isolated", folder], 1))
    count = sum(1 for _ in Path(folder).rglob("*.py"))
    name = f"ddplint / ruff check --no-cache, {count} files, none distributed"
    _report(name, statistics.median(ours), statistics.median(theirs), 0.15)


def _copy(files: Sequence[str], folder: str) -> None:
    common = os.path.commonpath(files) if len(files) > 1 else os.path.dirname(files[0])
    for path in files:
        target = os.path.join(folder, os.path.relpath(path, common))
        os.makedirs(os.path.dirname(target), exist_ok=True)
        shutil.copyfile(path, target)


def _cpu(work: Callable[[], None]) -> float:
    gc.collect()
    started = time.process_time()
    work()
    return time.process_time() - started


def _whole_process(command: Sequence[str], repeats: int) -> float:
    """User and system time of the process and its children, the median of ``repeats``, in seconds."""
    times = []
    for _ in range(repeats):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        if done.returncode not in (0, 1):
            sys.exit(f"{' '.join(command)}: {done.stderr.decode(errors='replace')}")
        times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return statistics.median(times)


def _report(title: str, ours: float, theirs: float, budget: float) -> None:
    ratio = ours / theirs if theirs else float("inf")
    verdict = "ok" if ratio <= budget else "OVER"
    figures = f"{ours * 1000:9.1f} ms / {theirs * 1000:9.1f} ms = {ratio:5.2f}"
    print(f"{title}\n    {figures}   budget {budget:4.2f}   {verdict}")


if __name__ == "__main__":
    main()
