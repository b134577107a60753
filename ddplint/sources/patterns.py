"""gitignore patterns, with a short way for the plain ones.

Nearly every repository has a .gitignore, and nearly every line in it is a name (``build/``), a path (``/docs/_build``)
or a name with one star (``*.pyc``). Those are answered by sets and string ends; pathspec, whose import and matching
cost as much as reading a thousand files, comes in only where a file holds something else (``**``, ``!``, escapes).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec


class Patterns:
    """The lines of one ignore file, anchored at the folder ``base`` (an absolute path with ``/``, without a last one).

    The verdicts are for entries met on a walk that does not enter ignored folders: an entry is judged by itself, its
    parents are known not to be ignored.
    """

    __slots__ = ("_any", "_folders", "_spec", "base", "lines")

    def __init__(self, base: str, lines: Iterable[str]) -> None:
        self.base = base
        self.lines = tuple(lines)
        self._any = _Plain()
        self._folders = _Plain()
        self._spec: GitIgnoreSpec | None = None
        for line in self.lines:
            pattern = line.rstrip(" \t\r\n")
            if not pattern or pattern.startswith("#"):
                continue
            plain = _plain(pattern)
            if plain is None:
                self._spec = _spec(self.lines)
                return
            body, choice, folder = plain
            (self._folders if folder else self._any).add(body, choice)

    def verdict(self, path: str, name: str, is_folder: bool) -> bool | None:
        """True: ignored. False: kept by a ``!`` pattern. None: no pattern speaks of it. ``path`` is absolute."""
        if self._spec is not None:
            below = _below(self.base, path)
            return self._spec.check_file(below + "/" if is_folder else below).include
        if self._any.matches(self.base, path, name) or (is_folder and self._folders.matches(self.base, path, name)):
            return True
        return None

    def sparing(self, path: str) -> Patterns:
        """These patterns less those that ignore ``path``, a folder, or a folder around it.

        For a folder that somebody named on the command line: it is to be walked whatever the patterns say of it.
        """
        around = _around(self.base, path)
        if not any(self.verdict(folder, _name(folder), True) for folder in around):
            return self
        kept = [
            line
            for line in self.lines
            if not any(Patterns(self.base, [line]).verdict(folder, _name(folder), True) for folder in around)
        ]
        return Patterns(self.base, kept)


def verdict(chain: Sequence[Patterns], path: str, name: str, is_folder: bool) -> bool:
    """Whether nested ignore files, outermost first, ignore an entry: the innermost that speaks of it decides."""
    for patterns in reversed(chain):
        found = patterns.verdict(path, name, is_folder)
        if found is not None:
            return found
    return False


def _spec(lines: Sequence[str]) -> GitIgnoreSpec:
    from pathspec import GitIgnoreSpec

    # To git "x/**" is what lies in x, not x itself, in which another file may keep something. To pathspec it is both.
    lines = [f"{line.rstrip()}/*" if line.rstrip().endswith("/**") else line for line in lines]
    try:
        return GitIgnoreSpec.from_lines(lines)
    except ValueError:
        # Git passes over a line that means nothing, such as "!", and so do we.
        return GitIgnoreSpec.from_lines([line for line in lines if _compiles(line)])


def _compiles(line: str) -> bool:
    from pathspec import GitIgnoreSpec

    try:
        GitIgnoreSpec.from_lines([line])
    except ValueError:
        return False
    return True


class _Plain:
    """Patterns that need no regular expression."""

    __slots__ = ("ends", "names", "paths", "stars")

    def __init__(self) -> None:
        self.names: set[str] = set()
        self.paths: set[str] = set()
        self.ends: tuple[str, ...] = ()
        self.stars: list[tuple[str, str]] = []

    def add(self, body: str, choice: str | None) -> None:
        head, star, tail = body.partition("*")
        if not star:
            if "/" in body:
                self.paths.add(body.removeprefix("/"))
            else:
                self.names.add(body)
        elif head:
            self.stars += [(head, tail + last) for last in choice or ("",)]
        else:
            self.ends += tuple(tail + last for last in choice or ("",))

    def matches(self, base: str, path: str, name: str) -> bool:
        return (
            name in self.names
            or (bool(self.ends) and name.endswith(self.ends))
            or (bool(self.paths) and _below(base, path) in self.paths)
            or any(
                name.startswith(head) and name.endswith(tail) and len(name) >= len(head) + len(tail)
                for head, tail in self.stars
            )
        )


def _plain(pattern: str) -> tuple[str, str | None, bool] | None:
    """Body, choice of last characters (``*.py[cod]``) and "folders only" of a plain pattern; None for any other."""
    if "//" in pattern or pattern[0] in "!#":
        return None
    folder = pattern.endswith("/")
    body = pattern[:-1] if folder else pattern
    choice: str | None = None
    if body.endswith("]") and "*" in body:
        body, _, choice = body[:-1].rpartition("[")
        if not (choice.isascii() and choice.isalnum()):
            return None
    stars = body.count("*")
    if stars > 1 or (stars and "/" in body) or not body.strip("/") or any(mark in body for mark in "?[]\\ \t"):
        return None
    return body, choice, folder


def _below(base: str, path: str) -> str:
    """``path`` relative to ``base``; only its name where it lies elsewhere, so that patterns of names still match."""
    start = len(base) + 1
    if path.startswith(base) and path[start - 1 : start] == "/":
        return path[start:]
    return _name(path)


def _around(base: str, path: str) -> list[str]:
    """The folders from below ``base`` down to ``path``, both absolute; empty when it does not lie below."""
    if not path.startswith(base + "/"):
        return []
    ends = [index for index, char in enumerate(path) if char == "/" and index > len(base)]
    return [path[:end] for end in (*ends, len(path))]


def _name(path: str) -> str:
    return path[path.rfind("/") + 1 :]
