"""Files on disk: each is the old one or the new one at every moment, whatever happens in between."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping
from contextlib import suppress

from ddplint.sources import Source

Pairs = Mapping[str, tuple[Source, Source]]
"""Files before and after, by how they are shown."""


class NotWrittenError(Exception):
    """A file that was left as it is; the text says which and why."""


def write(changed: Pairs, tied: Iterable[tuple[str, ...]] = ()) -> dict[str, str]:
    """Write the files, and return those that were left alone with the reason.

    ``tied`` are files that belong together, because a fix has edits in all of them: if one cannot be written, none is.
    """
    failed: dict[str, str] = {}
    for path, (before, _) in changed.items():
        try:
            _ready(before)
        except NotWrittenError as error:
            failed[path] = str(error)
    groups = [set(group) & changed.keys() for group in tied]
    while more := {path for group in groups if group & failed.keys() for path in group} - failed.keys():
        failed.update(dict.fromkeys(more, "left as it is: a fix of it is also one of a file that cannot be written"))
    for path, (before, after) in changed.items():
        if path not in failed:
            try:
                replace_file(before, after.data)
            except NotWrittenError as error:
                failed[path] = str(error)
    return failed


def replace_file(before: Source, data: bytes) -> None:
    """Put ``data`` in the place of a file that still is what it was when it was read.

    Raises:
        NotWrittenError: the file is another one by now, or the system refuses.
    """
    target = str(before.file)
    # Not a name that is linted, and none that exists: what a killed run left behind is in nobody's way.
    temporary = os.path.join(os.path.dirname(target), f".ddplint-{os.urandom(8).hex()}.tmp")
    try:
        status = _ready(before)
        _create(temporary, data, status)
        _ready(before)
        os.replace(temporary, target)
        _sync_folder(os.path.dirname(target))
    except OSError as error:
        raise NotWrittenError(f"cannot be written: {error.strerror or error}") from None
    finally:
        # After a Ctrl-C too; after the replacement there is none.
        with suppress(OSError):
            os.unlink(temporary)


def _ready(before: Source) -> os.stat_result:
    """The status of a file that can be replaced."""
    target = str(before.file)
    try:
        status = os.stat(target)
        if not stat.S_ISREG(status.st_mode):
            raise NotWrittenError("left as it is: it is not a regular file")
        if not os.access(target, os.W_OK):
            raise NotWrittenError("left as it is: it is read-only")
        if not os.access(os.path.dirname(target), os.W_OK | os.X_OK):
            raise NotWrittenError("left as it is: nothing can be written in its folder")
        with open(target, "rb", buffering=0) as stream:
            if stream.readall() != before.data:
                raise NotWrittenError("left as it is: it has changed since it was read")
    except FileNotFoundError:
        raise NotWrittenError("left as it is: the file is gone") from None
    except OSError as error:
        raise NotWrittenError(f"left as it is: {error.strerror or error}") from None
    return status


def _create(temporary: str, data: bytes, status: os.stat_result) -> None:
    """A new file with the permissions of the old one, safe on the disk."""
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
    with open(descriptor, "wb", buffering=0) as stream:
        view = memoryview(data)
        while view:
            view = view[stream.write(view) :]
        if hasattr(os, "fchown") and (os.geteuid(), os.getegid()) != (status.st_uid, status.st_gid):
            # Only root may give a file away; a group of one's own can be kept.
            with suppress(OSError):
                os.fchown(descriptor, -1, status.st_gid)
            with suppress(OSError):
                os.fchown(descriptor, status.st_uid, -1)
        if hasattr(os, "fchmod"):
            os.fchmod(descriptor, stat.S_IMODE(status.st_mode))
        os.fsync(descriptor)


def _sync_folder(folder: str) -> None:
    """Make the new name last too, where the system can; the file is whole either way."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
