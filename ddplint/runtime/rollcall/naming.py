"""How ranks, processes and hosts are named in a text that stays short for a thousand of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from ipaddress import ip_address

from ddplint.runtime.rollcall.attendance import Attendance

MOST_NAMED = 8
MOST_RANGES = 16


def ranges(numbers: Iterable[int]) -> str:
    """``0-3,7`` of 0, 1, 2, 3 and 7; a list of very many pieces is cut short."""
    return spelt(_spans(sorted(set(numbers))))


def _spans(ordered: Sequence[int]) -> Iterator[tuple[int, int]]:
    start = 0
    for place, number in enumerate(ordered):
        if place + 1 == len(ordered) or ordered[place + 1] != number + 1:
            yield ordered[start], number
            start = place + 1


def gaps(numbers: Iterable[int], size: int) -> list[tuple[int, int]]:
    """The spans of 0 .. size - 1 that are not among the numbers; a size of millions costs nothing."""
    found: list[tuple[int, int]] = []
    expected = 0
    for number in sorted({number for number in numbers if 0 <= number < size} | {size}):
        if number > expected:
            found.append((expected, number - 1))
        expected = number + 1
    return found


def spelt(spans: Iterable[tuple[int, int]]) -> str:
    pieces = [str(first) if first == last else f"{first}-{last}" for first, last in spans]
    if len(pieces) > MOST_RANGES:
        pieces[MOST_RANGES:] = [f"and {len(pieces) - MOST_RANGES} more ranges"]
    return ",".join(pieces)


def ranks(spans: Sequence[tuple[int, int]]) -> str:
    """``rank 3`` or ``ranks 3-5``."""
    one = len(spans) == 1 and spans[0][0] == spans[0][1]
    return f"{'rank' if one else 'ranks'} {spelt(spans)}"


def listed(items: Sequence[str], most: int = MOST_NAMED, glue: str = " and ") -> str:
    """``a, b and c``; of many the first eight."""
    if len(items) > most:
        return f"{', '.join(items[:most])} and {len(items) - most} more"
    return glue.join([", ".join(items[:-1]), items[-1]]) if len(items) > 1 else "".join(items)


def place(attendance: Attendance) -> str:
    return f"{attendance.host} pid {attendance.pid}"


def process(attendance: Attendance) -> str:
    return f"rank {attendance.rank} on {place(attendance)}"


def crowd(group: Sequence[Attendance]) -> str:
    """One process with its pid; of several the ranks and the hosts."""
    if len(group) == 1:
        return process(group[0])
    names = hosts(group)
    where = listed(names, 3) if len(names) <= 3 else f"{len(names)} hosts ({listed(names, 2)})"
    numbers = sorted({one.rank for one in group})
    return f"{ranks(list(_spans(numbers)))} on {where}"


def hosts(group: Iterable[Attendance]) -> list[str]:
    """Their hosts, each once, in the order of the ranks."""
    return list(dict.fromkeys(one.host for one in sorted(group, key=lambda one: one.rank)))


def label(host: str) -> str:
    """What two names of one host have in common: ``node0`` of ``Node0.cluster.local``; an address as a whole."""
    name = host.strip().strip("[]").lower()
    try:
        return str(ip_address(name))
    except ValueError:
        return name.split(".")[0]


def number(seconds: float) -> str:
    """Seconds without false precision: 60, 2.3."""
    return f"{seconds:.0f}" if seconds >= 10 or round(seconds, 1) == round(seconds) else f"{seconds:.1f}"


def grouped(present: Sequence[Attendance], key: Callable[[Attendance], str]) -> dict[str, list[Attendance]]:
    """The processes by what they have in common, in their order."""
    groups: dict[str, list[Attendance]] = defaultdict(list)
    for one in present:
        groups[key(one)].append(one)
    return groups
