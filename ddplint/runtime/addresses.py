"""Names and addresses on this machine: what a name resolves to, and which addresses and interfaces are its own.

No packet is sent, except what the resolver sends to look up a name.
"""

from __future__ import annotations

import socket
import struct
import sys
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

# Linux include/uapi/linux/sockios.h: the address of an interface.
_SIOCGIFADDR = 0x8915
# Addresses for documentation (RFC 5737, RFC 3849), which no machine has: the way to them is the way to the world.
ELSEWHERE = ("192.0.2.1", "2001:db8::1")


def resolve(name: str) -> tuple[str, ...]:
    """The addresses of a name, in the resolver's order, each once.

    Raises:
        socket.gaierror: the name has no address, or is none.
        OSError: the resolver failed otherwise.
    """
    # env:// is often given an address of version 6 in brackets.
    host = name.strip()
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    if not host:
        # getaddrinfo would answer with loopback.
        raise socket.gaierror(socket.EAI_NONAME, "the name is empty")
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    except (UnicodeError, ValueError) as error:
        # Python encodes names itself before it asks: a label of more than 63 signs, an empty one, a NUL.
        raise socket.gaierror(socket.EAI_NONAME, f"no name of a host: {error}") from error
    return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))


def own_name_addresses() -> tuple[str, ...]:
    """What this machine's own name resolves to, as gloo looks it up.

    Raises:
        OSError: it does not resolve.
    """
    return resolve(socket.gethostname())


def own_address() -> str:
    """The address under which other machines most likely find this one; loopback if it has no other.

    What its own name resolves to, unless that is loopback (Debian's 127.0.1.1) or another machine's; else the one
    from which it talks to the world.
    """
    try:
        named = own_name_addresses()
    except OSError:
        named = ()
    routed = (own for other in ELSEWHERE if (own := towards(other)) is not None)
    return next((one for one in (*named, *routed) if is_own(one) and not is_loopback(one)), "127.0.0.1")


def is_loopback(address: str) -> bool:
    """Whether an address, not a name, leads every machine to itself."""
    found = _parsed(address)
    return found is not None and (found.is_loopback or found.is_unspecified)


def is_own(address: str) -> bool:
    """Whether this machine has an address: nobody can bind to another's.

    Also false where the address is none; with ``net.ipv4.ip_nonlocal_bind`` Linux would let it bind to any.
    """
    found = _parsed(address)
    if found is None or found.is_unspecified or found.is_multicast:
        return False
    family = socket.AF_INET6 if found.version == 6 else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind(_where(address.strip(), found, 0))
    except (OSError, OverflowError):
        return False
    return True


def towards(address: str) -> str | None:
    """The own address from which this machine talks to another one; None where no route leads there.

    Connecting a UDP socket chooses the route and sends nothing.
    """
    found = _parsed(address)
    if found is None:
        return None
    family = socket.AF_INET6 if found.version == 6 else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            # Any port but 0, which BSD refuses; 9 is "discard".
            probe.connect(_where(address.strip(), found, 9))
            own = str(probe.getsockname()[0])
    except (OSError, OverflowError):
        return None
    return own


def interface_of(address: str) -> str | None:
    """The name of the network interface that carries an own address; None where that cannot be told.

    Known on Linux only. Of an interface's IPv4 addresses the kernel gives the first one.
    """
    found = _parsed(address)
    if found is None or not sys.platform.startswith("linux"):
        return None
    if isinstance(found, IPv6Address):
        return _interface_of_6(found)
    return next((name for _, name in socket.if_nameindex() if _address_of(name) == found), None)


def _interface_of_6(address: IPv6Address) -> str | None:
    """From /proc/net/if_inet6 (proc_net(5)): address, index, length of the prefix, scope, flags and name a line."""
    try:
        lines = Path("/proc/net/if_inet6").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    wanted = address.packed.hex()
    return next((words[5] for line in lines if len(words := line.split()) == 6 and words[0] == wanted), None)


def _address_of(interface: str) -> IPv4Address | None:
    # Not on Windows, where this module must be importable too.
    import fcntl

    request = struct.pack("256s", interface.encode()[:15])
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            answer = fcntl.ioctl(probe.fileno(), _SIOCGIFADDR, request)
    except OSError:
        return None
    return IPv4Address(answer[20:24])


def _parsed(address: str) -> IPv4Address | IPv6Address | None:
    try:
        found = ip_address(address.strip().strip("[]"))
    except ValueError:
        return None
    # ::ffff:10.0.0.1 is 10.0.0.1.
    return found.ipv4_mapped or found if isinstance(found, IPv6Address) else found


def _where(text: str, found: IPv4Address | IPv6Address, port: int) -> tuple[str, int] | tuple[str, int, int, int]:
    """What bind and connect take; the scope of an fe80::1%eth0 is a number there."""
    if isinstance(found, IPv4Address):
        return str(found), port
    scope = found.scope_id or ""
    try:
        number = int(scope) if scope.isdigit() else socket.if_nametoindex(scope) if scope else 0
    except OSError:
        number = 0
    return str(IPv6Address(found.packed)), port, 0, number
