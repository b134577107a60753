"""Scripts that are only distributed through what they import.

``train.py`` may say nothing but ``from misc import init_distributed_mode``. Such a file passes the prefilter because of
its neighbour. Imports are found by a search over bytes: a wrong yes costs one parse.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

from ddplint.sources.prefilter import mentions_distributed
from ddplint.sources.text import SourceError, read_bytes

_IMPORT = re.compile(
    rb"^[ \t]*(?:from[ \t]+([.\w]+)[ \t]+import[ \t]+([^#\r\n]+)|import[ \t]+([^#\r\n]+))", re.MULTILINE
)
_WORD = re.compile(rb"\w+")

# How many folders above a script its absolute imports may start from, and how far imports of imports are followed.
_ROOTS = 3
_DEPTH = 2


def imported_words(data: bytes) -> set[bytes]:
    """Every word in the import statements of a file: module names, their parts, and the names taken from them."""
    return {word for found in _IMPORT.findall(data) for part in found for word in _WORD.findall(part)}


def module_words(paths: Iterable[str]) -> set[bytes]:
    """The words by which files are imported: their own name, and their folder's, whose package may re-export them."""
    words: set[bytes] = set()
    for path in paths:
        folder, name = os.path.split(path)
        words.update((os.fsencode(name.removesuffix(".py")), os.fsencode(os.path.basename(folder))))
    return words


def reaches_distributed(data: bytes, path: str, depth: int = _DEPTH) -> bool:
    """Whether a module beside ``path`` that it imports, or one that those import, has anything distributed in it."""
    for found in _neighbours(data, path):
        try:
            more = read_bytes(found, found)
        except SourceError:
            continue
        if mentions_distributed(more) or (depth > 1 and reaches_distributed(more, found, depth - 1)):
            return True
    return False


def _neighbours(data: bytes, path: str) -> set[str]:
    here = os.path.dirname(os.path.abspath(path))
    roots = [here]
    for _ in range(_ROOTS):
        roots.append(os.path.dirname(roots[-1]))
    files: set[str] = set()
    for module, names, plain in _IMPORT.findall(data):
        for dotted in _dotted(module, names, plain):
            level = len(dotted) - len(dotted.lstrip("."))
            parts = [part for part in dotted.split(".") if part]
            for root in roots[level - 1 : level] if level else roots:
                base = os.path.join(root, *parts)
                for file in (base + ".py", os.path.join(base, "__init__.py")):
                    if os.path.isfile(file):
                        files.add(file)
    return files


def _dotted(module: bytes, names: bytes, plain: bytes) -> list[str]:
    if plain:
        return [name.split()[0].decode("utf-8", "replace") for name in plain.split(b",") if name.split()]
    origin = module.decode("utf-8", "replace")
    taken = [word.decode("utf-8", "replace") for word in _WORD.findall(names)]
    separator = "" if origin.endswith(".") else "."
    return [origin, *[f"{origin}{separator}{name}" for name in taken]]
