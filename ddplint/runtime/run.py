"""``ddplint run``: start a script the right way, under any launcher or none."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from ddplint.runtime import launching
from ddplint.runtime.detection import OVERRIDE, detect
from ddplint.runtime.files import file_text
from ddplint.runtime.launchers import BY_NAME, plain, torchelastic
from ddplint.runtime.launching import HANDED_ON, Wish
from ddplint.runtime.meeting import check_place, own_warnings
from ddplint.runtime.problem import StartError, aside
from ddplint.runtime.shim import install, program
from ddplint.runtime.shim.arguments import SPELLINGS
from ddplint.runtime.shim.session import Options, begin
from ddplint.runtime.topology import DetectionError, Topology

_TORCHRUN_SETS = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE")


class RunError(Exception):
    """The script cannot be started; the text says why."""


def add_arguments(command: argparse.ArgumentParser) -> None:
    """The options of ``ddplint run``."""
    command.add_argument("--nnodes", metavar="N", help="how many nodes; default: what the launcher says, or 1")
    command.add_argument(
        "--nproc-per-node", metavar="N", help="processes on this node, or torchrun's auto, gpu, cpu; default: its GPUs"
    )
    command.add_argument("--node-rank", type=int, metavar="N", help="which node this is, from 0")
    command.add_argument("--master-addr", metavar="HOST", help="the node with number 0")
    command.add_argument("--master-port", type=int, metavar="PORT", help="a free port there")
    for name in HANDED_ON:
        command.add_argument(f"--{name}", metavar="VALUE", help="torchrun's option of this name")
    command.add_argument("--no-correct", action="store_true", help="check only: stop where a value would be corrected")
    command.add_argument("--no-roll-call", action="store_true", help="do not wait until all processes are there")
    command.add_argument("--launcher", choices=BY_NAME, metavar="NAME", help=f"believe this one: {', '.join(BY_NAME)}")
    for spelling in SPELLINGS:
        command.add_argument(spelling, dest="handed", type=f"{spelling}={{}}".format, help=argparse.SUPPRESS)
    command.add_argument("-m", dest="module", nargs=argparse.REMAINDER, metavar="MODULE", help="run a module")
    command.add_argument("program", nargs=argparse.REMAINDER, metavar="SCRIPT ARGUMENT ...", help="what to run")


def main(args: argparse.Namespace) -> int:
    """Run what the command line says; the exit status.

    Raises:
        RunError: nothing can be run.
        SystemExit: as the script raised it.
    """
    is_module = args.module is not None
    words = args.module if is_module else args.program
    words = words[1:] if words[:1] == ["--"] else words
    if not words:
        raise RunError("which script? ddplint run [OPTION ...] SCRIPT [ARGUMENT ...], or -m MODULE [ARGUMENT ...]")
    if args.handed is not None:
        # torch.distributed.launch says it to the program that it starts, and means the script.
        words = [words[0], args.handed, *words[1:]]
    options = Options(not args.no_correct, not args.no_roll_call, args.launcher)
    more = {name: value for name in HANDED_ON if (value := getattr(args, name.replace("-", "_"))) is not None}
    wish = Wish(args.nnodes, args.nproc_per_node, args.node_rank, args.master_addr, args.master_port, more)
    try:
        topology = detect(_around(wish), file_text, args.launcher)
        if launching.hands_over(topology, wish):
            torchrun = _torchrun(topology, wish, options, words, is_module)
            if torchrun is not None:
                return _hand_over(torchrun)
        else:
            check_place(topology, os.environ)
        if topology.rank.value is None:
            # One process in a pod or on a node that is merely numbered: it is alone.
            topology = detect({}, file_text)
        begin(options, words, topology if topology.launcher == plain.NAME else None)
    except (DetectionError, StartError) as error:
        raise RunError(str(error)) from error
    for warning in own_warnings(topology, os.environ):
        print(f"ddplint run: {aside(warning)}", file=sys.stderr, flush=True)
    install.install()
    try:
        return program.run(words[0], words[1:], is_module)
    except program.ProgramError as error:
        raise RunError(str(error)) from error


def _around(wish: Wish) -> dict[str, str]:
    """The environment that counts: what a torchrun that is asked for will overwrite cannot contradict anybody."""
    own = dict(os.environ)
    if wish.given and torchelastic.RUN_ID not in own:
        for name in _TORCHRUN_SETS:
            own.pop(name, None)
    return own


def _torchrun(
    topology: Topology, wish: Wish, options: Options, words: Sequence[str], is_module: bool
) -> list[str] | None:
    flags = [*([] if options.correct else ["--no-correct"]), *([] if options.roll_call else ["--no-roll-call"])]
    worker = ["-u", "-m", "ddplint", "run", *flags, *(["-m"] if is_module else []), *words]
    devices = 0 if wish.nproc_per_node is not None else _devices()
    return launching.words(topology, os.environ, wish, devices, worker)


def _devices() -> int:
    try:
        from ddplint.runtime.process_group import visible_devices
    except ImportError as error:
        raise RunError('torch is not installed: pip install "ddplint[runtime]"') from error
    return visible_devices()


def _hand_over(words: list[str]) -> int:
    """torchrun in this process: it starts the workers, passes signals on and says which of them failed."""
    try:
        from torch.distributed.elastic.multiprocessing.api import SignalException
        from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
        from torch.distributed.run import main as torchrun
    except ImportError as error:
        raise RunError(f'torchrun cannot be imported ({error}): pip install "ddplint[runtime]"') from error
    # torchrun sets them for its workers; a launcher's own would contradict, and the workers are torchrun's.
    for name in (*_TORCHRUN_SETS, OVERRIDE):
        os.environ.pop(name, None)
    print(f"ddplint run: torchrun {' '.join(words)}", file=sys.stderr, flush=True)
    try:
        torchrun(words)
    except SignalException as error:
        return 128 + int(error.sigval)
    except ChildFailedError as error:
        # Its text names the processes that failed, as torchrun itself does.
        print(error, file=sys.stderr)
        return 1
    return 0
