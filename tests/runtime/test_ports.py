"""Listening on a port, and giving the socket to torch's store."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path

import pytest

from ddplint.runtime import ports
from ddplint.runtime.addresses import is_own
from ddplint.runtime.ports import PortTaken, holder, listen

procfs = pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="who holds a port is read from Linux's /proc")
HOLD = "import socket, sys; s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1], flush=True); input()"


def test_all_interfaces_of_both_versions() -> None:
    with listen(0) as sock:
        number = sock.getsockname()[1]
        for address in ("127.0.0.1", "::1") if is_own("::1") else ("127.0.0.1",):
            socket.create_connection((address, number), timeout=5).close()
        assert not os.get_inheritable(sock.fileno())


def test_one_address() -> None:
    with listen(0, "127.0.0.1") as sock:
        assert sock.getsockname()[0] == "127.0.0.1"
    if is_own("::1"):
        with listen(0, "::1") as sock:
            assert sock.getsockname()[0] == "::1"


def test_without_ipv6(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "has_ipv6", False)
    with listen(0) as sock:
        assert sock.family == socket.AF_INET


def test_ipv6_that_is_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    real = ports._bind

    def bind(family: int, address: str, port: int) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(97, "Address family not supported by protocol")
        return real(family, address, port)

    monkeypatch.setattr(ports, "_bind", bind)
    with listen(0) as sock:
        assert sock.family == socket.AF_INET


@pytest.mark.parametrize("first", [None, "127.0.0.1"])
@pytest.mark.parametrize("second", [None, "127.0.0.1"])
def test_a_port_that_is_taken(first: str | None, second: str | None) -> None:
    with listen(0, first) as sock:
        number = sock.getsockname()[1]
        with pytest.raises(PortTaken) as caught:
            listen(number, second)
        assert caught.value.port == number
        assert f"port {number} is taken by " in str(caught.value)


@procfs
def test_who_holds_it() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        number = int(process.stdout.readline())
        found = holder(number)
        with pytest.raises(PortTaken, match=f"process {process.pid} "):
            listen(number)
        process.communicate("\n", timeout=20)
    assert found is not None
    assert f"process {process.pid} (" in found
    assert "create_server" in found
    assert "\n" not in found
    assert holder(number) is None


def test_a_port_is_free_again_at_once() -> None:
    with listen(0, "127.0.0.1") as sock:
        number = sock.getsockname()[1]
        client = socket.create_connection(("127.0.0.1", number), timeout=5)
        server, _ = sock.accept()
        # The side that closes first keeps the port in TIME_WAIT.
        server.close()
        client.close()
    listen(number, "127.0.0.1").close()


def test_what_is_no_port_and_no_own_address() -> None:
    with pytest.raises(OverflowError):
        listen(70000)
    with pytest.raises(OSError, match=r"(?i)assign") as caught:
        listen(0, "198.51.100.7")
    assert not isinstance(caught.value, PortTaken)


@pytest.mark.torch
def test_the_socket_becomes_that_of_the_store() -> None:
    torch = pytest.importorskip("torch")
    store = torch.distributed.TCPStore
    sock = listen(0)
    number = sock.getsockname()[1]
    limit = timedelta(seconds=20)
    server = store("127.0.0.1", number, 2, True, timeout=limit, wait_for_workers=False, master_listen_fd=sock.detach())
    got: list[bytes] = []

    def client() -> None:
        other = store("127.0.0.1", number, 2, False, timeout=limit, wait_for_workers=False)
        other.set("from", "client")
        got.append(other.get("to"))

    thread = threading.Thread(target=client, daemon=True)
    thread.start()
    assert server.get("from") == b"client"
    server.set("to", "client")
    thread.join(20)
    assert got == [b"client"]
    assert server.port == number
