"""DDP112: the script depends on --local_rank, which torchrun does not pass."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

from ddplint.findings import Applicability, Finding, Severity
from ddplint.rules import Rule

if TYPE_CHECKING:
    from ddplint.program import Program


class LocalRankArgument(Rule):
    """``--local_rank`` options that are used, in programs that never read LOCAL_RANK."""

    code = "DDP112"
    name = "local-rank-argument"
    severity = Severity.WARNING
    summary = "depends on --local_rank, which torchrun does not pass"
    fix = Applicability.SAFE

    def check(self, program: Program) -> Iterable[Finding]:
        from ddplint import repairs
        from ddplint.program import arguments

        for option, decides in arguments.local_rank_options(program):
            assert option.spec is not None
            default = option.spec.default
            # without a default the script can see that nobody passed it, and most do
            given = default is not None and default.type != "none"
            shown = (
                f" and it is {default.value!r} in every process"
                if default is not None and hasattr(default, "value")
                else ""
            )
            yield program.finding(
                self,
                option.spec.origin,
                f"torchrun passes no {option.spec.flags[0]}{shown}; torch.distributed.launch passes --local-rank "
                "since torch 2.0, which this parser refuses",
                severity=Severity.ERROR if decides and given and program.evidence.torchrun else Severity.WARNING,
                help="accept '--local_rank', '--local-rank' and read the default from the environment: "
                "default=int(os.environ.get('LOCAL_RANK', 0))",
                fix=partial(repairs.launcher_options.local_rank, program, option),
            )
