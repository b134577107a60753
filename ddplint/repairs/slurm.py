"""What Slurm says under another name, or not at all: addresses and names (DDP111), the rendezvous (DDP106).

Rank 0 runs on the first host of the step, which scontrol(1) tells from the step's compressed list of nodes
(srun(1), SLURM_STEP_NODELIST). SLURM_LAUNCH_NODE_IPADDR and SLURM_SRUN_COMM_HOST are where srun was typed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import libcst as cst

from ddplint.findings import Applicability, Fix
from ddplint.program import launchers
from ddplint.program.group import Group
from ddplint.program.launchers import Role
from ddplint.program.program import Program
from ddplint.program.values import EnvVar, Origin, Value, leaves
from ddplint.repairs.declarations import around
from ddplint.repairs.draft import Draft, NoPlaceError

_STEP_LIST = "SLURM_STEP_NODELIST"
_FREE_NAMES = ("hostnames", "step_hosts", "slurm_hosts")


def first_host(program: Program, variable: EnvVar, used: Origin) -> Fix | None:
    """The first host of the list instead of a variable that names none; ``used`` is the address it stands in."""
    if variable.origin is None:
        return None
    draft = Draft(program)
    try:
        place = _place(program, variable.origin, used)
        nodes = _nodes(draft, variable, place)
        if any(isinstance(node, cst.FormattedString) for node in around(place)):
            _named(draft, place, nodes)
        else:
            draft.replace_text(place, _expanded(draft, place, nodes))
    except NoPlaceError:
        return None
    return draft.fix(Applicability.UNSAFE, "Take the first host of the job step")


def _place(program: Program, read: Origin, used: Origin) -> Origin:
    """The expression to replace: the read, if the address is made where it is read, else the address."""
    plain = isinstance(read.node, cst.Subscript)
    if plain and (read.node is used.node or any(node is used.node for node in around(read))):
        return read
    stored = [event.arguments["value"] for event in program.events("store")]
    values = [argument.value for argument in stored if argument.node is used.node]
    if values and all(_is_variable(leaf) for value in values for leaf in leaves(value)):
        return used
    raise NoPlaceError("an address that is made in several ways")


def _is_variable(leaf: Value) -> bool:
    """Whether a value is a variable as it is, or what ``get`` says without a default."""
    return isinstance(leaf, EnvVar) or leaf.type == "none"


def _nodes(draft: Draft, variable: EnvVar, place: Origin) -> str:
    """What scontrol is to expand: the list that is there, or the step's."""
    if launchers.meaning(variable.name) is Role.HOSTLIST:
        return draft.text(place)
    quote = draft.layout(place.module).quote
    return f"{draft.name(place, 'os.environ')}[{quote}{_STEP_LIST}{quote}]"


def _command(draft: Draft, place: Origin, nodes: str) -> tuple[str, str]:
    """``subprocess.check_output``, and the arguments that make it print the hosts."""
    quote = draft.layout(place.module).quote
    words = ", ".join(f"{quote}{word}{quote}" for word in ("scontrol", "show", "hostnames"))
    return draft.name(place, "subprocess.check_output"), f"[{words}, {nodes}], text=True"


def _expanded(draft: Draft, place: Origin, nodes: str) -> str:
    run, arguments = _command(draft, place, nodes)
    code = f"{run}({arguments}).split()[0]"
    layout = draft.layout(place.module)
    start = draft.program.span(place).start
    if start.column + len(code) <= layout.width:
        return code
    indent = layout.indentation(start.line) or ""
    return f"{run}(\n{indent}{layout.indent}{arguments}\n{indent}).split()[0]"


def _named(draft: Draft, place: Origin, nodes: str) -> None:
    """A variable in front of the statement, for an address inside an f-string."""
    if "master_addr" in place.module.words:
        raise NoPlaceError("the name master_addr is taken")
    if isinstance(place.node, cst.Subscript):
        nodes = re.sub(r"""(['"])(\w+)\1""", r'"\2"', nodes)
    run, arguments = _command(draft, place, nodes)
    draft.before(place, f"master_addr = {run}({arguments}).split()[0]")
    draft.replace_text(place, "master_addr")


def real_name(program: Program, wrong: str, right: str) -> Fix | None:
    """The name that Slurm sets, wherever the script says the wrong one."""
    if any(event.name == wrong for event in program.events("store")):
        return None  # a variable of the script's own
    draft = Draft(program)
    for module in program.modules:
        if wrong in module.source.text:
            draft.rename_strings(module, wrong, right)
    return draft.fix(Applicability.UNSAFE, f"Read {right}")


def rendezvous(program: Program, group: Group, missing: Sequence[str]) -> Fix | None:
    """What srun does not set, before the process group starts; what somebody exported stays."""
    place = Origin(group.event.module, group.event.node)
    method = group.init_method
    if method is not None and isinstance(method.node, (cst.Name, cst.Attribute)):
        return None  # those who start it with srun may type a URL, and need no address then
    draft = Draft(program)
    try:
        environ = draft.name(place, "os.environ")
        address = _address(draft, place, environ, missing)
        ranks = [
            f'{environ}.setdefault("{name}", {environ}["{source}"])'
            for name, source in (("RANK", "SLURM_PROCID"), ("WORLD_SIZE", "SLURM_NTASKS"))
            if name in missing
        ]
        under_srun = f'"SLURM_PROCID" in {environ}'
        if ranks or not address:
            inner = [f"    {line}" for line in address]
            if "MASTER_ADDR" in missing:
                inner = [f'    if "MASTER_ADDR" not in {environ}:', *(f"    {line}" for line in inner)]
            port = [f'    {environ}.setdefault("MASTER_PORT", "29500")'] if "MASTER_PORT" in missing else []
            draft.before(place, f"if {under_srun}:", *(f"    {line}" for line in ranks), *inner, *port)
        else:
            port = [f'    {environ}.setdefault("MASTER_PORT", "29500")'] if "MASTER_PORT" in missing else []
            unset = f'"MASTER_ADDR" not in {environ}'
            draft.before(place, f"if {under_srun} and {unset}:", *(f"    {line}" for line in address), *port)
    except NoPlaceError:
        return None
    return draft.fix(Applicability.UNSAFE, "Set what srun does not set, before the process group starts")


def _address(draft: Draft, place: Origin, environ: str, missing: Sequence[str]) -> list[str]:
    if "MASTER_ADDR" not in missing:
        return []
    name = next((name for name in _FREE_NAMES if name not in place.module.words), None)
    nodes = next((name for name in ("nodelist", "slurm_nodes") if name not in place.module.words), None)
    if name is None or nodes is None:
        raise NoPlaceError("all names are taken")
    run = draft.name(place, "subprocess.check_output")
    return [
        # the step's list is there under srun alone; a batch script that starts Python itself has that of the job
        f'{nodes} = {environ}.get("{_STEP_LIST}", {environ}["SLURM_JOB_NODELIST"])',
        f'{name} = {run}(["scontrol", "show", "hostnames", {nodes}], text=True)',
        f'{environ}["MASTER_ADDR"] = {name}.split()[0]',
    ]
