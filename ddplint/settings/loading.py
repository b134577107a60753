"""Settings files: where they are and what is wrong with them; and the command line, which comes after them."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import replace

from ddplint.settings.model import Settings, SettingsError
from ddplint.settings.options import OPTIONS, UnusableError
from ddplint.settings.selectors import Known, suggestion

_PYPROJECT = "pyproject.toml"


def load(start: str | os.PathLike[str], config: str | os.PathLike[str] | None, known: Known) -> Settings:
    """The settings for what is linted in ``start``, from ``config`` if given, else from the nearest settings file.

    That is, in ``start`` or the first folder above it that has one, ``ddplint.toml`` or a ``pyproject.toml`` with a
    ``[tool.ddplint]`` table; the former wins over one beside it. Raises :class:`SettingsError`.
    """
    if config is not None:
        file = os.path.abspath(config)
        table = _table(file)
        if table is None:
            raise SettingsError(f"{_shown(file)}: there is no [tool.ddplint] table in it")
        return _settings(file, table, known)
    folder = os.path.abspath(start)
    while True:
        for name in ("ddplint.toml", _PYPROJECT):
            file = os.path.join(folder, name)
            if os.path.isfile(file) and (table := _table(file)) is not None:
                return _settings(file, table, known)
        parent = os.path.dirname(folder)
        if parent == folder:
            return Settings(origins=dict.fromkeys(OPTIONS, "default"))
        folder = parent


def override(settings: Settings, known: Known, **given: object) -> Settings:
    """``settings`` with what the command line gives: ``extend_select=["DDP2"]``; None means that it gives nothing.

    The ``extend_`` options, ``per_file_ignores`` and ``severity`` add to the file's, the others replace them; what
    ``select`` names is also taken out of what the file ignores. Raises :class:`SettingsError`.
    """
    changed: dict[str, object] = {}
    origins = dict(settings.origins)
    for field, value in given.items():
        if value is None:
            continue
        key = field.replace("_", "-")
        option = OPTIONS[key]
        try:
            read = option.read(value, known)
        except ValueError as error:
            raise SettingsError(f"--{key}: {error}") from None
        origin = f"--{key}"
        before = getattr(settings, field)
        if option.adds and before:
            read = {**before, **read} if isinstance(read, Mapping) else (*before, *_texts(read))
            origin = f"{origins.get(key, 'default')}, {origin}"
        changed[field] = read
        origins[key] = origin
    if "select" in changed:
        selected = _texts(changed["select"])
        for field in ("ignore", "extend_ignore"):
            before = getattr(settings, field)
            left = tuple(rule for rule in before if rule not in selected)
            if field not in changed and left != before:
                key = field.replace("_", "-")
                changed[field] = left
                origins[key] = f"{origins.get(key, 'default')}, less --select"
    # The fields were read by the readers of their own options.
    return replace(settings, **changed, origins=origins)  # type: ignore[arg-type]


def _texts(value: object) -> tuple[str, ...]:
    assert isinstance(value, tuple)
    return value


def _settings(file: str, table: Mapping[str, object], known: Known) -> Settings:
    shown = _shown(file)
    origin = f"{shown} [tool.ddplint]" if os.path.basename(file) == _PYPROJECT else shown
    read: dict[str, object] = {}
    for key, value in table.items():
        option = OPTIONS.get(key)
        if option is None:
            hint = suggestion(key, OPTIONS)
            if key == "tool" and isinstance(value, Mapping):
                hint = ": here the keys stand at the top, without [tool.ddplint]"
            raise SettingsError(f'{origin}: unknown key "{key}"{hint}')
        try:
            read[key.replace("-", "_")] = option.read(value, known)
        except ValueError as error:
            inner = error.key if isinstance(error, UnusableError) else None
            place = key if inner is None else f'{key}."{inner}"'
            raise SettingsError(f"{origin}: {place}: {error}") from None
    origins = {key: origin if key in table else "default" for key in OPTIONS}
    return Settings(**read, root=os.path.dirname(file), file=shown, origins=origins)  # type: ignore[arg-type]


def _table(file: str) -> Mapping[str, object] | None:
    """The table of ddplint in a settings file; None for a pyproject.toml that has none."""
    try:
        with open(file, "rb") as stream:
            data = stream.read()
    except OSError as error:
        raise SettingsError(f"{_shown(file)}: cannot be read: {error.strerror or error}") from None
    pyproject = os.path.basename(file) == _PYPROJECT
    if pyproject and b"ddplint" not in data:
        # Most projects have one; not importing the TOML parser for it is worth this look.
        return None
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        document: dict[str, object] = tomllib.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise SettingsError(f"{_shown(file)}: is not UTF-8, as TOML must be (byte {error.start})") from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{_shown(file)}: is not valid TOML: {error}") from None
    if not pyproject:
        return document
    tool = document.get("tool")
    table = tool.get("ddplint") if isinstance(tool, dict) else None
    if table is not None and not isinstance(table, dict):
        raise SettingsError(f"{_shown(file)}: [tool.ddplint] must be a table")
    return table


def _shown(file: str) -> str:
    """Relative to the working directory where it lies in it."""
    inside = os.path.join(os.getcwd(), "")
    return (file[len(inside) :] if file.startswith(inside) else file).replace(os.sep, "/")
