"""Where rank 0 is, asked of whoever started the processes: for launches in which no variable says it.

PMI-1 is the protocol of Hydra (MPICH, Intel MPI) over a descriptor that each process inherits: one line a message.
Source: MPICH ``src/pmi/src/pmi_v1.c`` and ``src/pm/hydra/proxy/pmip_pmi.c``; Flux RFC 13; run with MPICH 4.0.
"""

from __future__ import annotations

import os
import re
import selectors
import socket
import sys
import time
from ipaddress import ip_address
from pathlib import Path

from ddplint.runtime.launchers.launcher import Environ

_FD = "PMI_FD"
_KEY = "ddplint-master"
# The least that a process manager must allow for a value (Flux RFC 13); Hydra allows 1024.
_LONGEST = 255


def master_through_pmi(rank: int, environ: Environ, own_address: str, seconds: float) -> str | None:
    """What rank 0 gave as its own address; None where nobody answers in time.

    All processes of the job must call it, once: it is a barrier. The address may be any word of at most 255 signs
    without blanks, one with a port or a token in it too. Where mpi4py has been imported, its communicator is used,
    and the time limit does not hold.

    With Hydra this *ends* the process's use of PMI: Hydra closes the descriptor when it has answered ``finalize``.
    Without that, Hydra takes the end of a process for its death and kills the others (exit code 9, run). An MPI_Init
    after it aborts the job (run), so nothing is done where an MPI library is already loaded.
    """
    mpi = sys.modules.get("mpi4py.MPI")
    if mpi is not None:
        return _broadcast(mpi, rank, own_address)
    if not re.fullmatch(rf"[!-~]{{1,{_LONGEST}}}", own_address) or "mpi4py" in sys.modules or _mpi_is_loaded():
        return None
    descriptor = _descriptor(environ)
    if descriptor is None:
        return None
    try:
        return _exchanged(_Pmi(descriptor, time.monotonic() + seconds), rank, own_address)
    except (OSError, ValueError):
        return None


def _broadcast(mpi: object, rank: int, own_address: str) -> str | None:
    """Through mpi4py, which the script has imported: from its rank 0, if that is the rank 0 that is meant."""
    world = getattr(mpi, "COMM_WORLD", None)
    if world is None or not getattr(mpi, "Is_initialized", lambda: True)():
        return None
    if getattr(mpi, "Is_finalized", lambda: False)():
        return None
    found = world.bcast((rank, own_address), root=0)
    return str(found[1]) if isinstance(found, tuple) and found[0] == 0 else None


def _mpi_is_loaded() -> bool:
    """Whether some module has loaded an MPI library, which then speaks PMI itself."""
    try:
        return re.search(r"/libmpi[^/\n]*\.so", Path("/proc/self/maps").read_text(errors="replace")) is not None
    except OSError:
        return False


def _descriptor(environ: Environ) -> int | None:
    """The descriptor, if it is a socket of this machine: in a grandchild the number may be anybody's open file."""
    text = environ.get(_FD, "").strip()
    if not re.fullmatch(r"[0-9]{1,9}", text):
        return None
    try:
        with socket.socket(fileno=os.dup(int(text))) as other:
            return int(text) if other.family == getattr(socket, "AF_UNIX", None) else None
    except OSError:
        return None


def _exchanged(pmi: _Pmi, rank: int, own_address: str) -> str | None:
    pmi.ask("cmd=init pmi_version=1 pmi_subversion=1", "response_to_init")
    try:
        space = pmi.ask("cmd=get_my_kvsname", "my_kvsname")["kvsname"]
        if rank == 0:
            pmi.ask(f"cmd=put kvsname={space} key={_KEY} value={own_address}", "put_result")
        pmi.ask("cmd=barrier_in", "barrier_out")
        return pmi.ask(f"cmd=get kvsname={space} key={_KEY}", "get_result")["value"]
    except KeyError:
        return None
    finally:
        pmi.finalize()


class _Pmi:
    """A conversation over the descriptor, with a deadline. The descriptor stays as it is: blocking, and open."""

    def __init__(self, descriptor: int, deadline: float) -> None:
        self.descriptor = descriptor
        self.deadline = deadline
        self.unread = b""

    def ask(self, request: str, answer: str) -> dict[str, str]:
        """Send a line and read the answer's.

        Raises:
            OSError: nobody is there, or not in time.
            ValueError: the answer is another one, or says that it failed.
        """
        os.write(self.descriptor, f"{request}\n".encode("ascii"))
        words = self._line().split()
        found = dict(word.split("=", 1) for word in words if "=" in word)
        if found.get("cmd") != answer or found.get("rc", "0") != "0":
            raise ValueError(f"{request!r} was answered with {found}")
        return found

    def _line(self) -> str:
        with selectors.DefaultSelector() as selector:
            selector.register(self.descriptor, selectors.EVENT_READ)
            while b"\n" not in self.unread:
                if not selector.select(max(0.0, self.deadline - time.monotonic())):
                    raise TimeoutError("no answer in time")
                piece = os.read(self.descriptor, 4096)
                if not piece or len(self.unread) > 1 << 16:
                    raise ConnectionError("no line")
                self.unread += piece
        line, _, self.unread = self.unread.partition(b"\n")
        return line.decode("ascii")

    def finalize(self) -> None:
        """Take leave; in any case, because a process that goes without is counted as dead."""
        self.deadline = max(self.deadline, time.monotonic() + 1)
        try:
            self.ask("cmd=finalize", "finalize_ack")
        except (OSError, ValueError):
            return


def master_through_hnp(environ: Environ) -> str | None:
    """The host of Open MPI 4's mpirun, from OMPI_MCA_orte_hnp_uri: its first address that is not loopback.

    It need not be rank 0's host: rank 0 has to look whether the address is its own. Open MPI 5 sets no such variable.
    Source: Open MPI 4 ``orte/mca/oob/tcp/oob_tcp_component.c`` (``component_get_addr``): after the name come
    ``tcp://A,B:PORT`` and ``tcp6://[A],[B]:PORT``, between semicolons; run with 4.1.
    """
    for uri in environ.get("OMPI_MCA_orte_hnp_uri", "").split(";")[1:]:
        scheme, _, rest = uri.partition("://")
        if scheme not in ("tcp", "tcp6"):
            continue
        for text in rest.rpartition(":")[0].split(","):
            try:
                found = ip_address(text.strip("[]"))
            except ValueError:
                continue
            if not (found.is_loopback or found.is_unspecified or found.is_link_local):
                return str(found)
    return None
