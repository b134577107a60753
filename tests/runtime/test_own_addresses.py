"""Names, addresses and interfaces of this machine: loopback is enough to see that they are right."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from ddplint.runtime import addresses
from ddplint.runtime.addresses import interface_of, is_loopback, is_own, own_address, resolve, towards

# Documentation only (RFC 5737, RFC 3849): no machine has them.
NOBODYS = ("198.51.100.7", "2001:db8::7")
V6 = Path("/proc/net/if_inet6").exists() and is_own("::1")
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the interfaces are Linux's")


def test_resolve() -> None:
    assert resolve("127.0.0.1") == ("127.0.0.1",)
    assert resolve(" [::1] ") == ("::1",)
    assert set(resolve("localhost")) <= {"127.0.0.1", "::1"}


@pytest.mark.parametrize("name", ["", "  ", "a..b", "x" * 70 + ".de", "a\0b", "no-such-host.invalid", "\ud800"])
def test_what_is_no_name_does_not_resolve(name: str) -> None:
    with pytest.raises(socket.gaierror) as caught:
        resolve(name)
    assert caught.value.strerror


def test_own_addresses() -> None:
    assert is_own("127.0.0.1")
    assert is_own("::ffff:127.0.0.1")
    assert [is_own(address) for address in NOBODYS] == [False, False]
    assert [is_own(other) for other in ("0.0.0.0", "::", "224.0.0.1", "localhost", "")] == [False] * 5


@pytest.mark.skipif(not V6, reason="no IPv6 here")
def test_own_address_of_version_6() -> None:
    assert is_own("::1")
    assert is_own("[::1]")
    assert towards("::1") == "::1"
    assert interface_of("::1") == "lo"


def test_loopback() -> None:
    assert [is_loopback(one) for one in ("127.0.1.1", "::1", "0.0.0.0", "::ffff:127.0.0.1")] == [True] * 4
    assert [is_loopback(one) for one in ("10.0.0.1", "localhost", "")] == [False] * 3


def test_towards() -> None:
    assert towards("127.0.0.1") == "127.0.0.1"
    assert towards("nowhere") is None


@linux
def test_the_interface_of_an_address() -> None:
    assert interface_of("127.0.0.1") == "lo"
    assert [interface_of(address) for address in (*NOBODYS, "localhost")] == [None] * 3


@linux
def test_each_interface_is_found_by_its_address(unavailable: Callable[[str], NoReturn]) -> None:
    own = own_address()
    if own == "127.0.0.1":
        unavailable("this machine has no address but loopback")
    assert is_own(own)
    assert interface_of(own) in {name for _, name in socket.if_nameindex()} - {"lo"}


@pytest.mark.parametrize(
    ("named", "routes", "own"),
    [
        (("10.0.0.5",), {}, "10.0.0.5"),
        (("127.0.1.1",), {"192.0.2.1": "10.0.0.6"}, "10.0.0.6"),
        (("10.9.9.9",), {"192.0.2.1": "10.0.0.6"}, "10.0.0.6"),
        (None, {"2001:db8::1": "fd00::6"}, "fd00::6"),
        (None, {}, "127.0.0.1"),
    ],
)
def test_own_address(
    monkeypatch: pytest.MonkeyPatch, named: tuple[str, ...] | None, routes: dict[str, str], own: str
) -> None:
    def names() -> tuple[str, ...]:
        if named is None:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return named

    monkeypatch.setattr(addresses, "own_name_addresses", names)
    monkeypatch.setattr(addresses, "towards", routes.get)
    monkeypatch.setattr(
        addresses, "is_own", lambda address: address in ("127.0.1.1", "10.0.0.5", "10.0.0.6", "fd00::6")
    )
    assert own_address() == own
