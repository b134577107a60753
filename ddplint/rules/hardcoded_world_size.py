"""DDP102: the world size is a literal, a local GPU count, or a number that somebody types."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

from ddplint.findings import Applicability, Finding, Severity
from ddplint.rules import Rule

if TYPE_CHECKING:
    from ddplint.program import Program


class HardcodedWorldSize(Rule):
    """Judges the world size on small topologies: it must count the processes of all nodes."""

    code = "DDP102"
    name = "hardcoded-world-size"
    severity = Severity.WARNING
    summary = "the world size is a literal, a local GPU count, or typed by hand"
    fix = Applicability.UNSAFE

    def check(self, program: Program) -> Iterable[Finding]:
        from ddplint import repairs
        from ddplint.program import sizes, words

        for group in program.judged_groups:
            fault = sizes.world_size_fault(program, group)
            if fault is None or group.world_size is None:
                continue
            size = group.chosen(group.world_failure, group.world_size)
            origin = sizes.made_at(program, group, fault, size)
            problem = {
                sizes.Fault.LITERAL: "is the world size whatever was started: on another number of nodes or GPUs "
                "the start hangs, or each node trains alone",
                sizes.Fault.LOCAL: "is used as the world size, which counts the processes of all nodes: "
                "on several nodes the start hangs, or each node trains alone",
                sizes.Fault.TYPED: "is the world size, and nothing computes it or checks it against nodes x processes: "
                "typed wrong, the start hangs or a part of the job trains alone",
                sizes.Fault.STARTED: "is the world size and the number of processes that each node starts: on several "
                "nodes the start hangs, or each node trains alone",
            }[fault]
            yield program.finding(
                self,
                origin,
                f"{words.sentence(size)} {problem}",
                severity=program.topology_severity(),
                help="compute it as nnodes * processes per node, or leave it to torchrun (WORLD_SIZE)",
                notes=words.chain(program, size, "the world size", origin),
                counterexample=group.counterexample(group.world_failure, of_ranks=False)
                if group.world_failure
                else None,
                fix=partial(repairs.topology.fix, program, group),
            )
