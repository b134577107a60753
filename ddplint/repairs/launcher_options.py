"""Options that the launcher can answer: node ranks (DDP104) and ``--local_rank`` (DDP112) read their default from it.

What somebody types still comes first, and the old default stays for the case that no launcher has set the variable.
"""

from __future__ import annotations

from collections.abc import Sequence

import libcst as cst

from ddplint.findings import Applicability, Fix
from ddplint.program import launchers
from ddplint.program.launchers import SRUN, TORCHRUN, Role
from ddplint.program.program import Program
from ddplint.program.values import Const, Input, Origin, walk
from ddplint.repairs import job
from ddplint.repairs.declarations import Declaration, declaration
from ddplint.repairs.draft import Draft, NoPlaceError

_UNDERSCORE, _DASH = "--local_rank", "--local-rank"


def node_rank(program: Program, option: Input, each: str) -> Fix | None:
    """An option that is the node rank, or (``each`` speaks of processes) the whole rank, filled by the launcher."""
    declared = declaration(option)
    if declared is None or not each:
        return None  # nothing uses it: whatever its default, the ranks stay wrong
    names = _variables(program, option, whole="process" in each)
    draft = Draft(program)
    try:
        default_from(draft, option, declared, names)
    except NoPlaceError:
        return None
    return draft.fix(Applicability.SAFE, f"Take the default from {' or '.join(names)}")


def node_constant(program: Program, constant: Const) -> Fix | None:
    """A literal that is the node rank, as the default of what the launcher says."""
    if constant.origin is None or not isinstance(constant.origin.node, cst.Integer):
        return None
    if any(group.rank is constant for group in program.judged_groups):
        return None  # no node rank but the whole rank
    draft = Draft(program)
    names = [launchers.name_of(TORCHRUN, Role.NODE_RANK)] if _torchrun_starts(program, constant) else ["NODE_RANK"]
    names += ["SLURM_NODEID"] if _slurm(program) else []
    try:
        environ = draft.name(constant.origin, "os.environ")
        old = draft.text(constant.origin)
        draft.replace(constant.origin, f"int({job.first_set(environ, names, old)})")
    except NoPlaceError:
        return None
    return draft.fix(Applicability.SAFE, f"Take the node rank from {' or '.join(names)}")


def local_rank(program: Program, option: Input) -> Fix | None:
    """``--local_rank`` in both spellings, and from LOCAL_RANK where nobody passes it."""
    declared = declaration(option)
    if declared is None or declared.call is None:
        return None
    draft = Draft(program)
    try:
        _both_spellings(draft, program, option, declared)
        default_from(draft, option, declared, ["LOCAL_RANK"])
        if declared.argument("type") is None and _is_int(declared.default):
            # the script works with the default, a number: what is passed is to be one, too
            draft.append_argument(Origin(declared.module, declared.call), "type=int")
    except NoPlaceError:
        return None
    return draft.fix(Applicability.SAFE, "Accept both spellings, and take the default from LOCAL_RANK")


# -- which variable ---------------------------------------------------------------------------------------------


def _variables(program: Program, option: Input, whole: bool) -> list[str]:
    """The variables that tell the rank of this node or process, the likeliest first."""
    if whole:
        first = "RANK"
    else:
        first = launchers.name_of(TORCHRUN, Role.NODE_RANK) if _torchrun_starts(program, option) else "NODE_RANK"
    default = option.spec.default if option.spec is not None else None
    if isinstance(default, Const) and isinstance(default.value, int) and default.value < 0:
        return [first]  # "not distributed": in a batch job that is no step of srun, Slurm's variables are there as well
    return [first, launchers.name_of(SRUN, Role.RANK if whole else Role.NODE_RANK)] if _slurm(program) else [first]


def _torchrun_starts(program: Program, part: Const | Input) -> bool:
    """Whether torchrun starts the processes that need the node rank, rather than the script itself."""
    groups = [
        group
        for group in program.judged_groups
        if group.rank is not None and any(one.id == part.id for one in walk(group.rank))
    ]
    return program.evidence.torchrun and bool(groups) and not any(group.event.context for group in groups)


def _slurm(program: Program) -> bool:
    """Whether anything shows that Slurm starts the script."""
    if any(name.startswith("SLURM_") for run in program.runs for name in run.reads):
        return True
    return any(word in text for text in program.launch_files() for word in ("srun", "sbatch", "#SBATCH"))


# -- what to write ----------------------------------------------------------------------------------------------


def _is_int(node: cst.BaseExpression | None) -> bool:
    if isinstance(node, cst.UnaryOperation) and isinstance(node.operator, cst.Minus):
        node = node.expression
    return isinstance(node, cst.Integer)


def default_from(draft: Draft, option: Input, declared: Declaration, names: Sequence[str]) -> None:
    """Let an option take its default from the first of these variables that is set; the old one comes last.

    Raises:
        NoPlaceError: the default is written in a way that is not understood.
    """
    spec = option.spec
    assert spec is not None
    old = declared.default
    place = Origin(declared.module, old if old is not None else spec.origin.node)
    environ = draft.name(place, "os.environ")
    kind = declared.argument("type")
    converts = spec.parser in ("argparse", "absl") and declared.call is not None  # text becomes what was declared
    required = declared.argument("required")
    if isinstance(required, cst.Name) and required.value == "True":
        if old is not None:
            raise NoPlaceError("required, with a default")
        quote = draft.layout(declared.module).quote
        unset = " and ".join(f"{quote}{name}{quote} not in {environ}" for name in names)
        draft.replace_text(Origin(declared.module, required), unset)
    elif required is not None and not (isinstance(required, cst.Name) and required.value == "False"):
        raise NoPlaceError("required under a condition")
    elif spec.required:
        raise NoPlaceError("an argument without a flag, or a field that must be given")
    if old is None or (isinstance(old, cst.Name) and old.value == "None"):
        if not converts or spec.type not in ("int", "str"):
            raise NoPlaceError("no type that would convert the text of a variable")
        if old is None:
            assert declared.call is not None
            read = job.first_set(environ, names, None, '"')
            draft.append_argument(Origin(declared.module, declared.call), f"default={read}")
        else:
            quote = draft.layout(declared.module).quote
            draft.replace_text(place, job.first_set(environ, names, None, quote))
        return
    text = draft.text(place)
    beside = [text, *(flag.value for flag in declared.flags())]
    quote = next((one[0] for one in beside if one[0] in "'\""), draft.layout(declared.module).quote)
    read = job.first_set(environ, names, text, quote)
    if spec.type == "int" and (kind is None or (isinstance(kind, cst.Name) and kind.value == "int")):
        draft.replace_text(place, f"int({read})")
    elif converts and isinstance(old, cst.SimpleString):
        draft.replace_text(place, read)
    else:
        raise NoPlaceError("a default of another type")


def _both_spellings(draft: Draft, program: Program, option: Input, declared: Declaration) -> None:
    flags = {str(flag.evaluated_value): flag for flag in declared.flags()}
    missing = {_UNDERSCORE: _DASH, _DASH: _UNDERSCORE}
    for written, other in missing.items():
        if written in flags and other not in flags:
            if any(other in one.spec.flags for one in program.options if one.spec and one.id != option.id):
                raise NoPlaceError("another option has that spelling")
            text = draft.text(Origin(declared.module, flags[written]))
            draft.replace_text(Origin(declared.module, flags[written]), f"{text}, {text.replace(written, other)}")
            return
