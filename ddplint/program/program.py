"""What rules ask: one linted file, and everything it runs."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from ddplint.findings import Counterexample, Finding, Fix, Note, Severity, Span
from ddplint.program.events import Event
from ddplint.program.evidence import Evidence
from ddplint.program.group import Group
from ddplint.program.library.collectives import Collectives
from ddplint.program.module import Module
from ddplint.program.values import Input, Origin, Value
from ddplint.program.worlds import Worlds

if TYPE_CHECKING:
    from ddplint.program.partings import Parting
    from ddplint.program.project import Project
    from ddplint.program.run import Run
    from ddplint.program.wrapped import History
    from ddplint.rules import Rule


class Program:
    """One linted file as the script that is started, with the modules it imports.

    Everything is computed on first use. ``events`` are what the script does when it is run; what functions do that no
    linted script calls is there too, with unknown arguments.
    """

    def __init__(self, project: Project, module: Module) -> None:
        self.project = project
        self.module = module
        # By the start of a process group: its fix, or why there is none. Several findings carry the same one.
        self.repairs: dict[int, Fix | str] = {}
        self.faults: list[tuple[str, Exception]] = []

    @property
    def path(self) -> str:
        """The path as it is shown."""
        return self.module.path

    @cached_property
    def entry_run(self) -> Run:
        """The execution of the file from its first line."""
        run = self.project.new_run(self.module)
        run.execute_entry()
        return run

    @cached_property
    def orphan_run(self) -> Run:
        """The executions of the functions that nobody calls, one after the other, each from the loaded module."""
        run = self.project.new_run(self.module, started=False)
        seen = self.entry_run.executed
        for facts in list(self.module.functions.values()):
            if id(facts.node) in run.executed or id(facts.node) in seen or facts.outer is not None:
                continue
            if not self.project.acts(facts) or self.project.executed_elsewhere(facts):
                continue
            run.execute_function(facts)
        return run

    @cached_property
    def runs(self) -> tuple[Run, ...]:
        """Both executions."""
        return (self.entry_run, self.orphan_run)

    def run_of(self, event: Event) -> Run:
        """The execution that an event happened in: the numbers in its ``nest`` are that run's own."""
        return self.orphan_run if event.entry else self.entry_run

    def events(self, *kinds: str) -> list[Event]:
        """What the script does, of these kinds, in the order it is first done."""
        found = [event for event in self.entry_run.events if event.kind in kinds]
        # the orphans' modules are executed once more: what the script does by itself is already there
        known = {(event.kind, id(event.node)) for event in self.entry_run.events}
        found += [
            event
            for event in self.orphan_run.events
            if event.kind in kinds and (event.kind, id(event.node)) not in known
        ]
        return found

    @cached_property
    def groups(self) -> tuple[Group, ...]:
        """Every start of a process group, and every child command with an environment of its own."""
        return tuple(Group(event, self.launch_passes_local_rank) for event in self.events("init", "command"))

    @property
    def judged_groups(self) -> tuple[Group, ...]:
        """The groups that topology rules judge: none in a test, none where a framework starts the processes.

        None either where torch's RPC gives the processes different parts to play: their number is the script's design.
        """
        return () if self.exempt else self.groups

    @cached_property
    def exempt(self) -> bool:
        """Whether how many processes there are, and what each does, is not for a rule to judge."""
        return self.evidence.test or self.evidence.managed or bool(self.events("rpc"))

    def written_at(self, group: Group, argument: str, variable: str) -> Origin:
        """Where a group's rank, world size or address is given: the argument, else the last store, else the call."""
        event = group.event
        given = event.arguments.get(argument)
        if given is not None:
            return Origin(event.module, given.node)
        written = event.environ.get(variable)
        if written is not None:
            for run in self.runs:
                for store in reversed(run.events):
                    if store.kind == "store" and store.name == variable and store.arguments["value"].value is written:
                        return Origin(store.module, store.arguments["value"].node)
        return Origin(event.module, event.node)

    @cached_property
    def launch_passes_local_rank(self) -> bool:
        """Whether ``torch.distributed.launch`` would find the ``--local_rank`` option that it passes."""
        return any(option.name == "local_rank" for option in self.options)

    @cached_property
    def worlds(self) -> Worlds:
        """Which processes get to an event, and what a value is in each of them."""
        return Worlds(self)

    @cached_property
    def collectives(self) -> Collectives:
        """Which events are collectives of the whole job."""
        return Collectives(self.events("wrap"))

    @cached_property
    def partings(self) -> tuple[Parting, ...]:
        """The places where some processes go to a collective and others do not."""
        from ddplint.program.partings import partings

        return partings(self)

    @cached_property
    def models(self) -> History:
        """What happened to the models: when and in what they were wrapped."""
        from ddplint.program.wrapped import History

        return History(self)

    @property
    def options(self) -> list[Input]:
        """Every command-line option and configuration field that was declared."""
        return [option for run in self.runs for option in run.options]

    @cached_property
    def modules(self) -> tuple[Module, ...]:
        """The file and the project modules that were executed with it."""
        found = {id(scope.module): scope.module for run in self.runs for scope in run.modules.values()}
        found.setdefault(id(self.module), self.module)
        return tuple(found.values())

    def executes(self, paths: Container[str]) -> bool:
        """Whether one of these files (as they are shown) is executed with the script, or may be: it is not known."""
        try:
            return any(module.path in paths for module in self.modules)
        except Exception:
            # What breaks the model has been reported by the rules.
            return True

    def top_names(self, module: Module) -> Mapping[object, Value]:
        """The names of an executed module as its top level left them."""
        for run in self.runs:
            scope = run.modules.get(id(module))
            if scope is not None:
                return scope.names
        return {}

    @cached_property
    def evidence(self) -> Evidence:
        """What the program shows about how it is started and on how many nodes."""
        return Evidence.of(self)

    def topology_severity(self) -> Severity:
        """A warning; an error where the project shows that it is meant for several nodes."""
        return Severity.ERROR if self.evidence.multi_node else Severity.WARNING

    def reads_variable(self, name: str) -> bool:
        """Whether any executed module mentions an environment variable by name in a string."""
        pattern = re.compile(rf"""["']{re.escape(name)}["']""")
        return any(pattern.search(module.source.text) for module in self.modules)

    # -- findings -----------------------------------------------------------------------------------------------

    def span(self, origin: Origin) -> Span:
        """Where an expression stands."""
        return origin.module.positions.span(origin.node)

    def note(self, message: str, origin: Origin) -> Note:
        """A second place for a finding; ``message`` says what is there, and reporters add the place in brackets."""
        return Note(message, origin.module.path, origin.module.positions.line(origin.node))

    def finding(
        self,
        rule: Rule,
        origin: Origin,
        message: str,
        *,
        severity: Severity | None = None,
        help: str | None = None,
        notes: Iterable[Note] = (),
        counterexample: Counterexample | None = None,
        fix: Callable[[], Fix | None] | None = None,
    ) -> Finding:
        """A finding of ``rule`` at ``origin``; ``fix`` builds its repair.

        A repair that breaks takes nothing with it: the finding stays, and the fault is written down in ``faults``.
        """
        return Finding(
            code=rule.code,
            name=rule.name,
            severity=severity or rule.severity,
            message=message,
            path=origin.module.path,
            span=self.span(origin),
            help=help,
            notes=tuple(notes),
            counterexample=counterexample,
            fix=self._built(rule, fix) if fix is not None else None,
        )

    def _built(self, rule: Rule, fix: Callable[[], Fix | None]) -> Fix | None:
        try:
            return fix()
        except Exception as error:
            self.faults.append((rule.code, error))
            return None

    def launch_files(self) -> Sequence[str]:
        """The texts of shell and batch scripts beside the file, at most 64 KiB of each."""
        file = self.module.source.file
        if file is None:
            return ()
        found: list[str] = []
        try:
            entries = sorted(os.scandir(file.parent), key=lambda entry: entry.name)
        except OSError:
            return ()
        for entry in entries:
            if entry.name.endswith((".sh", ".slurm", ".sbatch", ".pbs")) and entry.is_file():
                try:
                    with open(entry.path, encoding="utf-8", errors="replace") as handle:
                        found.append(handle.read(65536))
                except OSError:
                    continue
        return found
