"""From an environment to one topology: who is asked, who may contradict, and what follows from what was said.

Pure functions of a mapping, so that an environment recorded on another machine can be explained.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from ddplint.runtime.conflict import Conflict
from ddplint.runtime.launchers import AGENTS, BY_NAME, DAEMONS, ORDER, azureml, environment, lsf, plain, pmi, slurm
from ddplint.runtime.launchers.launcher import Environ, Launcher, Read, number, text, unreadable
from ddplint.runtime.topology import Claim, DetectionError, Topology, said

OVERRIDE = "DDPLINT_LAUNCHER"
# What two launchers must agree on. Names of hosts and addresses are no numbers: one host has many.
COMPARED = ("rank", "local_rank", "node_rank", "world_size", "local_world_size", "nnodes")
# They start processes, so they may have started the agent or the daemon that started this one.
_STARTERS = (lsf.LAUNCHER, *DAEMONS, slurm.LAUNCHER, pmi.LAUNCHER)


def detect(environ: Environ, read: Read = unreadable, launcher: str | None = None) -> Topology:
    """The place of the process that has this environment.

    ``launcher`` (or the variable DDPLINT_LAUNCHER) says whom to believe; without it a second launcher that says
    something else is a `Conflict`.
    """
    chosen = launcher or environ.get(OVERRIDE, "").strip()
    winner = _chosen(chosen, environ) if chosen else next(one for one in ORDER if one.present(environ))
    topology = winner.describe(environ, read)
    if winner is not plain.LAUNCHER:
        for voice in _voices(winner, environ):
            topology = _heard(topology, voice, winner, environ, read, must_agree=not chosen)
        topology = _with_master(_on_one_node(topology), environ)
    if winner in (plain.LAUNCHER, environment.LAUNCHER):
        topology = replace(topology, notes=tuple(_notes(environ)))
    return topology


def _heard(
    topology: Topology, voice: Launcher, winner: Launcher, environ: Environ, read: Read, must_agree: bool
) -> Topology:
    """The topology with what one more launcher says: around this process, the same, or a contradiction."""
    around = replace(topology, inside=(*topology.inside, voice.name))
    if winner in AGENTS:
        # The agent has set all that counts; what its own starter says is about the agent.
        return around if voice in _STARTERS else topology
    try:
        second = voice.describe(environ, read)
    except DetectionError:
        if must_agree:
            raise
        return topology
    if _is_about_a_daemon(voice, winner, second, topology, environ):
        return around
    if must_agree:
        _must_agree(topology, second, voice.present(environ))
    return _with_others(topology, second)


def _chosen(name: str, environ: Environ) -> Launcher:
    launcher = BY_NAME.get(name)
    if launcher is None:
        raise DetectionError(f"no launcher is called {name!r}; known are {', '.join(BY_NAME)}")
    missing = [variable for variable in launcher.required if not environ.get(variable)]
    if missing:
        raise DetectionError(f"{name} is asked for, but {' and '.join(missing)} {_is(missing)} not set")
    return launcher


def _is(names: list[str]) -> str:
    return "is" if len(names) == 1 else "are"


def _voices(winner: Launcher, environ: Environ) -> Iterator[Launcher]:
    """Who else says something, be it only a part."""
    for launcher in ORDER:
        if launcher in (winner, plain.LAUNCHER):
            continue
        # A WORLD_SIZE alone launches nothing, and yet contradicts a step of another size.
        partly = launcher is environment.LAUNCHER and any(environ.get(name) for name in environment.NAMES)
        if launcher.present(environ) or partly:
            yield launcher


def _is_about_a_daemon(voice: Launcher, winner: Launcher, outer: Topology, inner: Topology, environ: Environ) -> bool:
    """Whether a step is that of mpirun's daemons, one a node, whose children are the processes of the job."""
    if winner not in DAEMONS or voice not in (slurm.LAUNCHER, pmi.LAUNCHER) or not slurm.LAUNCHER.present(environ):
        return False
    # No daemon without a process: fewer processes than daemons means that one of the two is left over from elsewhere.
    world, daemons = inner.world_size.value, outer.world_size.value
    if world is not None and daemons is not None and world < daemons:
        return False
    return set(slurm.layout(environ)) == {1} and (outer.rank.value != inner.rank.value or daemons != world)


def _must_agree(first: Topology, second: Topology, both_can_win: bool) -> None:
    ours, theirs = dict(first.fields()), dict(second.fields())
    for name in COMPARED:
        own, other = ours[name], theirs[name]
        known = {claim.source for claim in own.claims}
        if other.source in known or own.value is None or other.value is None:
            continue
        if own.value != other.value:
            raise Conflict(first, second, OVERRIDE, both_can_win)


def _with_others(topology: Topology, second: Topology) -> Topology:
    """The topology with what another launcher says beside it; a variable is not named twice."""
    theirs = dict(second.fields())
    changed: dict[str, Any] = {}
    for name, own in topology.fields():
        other = theirs[name]
        if name in COMPARED and other.value is not None and other.source not in {claim.source for claim in own.claims}:
            changed[name] = replace(own, others=(*own.others, Claim(other.source or "", other.value)))
    return replace(topology, **changed)


def _on_one_node(topology: Topology) -> Topology:
    """All processes are on this node, if so many are: the launchers of MPI number no nodes."""
    here, world = topology.local_world_size, topology.world_size
    if here.value is None or here.value != world.value or topology.nnodes.value is not None:
        return topology
    because = f"{here.source} = {world.source}"
    node_rank = topology.node_rank
    if node_rank.value is None:
        node_rank = said(because, 0, *node_rank.others)
    return replace(topology, nnodes=said(because, 1, *topology.nnodes.others), node_rank=node_rank)


def _with_master(topology: Topology, environ: Environ) -> Topology:
    """MASTER_ADDR, else the first host of the launcher; the port is MASTER_PORT, or nobody's yet."""
    address = topology.master_addr
    fallbacks = [text(environ, "MASTER_ADDR")]
    if environ.get(azureml.MARKER):
        fallbacks.append(azureml.mpi_master(environ))
    hosts = topology.hosts
    if hosts.value and hosts.source:
        fallbacks.append(said(f"first of {hosts.source}", hosts.value[0]))
    if topology.nnodes.value == 1:
        fallbacks.append(said("there is one node", "localhost"))
    for other in fallbacks:
        if address.value is None:
            address = other
        elif other.value is not None and other.value != "localhost" and other.source != address.source:
            address = replace(address, others=(*address.others, *other.claims))
    port = topology.master_port
    if port.value is None:
        given = number(environ, "MASTER_PORT")
        reason = "nobody chose a port: MASTER_PORT is not set"
        port = replace(port, reason=reason) if given is None else said("MASTER_PORT", given)
    return replace(topology, master_addr=address, master_port=port)


def _notes(environ: Environ) -> Iterator[str]:
    for launcher in ORDER:
        if not launcher.present(environ):
            note = launcher.note(environ)
            if note is not None:
                yield note
