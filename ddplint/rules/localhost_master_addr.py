"""DDP103: the master address is fixed to one machine."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING

from ddplint.findings import Applicability, Finding, Severity
from ddplint.rules import Rule

if TYPE_CHECKING:
    from ddplint.findings import Fix
    from ddplint.program import Program
    from ddplint.program.hosts import Written


class LocalhostMasterAddr(Rule):
    """Literals that reach MASTER_ADDR or a tcp:// URL where nothing else can decide them."""

    code = "DDP103"
    name = "localhost-master-addr"
    severity = Severity.WARNING
    summary = "the master address is fixed to this host"
    fix = Applicability.SAFE

    def check(self, program: Program) -> Iterable[Finding]:
        from ddplint import repairs
        from ddplint.program import hosts
        from ddplint.program.values import Origin

        if not hosts.starts_group(program):
            return
        for event in program.events("store"):
            argument = event.arguments["value"]
            if event.name == "MASTER_ADDR" and not hosts.guarded(event.path, event.name):
                for host in hosts.written(argument.value, Origin(event.module, argument.node), event.path):
                    if hosts.is_host(host.text):
                        fix = partial(repairs.address_stores.stored, program, event, host)
                        yield self._finding(program, host, "MASTER_ADDR", fix)
        for group, value, origin in hosts.init_methods(program):
            if not hosts.guarded(group.event.path):
                for host in hosts.url_parts(value, origin, group.event.path)[0]:
                    if hosts.is_host(host.text):
                        fix = partial(repairs.addresses.in_url, program, value, origin, group.event.path)
                        yield self._finding(program, host, "the rendezvous URL", fix)

    def _finding(self, program: Program, host: Written, what: str, fix: Callable[[], Fix | None]) -> Finding:
        from ddplint.program import hosts, words

        if hosts.is_loopback(host.text):
            consequence = "every node then looks for rank 0 on itself"
        else:
            consequence = "the job then works on that one machine only"
        if host.option is not None:
            message = (
                f"{words.sentence(host.option)} sets {what} to {host.text} unless somebody types it: {consequence}"
            )
            return program.finding(
                self,
                host.origin,
                message,
                severity=Severity.WARNING,
                help=f"take the default from the environment: os.environ.get('MASTER_ADDR', {host.text!r})",
                fix=fix,
            )
        return program.finding(
            self,
            host.origin,
            f"{what[0].upper() + what[1:]} is fixed to {host.text}, whatever the launcher says: {consequence}",
            severity=program.topology_severity(),
            help=f"keep what the launcher set: os.environ.setdefault('MASTER_ADDR', {host.text!r})",
            fix=fix,
        )
