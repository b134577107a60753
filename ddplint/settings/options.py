"""What each key takes: a reader turns the value that TOML or the command line gives into that of ``Settings``."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple, TypeVar

from ddplint.settings.model import OUTPUT_FORMATS
from ddplint.settings.selectors import Known, resolve, suggestion
from ddplint.severity import Severity

_T = TypeVar("_T")


class UnusableError(ValueError):
    """A value of the wrong type or outside of the choice; ``key`` is the part of a table that holds it."""

    def __init__(self, message: str, key: str | None = None) -> None:
        super().__init__(message)
        self.key = key


Reader = Callable[[object, Known], object]


class Option(NamedTuple):
    """One setting: its reader, and whether the command line adds to the file's value instead of replacing it."""

    read: Reader
    adds: bool = False


def _texts(value: object, _: Known) -> tuple[str, ...]:
    if not isinstance(value, (list, tuple)) or not all(isinstance(item, str) for item in value):
        raise UnusableError(f"expected a list of strings, not {_shown(value)}")
    return tuple(value)


def _selectors(value: object, known: Known) -> tuple[str, ...]:
    texts = _texts(value, known)
    # One comma list in one string is what people write after --select, and in the file out of habit.
    words = [word for text in texts for word in re.split(r"[\s,]+", text) if word]
    return tuple(dict.fromkeys(resolve(word, known()) for word in words))


def _flag(value: object, _: Known) -> bool:
    if not isinstance(value, bool):
        raise UnusableError(f"expected true or false, not {_shown(value)}")
    return value


def _text(value: object, _: Known) -> str:
    if not isinstance(value, str) or not value:
        raise UnusableError(f"expected a string, not {_shown(value)}")
    return value


def _severity(value: object, _: Known) -> Severity:
    return Severity(_choice(value, [severity.value for severity in Severity]))


def _format(value: object, _: Known) -> str:
    return _choice(value, OUTPUT_FORMATS)


def _multi_node(value: object, _: Known) -> bool | None:
    if isinstance(value, bool):
        return value
    if value != "auto":
        raise UnusableError(f'expected true, false or "auto", not {_shown(value)}')
    return None


def _torch(value: object, _: Known) -> str:
    if isinstance(value, float) or (isinstance(value, int) and not isinstance(value, bool)):
        # 2.10 unquoted is the number 2.1, another release.
        raise UnusableError(f'expected a version in quotes, such as "{value}", not the number {value}')
    text = _text(value, _)
    if not re.fullmatch(r"\d+(\.\d+){0,2}", text):
        raise UnusableError(f'expected a torch version such as "2.4", not {_shown(value)}')
    return text


def _table_of_selectors(value: object, known: Known) -> Mapping[str, tuple[str, ...]]:
    return {pattern: _within(pattern, _selectors, rules, known) for pattern, rules in _table(value).items()}


def _table_of_severities(value: object, known: Known) -> Mapping[str, Severity]:
    chosen = [
        (
            _within(rule, lambda name, known: resolve(str(name), known()), rule, known),
            _within(rule, _severity, level, known),
        )
        for rule, level in _table(value).items()
    ]
    # The closest selector decides, whatever the order in the file.
    chosen.sort(key=lambda pair: len(pair[0]))
    return {code: level for selector, level in chosen for code in known() if code.startswith(selector)}


def _within(key: str, read: Callable[[object, Known], _T], value: object, known: Known) -> _T:
    """Read one entry of a table, so that an error names it."""
    try:
        return read(value, known)
    except ValueError as error:
        raise UnusableError(str(error), key) from None


def _table(value: object) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise UnusableError(f"expected a table, not {_shown(value)}")
    return value


def _choice(value: object, choices: Iterable[str]) -> str:
    words = list(choices)
    if not isinstance(value, str) or value not in words:
        near = suggestion(value, words) if isinstance(value, str) else ""
        raise UnusableError(f"expected one of {', '.join(words)}, not {_shown(value)}{near}")
    return value


def _shown(value: object) -> str:
    """A value as TOML writes it, so that people recognise it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, (list, tuple)):
        return "a list"
    return "a table" if isinstance(value, Mapping) else str(value)


OPTIONS: Mapping[str, Option] = {
    "select": Option(_selectors),
    "ignore": Option(_selectors),
    "extend-select": Option(_selectors, adds=True),
    "extend-ignore": Option(_selectors, adds=True),
    "per-file-ignores": Option(_table_of_selectors, adds=True),
    "severity": Option(_table_of_severities, adds=True),
    "fixable": Option(_selectors),
    "unfixable": Option(_selectors),
    "extend-safe-fixes": Option(_selectors, adds=True),
    "extend-unsafe-fixes": Option(_selectors, adds=True),
    "exclude": Option(_texts),
    "extend-exclude": Option(_texts, adds=True),
    "respect-gitignore": Option(_flag),
    "fail-on": Option(_severity),
    "multi-node": Option(_multi_node),
    "target-torch": Option(_torch),
    "preview": Option(_flag),
    "output-format": Option(_format),
    "cache-dir": Option(_text),
}
"""Every key of the settings file, in the order in which ``ddplint config`` prints them."""
