"""Comments that hide findings, and the ones among them that hide nothing (DDP001).

Read from comment tokens, so that text in a string never suppresses:

- ``# noqa: DDP101`` and ``# ddplint: ignore[global-rank]`` on any line of a statement, or alone above one;
- ``# ddplint: disable=global-rank`` up to ``# ddplint: enable=global-rank`` or the end of the file;
- ``# ddplint: skip-file`` anywhere.

Rules go by code, name, beginning of a code or ``ALL``; without any, ``ignore``, ``disable`` and ``enable`` mean all. A
``noqa`` without codes and the codes of other linters are none of ours.
"""

from ddplint.suppressions.comments import Item, Suppression, Suppressions, find
from ddplint.suppressions.judging import apply

__all__ = ["Item", "Suppression", "Suppressions", "apply", "find"]
