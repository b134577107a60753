"""Which files to lint: those named, and the Python files below the folders named.

The walk is the price of a run over a tree where nothing is distributed, so it deals in strings and directory entries
and asks the file system nothing twice.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ddplint.sources.patterns import Patterns, verdict

if TYPE_CHECKING:
    from ddplint.settings import Settings


@dataclass(frozen=True, slots=True)
class Found:
    """A file to lint: its absolute real ``path``, and how to show it (see ``Source.path``)."""

    path: str
    display: str
    explicit: bool


@dataclass(frozen=True, slots=True)
class Discovery:
    """``files`` are sorted by how they are shown, each real file once. ``problems`` are paths that cannot be used, one
    sentence each; ``empty`` are the folders named in which there was no Python file."""

    files: tuple[Found, ...]
    problems: tuple[str, ...]
    empty: tuple[str, ...]


def discover(paths: Sequence[str], settings: Settings, cwd: str | os.PathLike[str] | None = None) -> Discovery:
    """Find the files to lint in ``paths``, which are relative to ``cwd`` (default: the working directory).

    A file that is named is taken whatever it is called and whatever excludes it; in folders it is ``*.py`` less what
    ``exclude``, ``extend_exclude`` and, with ``respect_gitignore``, the .gitignore files say. Links to files are
    followed, links to folders are not: they make loops and lead to data sets, and inside the tree they lead to files
    that are found anyway.
    """
    here = os.path.abspath(cwd) if cwd is not None else os.getcwd()
    named: list[Found] = []
    folders: list[str] = []
    problems: list[str] = []
    for path in paths:
        if not path:
            problems.append("an empty path was given")
            continue
        full = os.path.join(here, path)
        try:
            os.stat(full)
        except (OSError, ValueError) as error:
            problems.append(f"{_printable(path)}: {_reason(error)}")
            continue
        if os.path.isdir(full):
            folders.append(path)
        else:
            named.append(Found(_slashes(os.path.realpath(full)), _shown(full, path, here), True))
    walk = _Walk(settings.respect_gitignore)
    empty: list[str] = []
    for folder in folders:
        full = os.path.join(here, folder)
        real = _slashes(os.path.realpath(full)).rstrip("/")
        shown = _shown(full, folder, here)
        exclude = _excluding(settings, here, real)
        if walk.into(real, "" if shown == "." else shown.rstrip("/") + "/", exclude) == 0:
            empty.append(shown)
    unique: dict[str, Found] = {}
    # Links come last, so that a file that is also reached by its own path is shown by that.
    links = [Found(_slashes(os.path.realpath(link.path)), link.display, False) for link in walk.links]
    for found in (*named, *walk.found, *links):
        unique.setdefault(found.path, found)
    files = sorted(unique.values(), key=lambda found: (found.display, found.path))
    return Discovery(tuple(files), tuple(problems + walk.problems), tuple(empty))


def left_out(path: str, settings: Settings) -> bool:
    """Whether a walk of the working directory would pass over ``path``, which is relative to it."""
    folder = _slashes(os.path.realpath(os.getcwd())).rstrip("/")
    exclude = _excluding(settings, folder, folder)
    ignores = _ignores_above(folder) if settings.respect_gitignore else ()
    parts = path.split("/")
    for depth, part in enumerate(parts, start=1):
        if settings.respect_gitignore:
            names = {name for name in (".git", ".gitignore") if os.path.lexists(f"{folder}/{name}")}
            ignores = _ignores_of(folder, names, ignores)
        folder = f"{folder}/{part}"
        inner = depth < len(parts)
        if exclude.verdict(folder, part, inner) or verdict(ignores, folder, part, inner):
            return True
    return False


class _Walk:
    """What was found so far in the folders of one run."""

    def __init__(self, respect_gitignore: bool) -> None:
        self.respect_gitignore = respect_gitignore
        self.found: list[Found] = []
        self.links: list[Found] = []
        self.problems: list[str] = []

    def into(self, root: str, shown: str, exclude: Patterns) -> int:
        """Walk one folder; ``shown`` is what to put before the names in it. Returns how many files it holds."""
        before = len(self.found) + len(self.links)
        stack = [(root, shown, _ignores_above(root) if self.respect_gitignore else ())]
        while stack:
            folder, shown, ignores = stack.pop()
            try:
                with os.scandir(f"{folder}/") as listing:
                    entries = list(listing)
            except OSError as error:
                label = _printable(shown.rstrip("/") or ".")
                self.problems.append(f"{label}: the folder cannot be read: {_reason(error)}")
                continue
            if self.respect_gitignore:
                ignores = _ignores_of(folder, {entry.name for entry in entries}, ignores)
            for entry in entries:
                name = entry.name
                python = name.endswith(".py")
                # A folder may be called x.py too.
                if python and _is_file(entry):
                    path = f"{folder}/{name}"
                    if exclude.verdict(path, name, False) or (ignores and verdict(ignores, path, name, False)):
                        continue
                    found = self.links if entry.is_symlink() else self.found
                    found.append(Found(path, _printable(shown + name), False))
                elif entry.is_dir(follow_symlinks=False):
                    path = f"{folder}/{name}"
                    if not (exclude.verdict(path, name, True) or (ignores and verdict(ignores, path, name, True))):
                        stack.append((path, f"{shown}{name}/", ignores))
        return len(self.found) + len(self.links) - before


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:
        # A link to itself, or into a folder that is not ours to read.
        return False


def _excluding(settings: Settings, here: str, root: str) -> Patterns:
    """The ``exclude`` patterns, which are relative to the folder of the settings file, for a walk of ``root``."""
    base = _slashes(os.path.realpath(settings.root or here)).rstrip("/")
    return Patterns(base, (*settings.exclude, *settings.extend_exclude)).sparing(root)


def _ignores_of(folder: str, names: set[str], above: tuple[Patterns, ...]) -> tuple[Patterns, ...]:
    """The ignore files that hold inside ``folder``, outermost first; a repository in another one begins anew."""
    if ".git" in names:
        above = _read_ignores(folder, f"{folder}/.git/info/exclude")
    return above + _read_ignores(folder, f"{folder}/.gitignore") if ".gitignore" in names else above


def _ignores_above(root: str) -> tuple[Patterns, ...]:
    """The ignore files between the top of the repository and ``root`` (not its own); none outside a repository."""
    above: list[str] = []
    folder = root
    while not os.path.lexists(f"{folder}/.git"):
        parent = folder[: folder.rfind("/")]
        if not parent:
            return ()
        above.append(parent)
        folder = parent
    chain: tuple[Patterns, ...] = ()
    for folder in reversed(above):
        names = {name for name in (".git", ".gitignore") if os.path.lexists(f"{folder}/{name}")}
        chain = _ignores_of(folder, names, chain)
    return tuple(patterns.sparing(root) for patterns in chain)


def _read_ignores(base: str, file: str) -> tuple[Patterns, ...]:
    try:
        with open(file, "rb", buffering=0) as stream:
            data = stream.readall()
    except OSError:
        # No such file, a folder of that name, .git is a file (a worktree): nothing is ignored by it.
        return ()
    lines = data.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape").split("\n")
    return (Patterns(base, lines),)


def _shown(full: str, given: str, here: str) -> str:
    """Relative to ``here`` with ``/``, or as given when it lies outside."""
    normal = os.path.normpath(full)
    if normal == here:
        return "."
    inside = here if here.endswith(os.sep) else here + os.sep
    return _printable(_slashes(normal[len(inside) :] if normal.startswith(inside) else given))


def _printable(path: str) -> str:
    """File names are bytes on some systems; what is not text in them must not break the printing of a finding."""
    return path if path.isascii() else path.encode("utf-8", "backslashreplace").decode("utf-8")


def _slashes(path: str) -> str:
    return path.replace(os.sep, "/") if os.sep != "/" else path


def _reason(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "no such file or folder"
    return getattr(error, "strerror", None) or str(error)
