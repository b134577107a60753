"""From a text to a module again: a text that cannot be stored, or that is no program, goes no further."""

from __future__ import annotations

import warnings
from codecs import BOM_UTF8

from ddplint.program.module import Module, SyntaxProblem, parse
from ddplint.sources import Source, SourceError, from_bytes


class UnusableTextError(ValueError):
    """A text that cannot take the place of the file's; the message says why."""


def changed_module(module: Module, text: str) -> Module:
    """The module with another text.

    Raises:
        UnusableTextError: the encoding of the file does not hold it, or it does not parse.
    """
    source = changed_source(module.source, text)
    try:
        changed = parse(source)
    except SyntaxProblem as problem:
        where = f"line {problem.position.line}"
        raise UnusableTextError(f"the result would not parse: {where}: {problem.message}") from None
    # LibCST lets through what Python refuses, such as an import from __future__ that is no longer the first.
    refused = _refused(source)
    if refused is not None and _refused(module.source) is None:
        raise UnusableTextError(f"Python would refuse the result: {refused}")
    return changed


def changed_source(source: Source, text: str) -> Source:
    """The file with another text: its encoding and byte order mark stay.

    Raises:
        UnusableTextError: the encoding does not hold the text, or the file would be read as another text.
    """
    if _encoded(source, source.text) != source.data:
        raise UnusableTextError(f"{source.encoding} does not give the bytes of the rest of the file again")
    try:
        data = _encoded(source, text)
        changed = from_bytes(data, source.path, source.file)
    except UnicodeEncodeError as error:
        raise UnusableTextError(
            f"{source.encoding}, the encoding of the file, has no {error.object[error.start]!r}"
        ) from None
    except SourceError as error:
        raise UnusableTextError(f"the result could not be read: {error.message}") from None
    if changed.text != text:
        raise UnusableTextError("the file would be read in another encoding")
    return changed


def _encoded(source: Source, text: str) -> bytes:
    return (BOM_UTF8 if source.bom else b"") + text.encode(source.encoding)


def _refused(source: Source) -> str | None:
    """What the compiler says against a file, if anything."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            compile(source.text, source.path, "exec", dont_inherit=True)
        except SyntaxError as error:
            return f"line {error.lineno}: {error.msg}"
        except (ValueError, RecursionError, MemoryError) as error:
            return str(error)
    return None
