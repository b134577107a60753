"""The settings of a run, each with where it comes from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import Enum
from typing import TextIO

from ddplint.settings import Settings
from ddplint.settings.options import OPTIONS


def write_text(settings: Settings, stream: TextIO) -> None:
    """As TOML that could be pasted into a settings file, the origin of each value in a comment."""
    stream.write(f"# settings file: {settings.file or 'none'}\n")
    lines = [(f"{key} = {_toml(_value(settings, key))}", settings.origins.get(key, "default")) for key in OPTIONS]
    # A long list does not push the comments of all others to the right.
    width = min(max(len(line) for line, _ in lines), 40)
    for line, origin in lines:
        stream.write(f"{line:<{width}}  # {origin}\n")


def write_json(settings: Settings, stream: TextIO) -> None:
    """``{"file": ..., "settings": {key: {"value": ..., "origin": ...}}}``."""
    values = {key: {"value": _value(settings, key), "origin": settings.origins.get(key, "default")} for key in OPTIONS}
    json.dump({"file": settings.file, "settings": values}, stream, indent=2)
    stream.write("\n")


def _value(settings: Settings, key: str) -> object:
    """The value as the settings file writes it; None where leaving the key out is the only way to say it."""
    value = _plain(getattr(settings, key.replace("-", "_")))
    if key == "multi-node" and value is None:
        return "auto"
    if key in _SELECTORS and isinstance(value, list):
        return [selector or "ALL" for selector in value]
    if key == "per-file-ignores" and isinstance(value, dict):
        return {pattern: [selector or "ALL" for selector in rules] for pattern, rules in value.items()}
    return value


_SELECTORS = (
    "select",
    "ignore",
    "extend-select",
    "extend-ignore",
    "fixable",
    "unfixable",
    "extend-safe-fixes",
    "extend-unsafe-fixes",
)


def _plain(value: object) -> object:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value


def _toml(value: object) -> str:
    if value is None:
        # TOML has no null.
        return '"" (not set)'
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {_toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    # Strings, booleans and numbers are written alike in both languages.
    return json.dumps(value, ensure_ascii=False)
