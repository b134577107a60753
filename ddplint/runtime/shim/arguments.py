"""``--local_rank`` and ``--local-rank``: options that torch.distributed.launch used to pass, and torchrun does not.

torch 2.0 renamed what the launcher passes from ``--local_rank`` to ``--local-rank`` (torch/distributed/launch.py), so
scripts know one spelling or the other. Only argparse is looked at.
"""

from __future__ import annotations

import argparse
import functools
import sys
from collections.abc import Sequence
from typing import Any

from ddplint.runtime.shim.session import Session, current

SPELLINGS = ("--local_rank", "--local-rank")


def patch() -> None:
    """Give every parser that knows the option the launcher's local rank."""
    original = argparse.ArgumentParser.parse_known_args

    @functools.wraps(original)
    def parse_known_args(self: argparse.ArgumentParser, args: Any = None, namespace: Any = None) -> Any:
        session = current()
        if session is None or not session.launched or session.topology.local_rank.value is None:
            return original(self, args, namespace)
        known = [name for name in SPELLINGS if name in self._option_string_actions]
        words = respelled(sys.argv[1:] if args is None else list(args), known)
        if known and self._option_string_actions[known[0]].required and not _given(words, known):
            words = [f"{known[0]}={session.topology.local_rank.value}", *words]
        result, rest = original(self, words, namespace)
        if known:
            _correct(session, self._option_string_actions[known[0]], result, _given(words, known))
        return result, rest

    argparse.ArgumentParser.parse_known_args = parse_known_args  # type: ignore[method-assign]


def respelled(words: Sequence[str], known: Sequence[str]) -> list[str]:
    """The words with the option in a spelling that the parser knows."""
    found = []
    for word in words:
        name, equals, value = word.partition("=")
        if name in SPELLINGS and known and name not in known:
            word = known[0] + equals + value
        found.append(word)
    return found


def _given(words: Sequence[str], known: Sequence[str]) -> bool:
    return any(word.partition("=")[0] in known for word in words)


def _correct(session: Session, action: argparse.Action, result: argparse.Namespace, given_there: bool) -> None:
    local_rank = session.topology.local_rank.value
    given = getattr(result, action.dest, None)
    try:
        same = given is not None and int(given) == local_rank
    except (TypeError, ValueError):
        same = False
    if same:
        return
    text = f"{action.option_strings[0]} is {given!r}, and this process has local rank {local_rank}"
    text += f" ({session.topology.local_rank.source})"
    # A default of None or -1 says "not started by a launcher", and the script then looks elsewhere: that is no fault.
    silent = not given_there and given in (None, -1)
    if session.options.correct if silent else session.overrule(text, "DDP112"):
        setattr(result, action.dest, _typed(action, local_rank))


def _typed(action: argparse.Action, local_rank: int | None) -> object:
    """The local rank as the parser would have read it from the command line."""
    if callable(action.type):
        return action.type(str(local_rank))
    return local_rank if isinstance(action.default, int) else str(local_rank)
