"""Slurm's compressed host lists: ``node[01-03,7],login,rack[0-1]n[0-1]-ib``, and its compressed counts: ``4(x2),3``.

The format is that of Slurm's ``src/common/hostlist.c`` and of ``scontrol show hostnames`` (22.05), read here without
``scontrol``, which containers do not have. Order and repetitions are kept: the first host is the one that matters.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import product

# One job of Slurm has fewer nodes; a list from a hostile environment may not fill the memory.
MOST_HOSTS = 1 << 17

# No number of a host is longer; int() refuses thousands of digits with an error of its own.
_RANGE = re.compile(r"(\d{1,18})(?:-(\d{1,18}))?", re.ASCII)
_COUNT = re.compile(r"(\d{1,9})(?:\(x(\d{1,9})\))?", re.ASCII)
# Names of hosts, as far as a list has to tell them from its own signs.
_NAME = re.compile(r"[^\s,\[\]]*")
_NUMBERED = re.compile(r"(?P<prefix>.*?)(?P<number>\d{1,18})(?P<suffix>\D*)", re.ASCII | re.DOTALL)


class HostlistError(ValueError):
    """A host list that cannot be read; says which part and why."""

    def __init__(self, text: str, reason: str) -> None:
        super().__init__(f"{text!r} is not a host list: {reason}")
        self.text = text
        self.reason = reason


def expand(text: str) -> tuple[str, ...]:
    """All hosts of a list, in its order."""
    hosts: list[str] = []
    for item in _items(text):
        hosts += _hosts(text, item, MOST_HOSTS - len(hosts))
    return tuple(hosts)


def compress(hosts: Sequence[str]) -> str:
    """The list that `expand` reads back as these hosts, in this order."""
    items: list[str] = []
    group: list[str] = []
    around: tuple[str, str] | None = None
    for host in hosts:
        if not host or not _NAME.fullmatch(host):
            raise HostlistError(host, "a name of a host has no blanks, commas or brackets")
        parts = _NUMBERED.fullmatch(host)
        if parts is None or (parts["prefix"], parts["suffix"]) != around:
            items += _item(around, group)
            group = []
        if parts is None:
            around = None
            items.append(host)
        else:
            around = (parts["prefix"], parts["suffix"])
            group.append(parts["number"])
    return ",".join([*items, *_item(around, group)])


def expand_counts(text: str) -> tuple[int, ...]:
    """One number a node, from Slurm's ``SLURM_STEP_TASKS_PER_NODE``: ``4(x2),3`` is 4, 4, 3."""
    counts: list[int] = []
    for item in text.split(","):
        match = _COUNT.fullmatch(item.strip())
        if match is None:
            raise ValueError(f"{text!r} is not a list of counts: {item!r} is neither N nor N(xREPEATED)")
        times = int(match[2] or 1)
        if len(counts) + times > MOST_HOSTS:
            raise ValueError(f"{text!r} is not a list of counts: it has more than {MOST_HOSTS} nodes")
        counts += [int(match[1])] * times
    return tuple(counts)


def _items(text: str) -> Iterator[str]:
    """The parts between the commas that stand outside brackets."""
    start = depth = 0
    for position, sign in enumerate(text):
        if sign == "[":
            depth += 1
        elif sign == "]":
            depth -= 1
        if depth not in (0, 1):
            reason = "a bracket inside a bracket" if depth > 0 else "a closing bracket without an opening one"
            raise HostlistError(text, f"{reason} at position {position + 1}")
        if sign == "," and depth == 0:
            yield _named(text, text[start:position])
            start = position + 1
    if depth:
        raise HostlistError(text, "a bracket is not closed")
    yield _named(text, text[start:])


def _named(text: str, item: str) -> str:
    if not item.strip():
        raise HostlistError(text, "a host has no name")
    return item.strip()


def _hosts(text: str, item: str, most: int) -> Iterator[str]:
    pieces: list[Sequence[str]] = []
    total = 1
    # Brackets are balanced and not nested here, so every second piece is the inside of one.
    for number, piece in enumerate(re.split(r"[\[\]]", item)):
        if number % 2:
            pieces.append(_numbers(text, piece, most))
        elif _NAME.fullmatch(piece):
            pieces.append((piece,))
        else:
            raise HostlistError(text, f"a blank in {item!r}")
        total *= len(pieces[-1])
        if total > most:
            raise HostlistError(text, f"it has more than {MOST_HOSTS} hosts")
    # The last bracket runs fastest, as in `scontrol show hostnames`.
    return ("".join(parts) for parts in product(*pieces))


def _numbers(text: str, inside: str, most: int) -> list[str]:
    numbers: list[str] = []
    for part in inside.split(","):
        match = _RANGE.fullmatch(part)
        if match is None:
            raise HostlistError(text, f"{part!r} in brackets is neither a number nor a range")
        first, last = match[1], match[2] or match[1]
        if int(last) < int(first):
            raise HostlistError(text, f"the range {part!r} runs backwards")
        if len(numbers) + int(last) - int(first) >= most:
            raise HostlistError(text, f"it has more than {MOST_HOSTS} hosts")
        # Zeros in front of the first number say how wide all are; a number that outgrows them stands as it is.
        numbers += [str(number).zfill(len(first)) for number in range(int(first), int(last) + 1)]
    return numbers


def _item(around: tuple[str, str] | None, numbers: Sequence[str]) -> list[str]:
    if around is None or not numbers:
        return []
    prefix, suffix = around
    if len(numbers) == 1:
        return [f"{prefix}{numbers[0]}{suffix}"]
    ranges: list[tuple[str, str]] = []
    for number in numbers:
        if ranges and _follows(*ranges[-1], number):
            ranges[-1] = (ranges[-1][0], number)
        else:
            ranges.append((number, number))
    inside = ",".join(first if first == last else f"{first}-{last}" for first, last in ranges)
    return [f"{prefix}[{inside}]{suffix}"]


def _follows(first: str, last: str, number: str) -> bool:
    """Whether a range from first to last, made one longer, would end in this number, zeros and all."""
    return number == str(int(last) + 1).zfill(len(first))
