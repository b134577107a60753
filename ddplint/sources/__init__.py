"""Files on disk -> text: which files to lint, which of them can hold a distributed problem, and their decoded text.

The order of use keeps a tree without distributed code cheap: :func:`discover`, then :func:`read_bytes`, then
:func:`mentions_distributed`, and only for what is left :func:`from_bytes` (which decodes) and the parser.
"""

from ddplint.sources.discovery import Discovery, Found, discover, left_out
from ddplint.sources.patterns import Patterns
from ddplint.sources.prefilter import may_suppress, mentions_distributed
from ddplint.sources.text import Source, SourceError, SourceKind, from_bytes, read, read_bytes, split_lines

__all__ = [
    "Discovery",
    "Found",
    "Patterns",
    "Source",
    "SourceError",
    "SourceKind",
    "discover",
    "from_bytes",
    "left_out",
    "may_suppress",
    "mentions_distributed",
    "read",
    "read_bytes",
    "split_lines",
]
