"""Scheduler variables used for what they do not count."""

from __future__ import annotations

from collections.abc import Iterator

from ddplint.program import launchers
from ddplint.program.group import Group
from ddplint.program.launchers import TORCHRUN, Role
from ddplint.program.program import Program
from ddplint.program.values import Choice, EnvVar, Op, Origin, Value

# What may stand where: a master address is a host name, which no launcher but torchrun hands out.
_ALLOWED = {"rank": Role.RANK, "world_size": Role.WORLD_SIZE, "master_addr": Role.MASTER_ADDR}
_WRONG_ADDRESS = (Role.HOSTLIST, Role.LAUNCH_HOST)


def variables(value: Value | None) -> list[EnvVar]:
    """All variables that a value may plainly be, over its choices."""
    while isinstance(value, Op) and value.name in ("int", "str"):
        value = value.args[0]
    if isinstance(value, Choice):
        return variables(value.then) + variables(value.other)
    return [value] if isinstance(value, EnvVar) else []


def misused_variable(group: Group, what: str) -> EnvVar | None:
    """A variable of Slurm or an MPI that is the group's ``rank`` or ``world_size`` but counts something else."""
    value = group.rank if what == "rank" else group.world_size
    if group.event.context:
        return None  # one task a node, whose children the script spawns: the node's number is a fair start
    for variable in variables(value):
        owner = launchers.owner(variable.name)
        if owner is None or owner is TORCHRUN:
            continue
        if owner.variables[variable.name] is not _ALLOWED[what]:
            return None if group.one_task_a_node else variable
    return None


def misused_address(value: Value | None) -> EnvVar | None:
    """A variable that is used as the master address but is a compressed list of hosts, or the login node."""
    for variable in variables(value):
        if launchers.meaning(variable.name) in _WRONG_ADDRESS:
            return variable
    return None


def misused_addresses(program: Program) -> Iterator[tuple[EnvVar, Origin]]:
    """Stores to MASTER_ADDR, and rendezvous URLs, of something that is no host name."""
    for event in program.events("store"):
        if event.name == "MASTER_ADDR":
            argument = event.arguments["value"]
            variable = misused_address(argument.value)
            if variable is not None:
                yield variable, Origin(event.module, argument.node)
    for group in program.groups:
        method = group.init_method
        if method is not None and isinstance(method.value, Op) and method.value.name == "format":
            for part in method.value.args:
                variable = misused_address(part)
                if variable is not None:
                    yield variable, Origin(group.event.module, method.node)


def misspelled(program: Program) -> Iterator[tuple[str, str, Origin]]:
    """Reads of Slurm variables that differ from a real one only in their underscores."""
    known = {name.replace("_", ""): name for name in launchers.SRUN.variables}
    for run in program.runs:
        for name, origin in run.reads.items():
            if name.startswith("SLURM_") and name not in launchers.SRUN.variables:
                real = known.get(name.replace("_", ""))
                if real is not None:
                    yield name, real, origin
