"""What the first line of a script in fixtures/hangs says does happen, and its repaired twin runs to the end."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from ranks_server import Outcome, Server

FIXTURES = Path(__file__).parents[1] / "fixtures"
HANGS, REPAIRED = FIXTURES / "hangs", FIXTURES / "hangs_repaired"
SCRIPTS = sorted(path.name for path in HANGS.glob("*.py"))

# "# direct branch: hangs; rank 0 in all_reduce, rank 1 in barrier"
_FIRST_LINE = re.compile(r"# (?P<shape>[^:]+): .*?\b(?P<end>hangs or fails|hangs|fails)(?P<often> in most runs)?[;,] ")
_PLACE = re.compile(r"rank (\d) in (\w+)")
# A marked line that some process does not get out of. From an exit and from destroy it does; and so it does, with gloo,
# from a new_group of its members alone: the next one hangs.
_MARKED = re.compile(r"^(?!.*destroy).*# expect: DDP(?:301|305|309|801) ")
# How long a wrong script may take, as a multiple of the right one's time, and at least in seconds. What fails does so
# when gloo sees that a process has gone, or after a timeout of its own: it only has to be given the time.
FACTOR = 5
LEAST = {"hangs": 1.0, "hangs or fails": 1.0, "fails": 20.0}
# More often than not it hangs; ten runs in a row that go well are one in a hundred thousand.
ATTEMPTS = 10

pytestmark = pytest.mark.torch


def test_every_script_has_a_repaired_twin() -> None:
    assert sorted(path.name for path in REPAIRED.glob("*.py")) == SCRIPTS
    for name in SCRIPTS:
        assert "# expect" not in (REPAIRED / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", SCRIPTS)
def test_one_fault(name: str) -> None:
    text = (HANGS / name).read_text(encoding="utf-8")
    assert text.count("# expect: ") == 1
    assert _FIRST_LINE.match(text)


@pytest.mark.parametrize("name", SCRIPTS)
def test_script(name: str, server: Server, runnable: Callable[[Path], Path], tmp_path: Path) -> None:
    text = (HANGS / name).read_text(encoding="utf-8")
    said = _FIRST_LINE.match(text)
    assert said is not None
    twin, least = runnable(REPAIRED / name), LEAST[said["end"]]
    for attempt in range(ATTEMPTS if said["often"] else 1):
        right, wrong = server.compare(twin, HANGS / name, tmp_path / str(attempt), FACTOR, least)
        assert right.succeeded, str(right)
        if not wrong.succeeded:
            break
    if said["end"] == "hangs":
        assert wrong.hung, str(wrong)
    elif said["end"] == "fails":
        assert wrong.failed, str(wrong)
    else:
        assert not wrong.succeeded, str(wrong)
    first_line = text.partition("\n")[0]
    for rank, function in _PLACE.findall(first_line):
        assert wrong.statuses[int(rank)] != 0, str(wrong)
        assert re.search(rf"\bin {function}$", wrong.outputs[int(rank)], re.MULTILINE), str(wrong)
    for number, line in enumerate(text.splitlines(), start=1):
        if _MARKED.search(line) and _PLACE.search(first_line):
            assert stuck_at(wrong, HANGS / name, number), str(wrong)


def stuck_at(outcome: Outcome, script: Path, line: int) -> bool:
    """Whether a process that did not end well was in this line."""
    return any(
        status != 0 and re.search(rf'{re.escape(script.name)}", line {line},? in ', text)
        for status, text in zip(outcome.statuses, outcome.outputs, strict=True)
    )
