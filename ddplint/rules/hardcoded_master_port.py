"""DDP107: the master port is fixed in code."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

from ddplint.findings import Applicability, Finding, Severity
from ddplint.rules import Rule

if TYPE_CHECKING:
    from ddplint.program import Program
    from ddplint.program.hosts import Written


class HardcodedMasterPort(Rule):
    """Literals that reach MASTER_PORT or a tcp:// URL where nothing else can decide them."""

    code = "DDP107"
    name = "hardcoded-master-port"
    severity = Severity.WARNING
    summary = "the master port is fixed in code"
    fix = Applicability.SAFE

    def check(self, program: Program) -> Iterable[Finding]:
        from ddplint import repairs
        from ddplint.program import hosts
        from ddplint.program.values import Origin

        if not hosts.starts_group(program):
            return
        for event in program.events("store"):
            if event.name != "MASTER_PORT":
                continue
            argument = event.arguments["value"]
            for port in hosts.written(argument.value, Origin(event.module, argument.node), event.path):
                if not hosts.is_port(port.text) and not hosts.checked(program, port):
                    yield self._illegal(program, port)
                elif hosts.is_port(port.text) and port.option is None and not hosts.guarded(event.path, event.name):
                    yield program.finding(
                        self,
                        port.origin,
                        f"MASTER_PORT is fixed to {port.text} over whatever the launcher set: "
                        "a second job on the same node cannot start, or joins the wrong one",
                        help=f"keep what the launcher set: os.environ.setdefault('MASTER_PORT', '{port.text}')",
                        fix=partial(repairs.address_stores.stored, program, event, port),
                    )
        for group, value, origin in hosts.init_methods(program):
            for port in hosts.url_parts(value, origin, group.event.path)[1]:
                if not hosts.is_port(port.text) and not hosts.checked(program, port):
                    yield self._illegal(program, port)
                elif hosts.is_port(port.text) and port.option is None and not hosts.guarded(group.event.path):
                    yield program.finding(
                        self,
                        port.origin,
                        f"The rendezvous URL fixes port {port.text}: a second job on the same node cannot start",
                        severity=Severity.NOTE,
                        help="take the port from the environment (MASTER_PORT) and keep this one as its default",
                        fix=partial(repairs.addresses.in_url, program, value, origin, group.event.path),
                    )

    def _illegal(self, program: Program, port: Written) -> Finding:
        return program.finding(
            self,
            port.origin,
            f"{port.text!r} is not a port: the rendezvous fails at once",
            severity=Severity.ERROR,
            help="use a number from 1024 to 65535",
        )
