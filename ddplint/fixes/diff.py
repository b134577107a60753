"""Unified diffs as bytes, so that ``patch -p1`` gives the very files that would be written."""

from __future__ import annotations

import os
import re
from difflib import diff_bytes, unified_diff

from ddplint.sources import Source

# Like patch: a line ends with a line feed and nowhere else.
_LINE = re.compile(rb"[^\n]*\n|[^\n]+")
_STRANGE = re.compile(rb'[\x00-\x1f"\\\x7f]')
_UNENDED = b"\\ No newline at end of file\n"


def diff(before: Source, after: Source) -> bytes:
    """The step from one text of a file to another."""
    lines = diff_bytes(
        unified_diff,
        _LINE.findall(before.data),
        _LINE.findall(after.data),
        _header(b"a/", before),
        _header(b"b/", before),
        lineterm=b"\n",
    )
    return b"".join(line if line.endswith(b"\n") else line + b"\n" + _UNENDED for line in lines)


def _header(side: bytes, source: Source) -> bytes:
    """The name of a file, seen from the working directory, as git and patch spell it."""
    shown = source.path
    if source.file is not None:
        # The file itself where the path is a link, which patch refuses.
        here = os.path.join(os.path.realpath(os.getcwd()), "")
        real = str(source.file)
        shown = real[len(here) :] if real.startswith(here) else shown
    name = side + os.fsencode(shown.replace(os.sep, "/").lstrip("/"))
    if _STRANGE.search(name):
        return b'"%s"' % _STRANGE.sub(lambda found: b"\\%03o" % found[0][0], name)
    # What follows a tab is a date; without one, a space would end the name.
    return name + b"\t" if b" " in name else name
