"""DDP204: NCCL is used by processes that never chose a GPU."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

from ddplint.findings import Applicability, Finding, Severity
from ddplint.rules import Rule

if TYPE_CHECKING:
    from ddplint.program import Program


class DeviceNotSet(Rule):
    """All processes of a node stay on GPU 0."""

    code = "DDP204"
    name = "device-not-set"
    severity = Severity.WARNING
    summary = "NCCL used before the process pinned its GPU"
    fix = Applicability.SAFE

    def check(self, program: Program) -> Iterable[Finding]:
        from ddplint import repairs
        from ddplint.program import pinning
        from ddplint.program.values import Origin

        for found in pinning.unpinned(program):
            start, need = found.start, found.need
            rank = found.local_rank or 'int(os.environ["LOCAL_RANK"])'
            what = f"{need.name.rpartition('.')[2]}() there" if need.kind == "call" else "what goes to cuda"
            yield program.finding(
                self,
                Origin(start.module, start.node),
                f"No process chooses a GPU, so {what} puts all processes of a node on GPU 0: NCCL reports a duplicate "
                "GPU, or its memory runs out",
                help=f"call torch.cuda.set_device({rank}) before the group starts",
                notes=[program.note("it goes to the GPU that the process is on", Origin(need.module, need.node))],
                fix=partial(repairs.gpu_choice.pinned, program, found),
            )
