"""Why a process heard no verdict, from how far it came on its way to rank 0."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from ddplint.runtime.problem import ERROR, Problem
from ddplint.runtime.rollcall import naming
from ddplint.runtime.rollcall.attendance import Attendance
from ddplint.runtime.rollcall.job import Job
from ddplint.runtime.validation import is_loopback


class Stage(IntEnum):
    """How far an attempt came."""

    UNRESOLVED = 0
    UNREACHABLE = 1
    REFUSED = 2
    SILENT = 3
    FOREIGN = 4
    OTHER_JOB = 5
    LOST_EARLY = 6
    NO_VERDICT = 7
    LOST = 8


class Failure(Exception):
    """An attempt that led to no verdict; ``host`` is the address that was tried, where it came that far."""

    def __init__(self, stage: Stage, detail: str = "", host: str = "") -> None:
        self.detail = f"{host}: {detail}" if host else detail
        super().__init__(self.detail)
        self.stage = stage
        self.host = host


@dataclass(frozen=True)
class Aim:
    """What one process wants: to report to rank 0 of its job, at an address and a port, within so many seconds."""

    own: Attendance
    job: Job
    address: str
    port: int
    seconds: float

    @property
    def where(self) -> str:
        """The address and the port, with the variables that they came from."""
        names = [self.own.sources[name] for name in ("master_addr", "master_port") if name in self.own.sources]
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{host}:{self.port}" + (f" ({', '.join(dict.fromkeys(names))})" if names else "")


_REQUIREMENT = "every process reports to rank 0 before the process group starts"


def short(failure: Failure) -> str:
    """How far an attempt came, in a few words."""
    names = {
        Stage.UNRESOLVED: "the name does not resolve",
        Stage.UNREACHABLE: "no connection",
        Stage.REFUSED: "nothing listens there yet",
        Stage.SILENT: "something listens there and says nothing",
        Stage.FOREIGN: "no roll-call answers there",
        Stage.OTHER_JOB: "the port belongs to another job",
    }
    return f"{names.get(failure.stage, 'the connection was lost')} ({failure.detail})"


def diagnose(call: Aim, failure: Failure) -> Problem:
    """Why there was no verdict, from how far the last attempt came."""
    detected, fix = _found(call, failure)
    return Problem(ERROR, f"{naming.process(call.own)}: {detected}", _REQUIREMENT, fix)


def _found(call: Aim, failure: Failure) -> tuple[str, str]:
    where, detail, seconds = call.where, failure.detail, naming.number(call.seconds)
    home = call.own.hosts[0] if call.own.hosts else "the host of rank 0"
    loop = _several_hosts(call.own) and bool(failure.host) and is_loopback(failure.host)
    if failure.stage is Stage.UNRESOLVED:
        return (
            f"{call.address} of {where} did not resolve within {seconds} s: {detail}",
            f"set MASTER_ADDR to a name or an address of {home} that this host knows (getent hosts {call.address})",
        )
    if loop and failure.stage in (Stage.REFUSED, Stage.UNREACHABLE):
        return (
            f"{call.address} of {where} leads to {failure.host}, to this host itself, and there are "
            "several hosts; nothing listens there",
            f"set MASTER_ADDR to an address of {home}, or correct /etc/hosts on this host",
        )
    if failure.stage is Stage.REFUSED:
        return (
            f"nothing listens at {where}: refused for {seconds} s ({detail})",
            f"look at the output of rank 0, which was not started or ended early; or it is not on {call.address}",
        )
    if failure.stage is Stage.UNREACHABLE:
        return (
            f"no connection to {where} within {seconds} s ({detail})",
            "a firewall between the hosts, or an address of another network: try another port or address of "
            f"{home} (nc -vz {call.address} {call.port})",
        )
    if failure.stage in (Stage.SILENT, Stage.FOREIGN):
        return (
            f"what listens at {where} is no roll-call: {detail}",
            "another program has the port: choose another MASTER_PORT; or the job has started already, and this "
            "process is one too many"
            + ("; or rank 0 hangs before its roll-call" if failure.stage is Stage.SILENT else ""),
        )
    if failure.stage is Stage.OTHER_JOB:
        other = detail if detail and detail != call.job.label else f"{detail or 'unnamed'}, with another key"
        return (
            f"the port at {where} belongs to another job: {other}; this one is {call.job.label}",
            "give each job a MASTER_PORT of its own, or wait for the other one to end",
        )
    if failure.stage is Stage.NO_VERDICT:
        last = f"; last it said: {detail}" if detail else ""
        return (
            f"rank 0 at {where} gave no verdict within {seconds} s{last}",
            "look at the output of rank 0; if it starts late, give the roll-call more seconds",
        )
    return (
        f"rank 0 at {where} left before the verdict ({detail})",
        "look at the output of rank 0: it was ended, or failed while it waited",
    )


def _several_hosts(own: Attendance) -> bool:
    if own.nnodes is not None:
        return own.nnodes > 1
    if own.hosts:
        return len({naming.label(host) for host in own.hosts}) > 1
    return own.local_world_size is not None and own.local_world_size < own.world_size
