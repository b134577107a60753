"""Naming rules: by code (``DDP101``), by the beginning of codes (``DDP1``), by name (``global-rank``), or ``ALL``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol


class Named(Protocol):
    """The part of a rule that matters here."""

    @property
    def name(self) -> str:
        """The rule's name, such as ``global-rank``."""


Known = Callable[[], Mapping[str, Named]]
"""Gives every rule by its code. A function, because the rules are imported only where one is named."""

Selector = str
"""A selector after :func:`resolve`: a code, the beginning of one, or ``""`` for every rule."""


class UnknownRuleError(ValueError):
    """A selector that fits no rule; the text names it and the nearest one that there is."""


def resolve(text: str, rules: Mapping[str, Named]) -> Selector:
    """The selector that ``text`` means, in any case. Raises :class:`UnknownRuleError`."""
    wanted = text.strip()
    upper = wanted.upper()
    if upper == "ALL":
        return ""
    if upper in rules or (upper.startswith("DDP") and any(code.startswith(upper) for code in rules)):
        return upper
    lower = wanted.lower().replace("_", "-")
    for code, rule in rules.items():
        if rule.name == lower:
            return code
    names = [*rules, *(rule.name for rule in rules.values())]
    raise UnknownRuleError(f'unknown rule "{wanted}"{suggestion(wanted, names)}')


def specificity(code: str, selectors: Iterable[Selector]) -> int:
    """How closely the closest of ``selectors`` names ``code``: its length, or -1 when none does."""
    return max((len(selector) for selector in selectors if code.startswith(selector)), default=-1)


def suggestion(wanted: str, there_are: Iterable[str]) -> str:
    """`` (did you mean "x"?)``, or nothing when no word is near."""
    from difflib import SequenceMatcher, get_close_matches  # slow to import, and only errors need it

    words = {word.lower(): word for word in there_are}
    typed = wanted.lower()

    def nearness(word: str) -> tuple[float, int]:
        # Of codes that are equally near, the one with more characters in their places: DDP101 for DDP1O1.
        alike = sum(one == other for one, other in zip(word, typed, strict=False))
        return SequenceMatcher(None, word, typed).ratio(), alike

    near = sorted(get_close_matches(typed, words, n=9, cutoff=0.6), key=nearness, reverse=True)
    return f' (did you mean "{words[near[0]]}"?)' if near else ""
