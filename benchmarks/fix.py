"""What a repair costs, against a lint of the same file in the same run, because times differ between machines.

usage: python benchmarks/fix.py FOLDER ... [--repeats N] [--worst N]

FOLDERs hold real training scripts, such as checkouts of repositories; they are not changed. Prints the ratio beside
its budget, and the files that it is worst for.
"""

from __future__ import annotations

import argparse
import gc
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ddplint.fixes import repair
from ddplint.linter import examine, lint
from ddplint.settings import Settings
from ddplint.sources import discover

BUDGET = 2.5


@dataclass(frozen=True)
class Cost:
    """The median seconds of one file: to lint it, to repair it, and to repair it without the disk."""

    path: str
    lint: float
    fix: float
    unwritten: float

    @property
    def ratio(self) -> float:
        return self.fix / self.lint


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="+", metavar="FOLDER")
    parser.add_argument("--repeats", type=int, default=5, help="of each measurement; the median counts (default: 5)")
    parser.add_argument("--worst", type=int, default=5, help="so many of the worst files are named (default: 5)")
    args = parser.parse_args()

    costs = [
        cost
        for file in discover(args.folders, Settings()).files
        if (cost := _cost(file.path, args.repeats)) is not None
    ]
    if not costs:
        sys.exit("nothing to repair in these folders")
    ratio = sum(cost.fix for cost in costs) / sum(cost.lint for cost in costs)
    unwritten = sum(cost.unwritten for cost in costs) / sum(cost.lint for cost in costs)
    median = statistics.median(cost.ratio for cost in costs)
    print(f"{len(costs)} files with something to repair; median of {args.repeats}, CPU time, each file by itself")
    print("--fix --unsafe-fixes / lint")
    print(f"    {ratio:5.2f}   budget {BUDGET:4.2f}   {'ok' if ratio <= BUDGET else 'OVER'}")
    print(f"    {unwritten:5.2f}   without writing\n    {median:5.2f}   median of the files")
    over = [cost for cost in costs if cost.ratio > BUDGET]
    print(f"{len(over)} files over the budget; the worst:")
    for cost in sorted(costs, key=lambda cost: cost.ratio, reverse=True)[: args.worst]:
        print(f"    {cost.ratio:5.2f}   {cost.lint * 1000:7.1f} ms   {cost.path}")


def _cost(path: str, repeats: int) -> Cost | None:
    """Measured on a copy of the folder's Python files, whose helper modules are read as well; None if there is
    nothing to repair."""
    settings = Settings()
    check = examine([path], settings).check
    if check is None or not any(finding.fix for finding in check.findings if not finding.suppressed):
        return None
    if not repair(check, unsafe=True).changed:
        return None
    lints, fixes, unwritten = [], [], []
    for _ in range(repeats):
        # In turns: a machine that gets slower or faster does so for all of them.
        lints.append(_cpu(lambda: lint([path], settings)))
        unwritten.append(_cpu(lambda: _repaired(path, settings)))
        with tempfile.TemporaryDirectory() as folder:
            fixes.append(_cpu(lambda: _repaired(path, settings, folder)))
    return Cost(path, statistics.median(lints), statistics.median(fixes), statistics.median(unwritten))


def _repaired(path: str, settings: Settings, folder: str | None = None) -> None:
    """Repair one file; what would be written goes to copies in ``folder``."""
    check = examine([path], settings).check
    assert check is not None
    outcome = repair(check, unsafe=True)
    if folder is None:
        return
    from dataclasses import replace

    from ddplint.fixes.writing import write

    pairs = {}
    for number, (shown, (before, after)) in enumerate(outcome.changed.items()):
        copy = Path(folder) / f"{number}.py"
        shutil.copyfile(str(before.file), copy)
        pairs[shown] = (replace(before, file=copy), after)
    assert not write(pairs)


def _cpu(work: Callable[[], object]) -> float:
    gc.collect()
    started = time.process_time()
    work()
    return time.process_time() - started


if __name__ == "__main__":
    main()
