"""What a launcher's module gives: how to know it, and what its variables say. Pure functions of an environment."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ddplint.runtime.topology import NOT_SAID, Claim, DetectionError, Field, Topology, said, unsaid

Environ = Mapping[str, str]
# The text of a file that a variable names (PBS_NODEFILE), or None where it cannot be read: a recorded environment
# has no files.
Read = Callable[[str], str | None]


@dataclass(frozen=True)
class Launcher:
    """One launcher, or one platform that sets variables."""

    name: str
    # Without these it cannot be asked, not even by force.
    required: tuple[str, ...]
    # What it says about this process; only called when `required` is there.
    describe: Callable[[Environ, Read], Topology]
    # Whether it started this process, given that `required` is there.
    started: Callable[[Environ], bool] = lambda environ: True
    # Why its variables do not count, when they are there and it did not start this process.
    note: Callable[[Environ], str | None] = lambda environ: None
    # The variables that together name the job, each with its other names; without the first one they name none.
    # Only what is equal in all processes of one launch stands here.
    job: tuple[tuple[str, ...], ...] = ()

    def present(self, environ: Environ) -> bool:
        return all(environ.get(name) for name in self.required) and self.started(environ)


def unreadable(path: str) -> None:
    """The `Read` of an environment without its machine."""


def number(environ: Environ, name: str) -> int | None:
    """A count or an index; None where the variable is not set or empty."""
    text = environ.get(name, "").strip()
    if not text:
        return None
    # int() would also take "1_0" and digits of other alphabets, and refuse thousands of digits in its own words.
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise DetectionError(f"{name}={environ[name]!r} is not a whole number from 0 on")
    return int(text)


def count(environ: Environ, *names: str, reason: str = NOT_SAID) -> Field[int]:
    """The first of these variables that is set, with what the later ones say."""
    claims = [Claim(name, value) for name in names if (value := number(environ, name)) is not None]
    return said(claims[0].source, claims[0].value, *claims[1:]) if claims else unsaid(reason)


def text(environ: Environ, *names: str, reason: str = NOT_SAID) -> Field[str]:
    claims = [Claim(name, environ[name].strip()) for name in names if environ.get(name, "").strip()]
    return said(claims[0].source, claims[0].value, *claims[1:]) if claims else unsaid(reason)


def distinct(hosts: list[str]) -> tuple[str, ...]:
    """The hosts of a file that repeats each once a slot, in order."""
    return tuple(dict.fromkeys(host for host in hosts if host))
