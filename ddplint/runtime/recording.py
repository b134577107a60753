"""An environment out of a file: what ``env``, ``env -0`` or ``export -p`` printed on another machine."""

from __future__ import annotations

import re
import shlex

_ASSIGNMENT = re.compile(r"(?:export |declare -\w+ )?([A-Za-z_][\w().%-]*)=(.*)", re.ASCII | re.DOTALL)


def parse(text: str) -> dict[str, str]:
    """The variables of a recorded environment.

    A line that starts with a hash is a remark; one that sets nothing goes on with the value before it.
    """
    if "\0" in text:
        pairs = (entry.partition("=") for entry in text.split("\0") if "=" in entry)
        return {name.lstrip("\n"): value for name, _, value in pairs}
    environ: dict[str, str] = {}
    name = None
    for line in text.splitlines():
        match = _ASSIGNMENT.fullmatch(line)
        if match is not None:
            name = match[1]
            environ[name] = _unquoted(match[2]) if line.startswith(("export ", "declare ")) else match[2]
        elif name is not None and not line.startswith("#"):
            environ[name] += "\n" + line
    return environ


def _unquoted(value: str) -> str:
    """The value that a shell wrote in quotes; as it stands where they are not closed on this line."""
    try:
        words = shlex.split(value)
    except ValueError:
        return value
    return words[0] if len(words) == 1 else value
