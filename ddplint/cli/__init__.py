"""The command ``ddplint``: which command is meant, and what an exception becomes at the very edge.

Nothing is imported before it is needed: argparse alone costs as much as starting Python.
"""

from __future__ import annotations

import sys

from ddplint import __version__

ISSUES = "https://github.com/ddplint/ddplint/issues"

COMMANDS = ("check", "rule", "ranks", "env", "run", "preflight", "config", "completion")

# Written by hand, so that it fits a screen of 24 lines; `ddplint check --help` has everything.
HELP = """\
usage: ddplint [check] [OPTION ...] [PATH ...]      no PATH: the current folder
       ddplint COMMAND [OPTION ...]                 ddplint COMMAND --help

Finds what goes wrong in PyTorch training scripts on more than one GPU or node.

commands:
  check PATH ...            lint files and folders ("-": standard input)
  rule [RULE]               explain a rule; without one, list them all
  ranks SCRIPT              the rank, device, ... that every process would get
  env                       the rank of this process, and who says so
  run SCRIPT                run a script, and start its process group right
  preflight                 under a launcher: are all processes there?
  config                    the settings, and where each of them comes from

options of check, those most used:
  --select, --ignore RULES  rules by code (DDP101), beginning (DDP1) or name
  --output-format FORMAT    text, concise, json, json-lines or github
  --fail-on SEVERITY        exit 1 from here on: error, warning (default), note
  --fix, --diff             repair, or show how; more with --unsafe-fixes
  -q, -v, --version, --help

exit code: 0 nothing found (or --exit-zero), 1 findings, 2 wrong usage or paths
"""


class CommandError(Exception):
    """The command cannot do what was asked; the text says why. Exit code 2."""


def main(argv: list[str] | None = None) -> int:
    """Run ``ddplint`` with ``argv`` (default: ``sys.argv[1:]``) and return its exit code."""
    words = sys.argv[1:] if argv is None else argv
    try:
        if words == ["--version"]:
            print(f"ddplint {__version__}")
            code = 0
        elif words in (["--help"], ["-h"]):
            print(HELP, end="")
            code = 0
        else:
            words = _ordered(words)
            code = _command(words)
        if words[:1] != ["run"]:
            # Here, and not while Python shuts down: the reader may have closed the pipe. What a script leaves in its
            # output, or whether it has closed it, is Python's business.
            sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        import os

        # `ddplint | head`: what is still buffered has nowhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 2
    except CommandError as error:
        print(f"ddplint: error: {error}", file=sys.stderr)
        return 2
    except Exception:
        import traceback

        traceback.print_exc()
        print(f"ddplint: internal error: please report the lines above at {ISSUES}", file=sys.stderr)
        return 2


def _ordered(words: list[str]) -> list[str]:
    """``torch.distributed.launch -m ddplint run train.py`` puts an option for the script before everything else."""
    if len(words) < 2 or not words[0].startswith(("--local-rank=", "--local_rank=")) or words[1] not in COMMANDS:
        return words
    return ["run", words[0], *words[2:]] if words[1] == "run" else words[1:]


def _command(words: list[str]) -> int:
    from importlib import import_module

    for stream in (sys.stdout, sys.stderr):
        # A script or a file name may hold what the console's encoding does not know.
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
    name, rest = (words[0], words[1:]) if words and words[0] in COMMANDS else ("check", words)
    module = import_module(f"ddplint.cli.{name}")
    code: int = module.run(module.parser().parse_args(rest))
    return code
