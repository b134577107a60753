"""Two processes side by side: which of the collectives of one have no partner in the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

# What a step without a partner costs; more than any number of partners at other places.
_ALONE = 1000


@dataclass(frozen=True, slots=True, eq=False)
class Item:
    """One step of a process. ``key`` None: a call that nobody knows, which may hold any number of collectives.

    ``optional``: the process may take it or not. ``place`` is where it is written: of two partners, the one at the same
    place is the better.
    """

    key: str | None
    optional: bool = False
    place: object = None


def unmatched(first: Sequence[Item], second: Sequence[Item]) -> list[list[Item]]:
    """The steps that certainly happen and meet nothing, in the best way to match two processes.

    Steps match in their order. A step that may not happen needs no partner. Those between two that match are
    together: the processes part there once.
    """
    rows, columns = len(first), len(second)
    cost = [[0] * (columns + 1) for _ in range(rows + 1)]
    for row in range(rows, -1, -1):
        for column in range(columns, -1, -1):
            if row == rows and column == columns:
                continue
            cost[row][column] = min(value for value, _, _, _ in _moves(first, second, row, column, cost))
    groups: list[list[Item]] = []
    group: list[Item] = []
    row = column = 0
    while row < rows or column < columns:
        value = cost[row][column]
        for price, next_row, next_column, left in _moves(first, second, row, column, cost):
            if price == value:
                if left is not None and not left.optional and left.key is not None:
                    group.append(left)
                elif left is None and group:
                    groups.append(group)
                    group = []
                row, column = next_row, next_column
                break
    return [*groups, group] if group else groups


def _moves(
    first: Sequence[Item], second: Sequence[Item], row: int, column: int, cost: Sequence[Sequence[int]]
) -> list[tuple[int, int, int, Item | None]]:
    """The ways to go on: what the rest costs then, where it goes on, and the step that is left without a partner."""
    moves: list[tuple[int, int, int, Item | None]] = []
    one = first[row] if row < len(first) else None
    two = second[column] if column < len(second) else None
    if one is not None and two is not None:
        if one.key is not None and one.key == two.key:
            price = 0 if one.place is two.place else 1
            moves.append((cost[row + 1][column + 1] + price, row + 1, column + 1, None))
        if one.key is None:
            moves.append((cost[row][column + 1], row, column + 1, None))
        if two.key is None:
            moves.append((cost[row + 1][column], row + 1, column, None))
    if one is not None:
        moves.append((cost[row + 1][column] + _price(one), row + 1, column, one))
    if two is not None:
        moves.append((cost[row][column + 1] + _price(two), row, column + 1, two))
    return moves


def _price(item: Item) -> int:
    return 0 if item.optional or item.key is None else _ALONE
