"""Where nobody has started one process a rank yet: hand the script over to torchrun, with what is known."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ddplint.runtime.launchers import plain, torchelastic
from ddplint.runtime.launchers.launcher import Environ, number
from ddplint.runtime.meeting import agreed_port
from ddplint.runtime.problem import ERROR, Problem, StartError
from ddplint.runtime.topology import Topology

# torchrun's own (torch 2.13, torch/distributed/run.py), handed on as they are.
HANDED_ON = ("rdzv-backend", "rdzv-endpoint", "rdzv-id", "rdzv-conf", "max-restarts", "local-addr", "log-dir", "tee")
# PET_NPROC_PER_NODE is torchrun's own option, NPROC_PER_NODE that of Alibaba's PAI.
_PROCESSES = ("PET_NPROC_PER_NODE", "NPROC_PER_NODE")


@dataclass(frozen=True)
class Wish:
    """What the user asked for on the command line; None: nothing."""

    nnodes: str | None = None
    nproc_per_node: str | None = None
    node_rank: int | None = None
    master_addr: str | None = None
    master_port: int | None = None
    # More of torchrun's options, by name without dashes.
    more: Mapping[str, str] | None = None

    @property
    def given(self) -> bool:
        return bool(self.more) or any(
            value is not None
            for value in (self.nnodes, self.nproc_per_node, self.node_rank, self.master_addr, self.master_port)
        )


def hands_over(topology: Topology, wish: Wish) -> bool:
    """Whether torchrun is to start the processes: the user says how many, or the launcher has only numbered nodes."""
    if topology.launcher == torchelastic.NAME:
        if wish.given:
            raise StartError(
                [
                    Problem(
                        ERROR,
                        "torchrun has started this process, and ddplint run is told how many to start",
                        "one of the two starts the processes",
                        "torchrun OPTIONS -m ddplint run train.py, or ddplint run OPTIONS train.py without torchrun",
                    )
                ]
            )
        return False
    return wish.given or topology.launcher == plain.NAME or topology.rank.value is None


def words(topology: Topology, environ: Environ, wish: Wish, devices: int, program: Sequence[str]) -> list[str] | None:
    """The arguments of torchrun; None where one process is all there is.

    Args:
        devices: how many this machine has; as many processes are started unless the user says otherwise.
        program: the words after ``python`` with which each process runs.

    Raises:
        StartError: a job of several nodes, and this one's number or the first one's address are not known.
    """
    # Nobody has launched a plain process, so what is exported by hand says more than that it is alone.
    launched = None if topology.launcher == plain.NAME else topology.nnodes.value
    nodes = wish.nnodes or str(launched or number(environ, "NNODES") or 1)
    said = next((text for name in _PROCESSES if (text := environ.get(name, "").strip())), None)
    processes = wish.nproc_per_node or said or str(max(devices, 1))
    if nodes == processes == "1" and not wish.more and not devices:
        return None
    found = [f"--nnodes={nodes}", f"--nproc-per-node={processes}"]
    more = dict(wish.more or {})
    if nodes == "1" and "rdzv-endpoint" not in more and "rdzv-backend" not in more:
        # A port of its own that nobody else takes.
        found.append("--standalone")
    elif "rdzv-endpoint" not in more:
        found += _static(topology, environ, wish)
    found += [f"--{name}={value}" for name, value in more.items()]
    return [*found, "--no-python", sys.executable, *program]


def _static(topology: Topology, environ: Environ, wish: Wish) -> list[str]:
    """Where the nodes meet; with c10d the option for that is ``--rdzv-endpoint``."""
    rank = number(environ, "NODE_RANK") if topology.launcher == plain.NAME else topology.node_rank.value
    rank = rank if wish.node_rank is None else wish.node_rank
    address = wish.master_addr or topology.master_addr.value or environ.get("MASTER_ADDR", "").strip()
    port = wish.master_port or topology.master_port.value or number(environ, "MASTER_PORT")
    port = port or agreed_port(topology, environ).value
    missing = [name for name, value in (("--node-rank", rank), ("--master-addr", address)) if value in (None, "")]
    if missing:
        raise StartError(
            [
                Problem(
                    ERROR,
                    f"several nodes, and nobody says {' and '.join(missing)}",
                    "torchrun on each node has to know which node it is and where the first one is",
                    f"give {' and '.join(f'{name} VALUE' for name in missing)}, or --rdzv-backend c10d "
                    "--rdzv-endpoint HOST:PORT, the same on every node",
                )
            ]
        )
    return [f"--node-rank={rank}", f"--master-addr={address}", f"--master-port={port}"]
