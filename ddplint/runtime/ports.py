"""A port that is chosen by listening on it, and who holds one that is taken."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator
from pathlib import Path

# As many may connect at once as a large job has processes; Linux cuts it down to net.core.somaxconn.
BACKLOG = 4096
# Linux include/net/tcp_states.h.
_LISTEN = "0A"


class PortTaken(OSError):
    """Somebody else listens on the port."""

    def __init__(self, port: int, holder: str | None, reason: str) -> None:
        self.port = port
        self.holder = holder
        who = holder or "another process, which this user may not see"
        super().__init__(errno.EADDRINUSE, f"port {port} is taken by {who} ({reason})")


def listen(port: int, address: str | None = None) -> socket.socket:
    """A socket that listens, on all interfaces unless an address is given; port 0 lets the system choose.

    Hand it to torch's store as ``TCPStore(..., master_listen_fd=sock.detach())``: the port is held from the moment in
    which it was chosen. A port that is found, closed and opened again belongs in between to whoever comes first.

    Raises:
        PortTaken: somebody listens there already.
        OSError: it cannot be listened on for another reason: the address is not this machine's, or the port below
            1024.
    """
    sock = _bound(port, address)
    try:
        # Python's sockets are not inherited by programs that are started (PEP 446); a fork does inherit them.
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise _told(error, port) from error
    return sock


def _bound(port: int, address: str | None) -> socket.socket:
    if address is None and socket.has_ipv6:
        try:
            return _bind(socket.AF_INET6, "::", port)
        except PortTaken:
            raise
        except OSError as error:
            # No IPv6 in this kernel, or switched off. Anything else (no permission) is the same with IPv4.
            if error.errno not in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT, errno.ENOPROTOOPT):
                raise
    family = socket.AF_INET6 if address is not None and ":" in address else socket.AF_INET
    return _bind(family, address or "0.0.0.0", port)


def _bind(family: int, address: str, port: int) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        # A port whose last connections are still winding down (TIME_WAIT) counts as free: a restarted job wants its
        # own again. On Windows the option means that two may listen at once.
        if os.name == "posix":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            # Both versions on one socket where all interfaces are meant, as torch's own store does.
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if address == "::" else 1)
        sock.bind((address, port))
    except OSError as error:
        sock.close()
        raise _told(error, port) from error
    except BaseException:
        # A port of more than 16 bits is an OverflowError.
        sock.close()
        raise
    return sock


def _told(error: OSError, port: int) -> OSError:
    if error.errno != errno.EADDRINUSE:
        return error
    return PortTaken(port, holder(port), error.strerror or "address in use")


def holder(port: int) -> str | None:
    """The process that listens on a port, for people; None where that cannot be told.

    Linux only, and of other users' processes only root sees the descriptors.
    """
    inodes = set(_listening(port))
    for process in _processes() if inodes else ():
        if any(_target(descriptor) in inodes for descriptor in _descriptors(process)):
            return f"process {process.name} ({_command(process)})"
    return None


def _listening(port: int) -> Iterator[str]:
    """Links to the sockets that listen on a port, as /proc/PID/fd shows them; the tables are those of proc_net(5)."""
    for table in ("tcp", "tcp6"):
        try:
            lines = Path("/proc/net", table).read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            words = line.split()
            if len(words) > 9 and words[3] == _LISTEN and words[1].endswith(f":{port:04X}"):
                yield f"socket:[{words[9]}]"


def _processes() -> list[Path]:
    try:
        return [path for path in Path("/proc").iterdir() if path.name.isdigit()]
    except OSError:
        return []


def _descriptors(process: Path) -> list[Path]:
    # Gone meanwhile, or somebody else's.
    try:
        return list((process / "fd").iterdir())
    except OSError:
        return []


def _target(descriptor: Path) -> str:
    try:
        return os.readlink(descriptor)
    except OSError:
        return ""


def _command(process: Path) -> str:
    try:
        words = (process / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return "gone"
    # One line, however long the program after -c is.
    text = " ".join(b" ".join(words).decode("utf-8", "replace").split())
    return text if len(text) <= 120 else f"{text[:120]}..."
