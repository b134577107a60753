"""The ``--local_rank`` option that ``torch.distributed.launch`` passes and torchrun does not."""

from __future__ import annotations

from collections.abc import Iterator

from ddplint.program.program import Program
from ddplint.program.sizes import has_fallback
from ddplint.program.values import Input, Value, walk

# These pass --local_rank themselves, or fill it: the deepspeed launcher (deepspeed/launcher/launch.py) and
# transformers' TrainingArguments.
_FILLED_BY = frozenset(("deepspeed", "TrainingArguments", "HfArgumentParser"))


def local_rank_options(program: Program) -> Iterator[tuple[Input, bool]]:
    """Options that are used while nothing reads LOCAL_RANK, and whether they decide a rank or a device."""
    if program.reads_variable("LOCAL_RANK") or any(module.words & _FILLED_BY for module in program.modules):
        return
    for option in program.options:
        if option.name != "local_rank" or option.spec is None or option.spec.parser != "argparse":
            continue
        if has_fallback(option) or not option.spec.flags[0].startswith("-"):
            continue
        decides = _used(option, _deciding(program))
        if not decides and any(option.id in run.lenient for run in program.runs):
            continue  # no crash, and nothing that matters depends on it
        if decides or _used(option, [check for run in program.runs for check in run.checks]):
            yield option, decides


def _deciding(program: Program) -> list[Value]:
    values = [event.arguments["index"].value for event in program.events("device")]
    values += [group.rank for group in program.groups if group.rank is not None]
    return values


def _used(option: Input, values: list[Value]) -> bool:
    return any(part.id == option.id for value in values for part in walk(value))
