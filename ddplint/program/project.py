"""The files that are linted together and the modules they import from the same source tree."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from contextlib import suppress
from copy import copy
from functools import cached_property
from pathlib import Path

from ddplint.program.library.calls import PARAMETERS
from ddplint.program.module import FunctionFacts, Module, SyntaxProblem, parse
from ddplint.program.program import Program
from ddplint.program.run import Run
from ddplint.settings import Settings
from ddplint.sources import Source, SourceError, read

# An identifier that shows a function may be about ranks. Words only save work here; they never prove anything.
_WORDS = frozenset(
    "init_process_group environ getenv putenv spawn start_processes Process Popen set_device set_device_index "
    "device_count DistributedDataParallel FullyShardedDataParallel fully_shard deepspeed device_ids "
    "add_argument parse_args ArgumentParser rank world_size "
    "local_rank node_rank global_rank nnodes num_nodes nproc_per_node master_addr master_port dist_url init_method "
    "get_rank get_world_size init_device_mesh init_distributed fields asdict ngpus gpus gpu set_epoch".split()
)

# What a function must mention to be worth executing although nobody calls it: with unknown arguments only what it
# does to the outside by itself can be judged.
_ACTS = frozenset(
    "init_process_group init_device_mesh environ getenv putenv spawn start_processes Process Popen set_device "
    "set_device_index device_ids DistributedDataParallel FullyShardedDataParallel fully_shard".split()
)

# Calls that are judged by themselves, wherever they stand: the names of library/calls.py.
_CALLS = (frozenset(name.rpartition(".")[2] for name in PARAMETERS) | {"full_tensor"}) - frozenset(
    "DistributedSampler clip_grad_norm_ device gather get_context reduce scatter save save_file save_model "
    "set_start_method load".split()
)

# Of these and of _ACTS, what says something of a function that nobody calls; some of it only together.
_TOGETHER = (frozenset(("DataLoader", "shuffle", "sampler")), frozenset(("manual_seed", "random_split")))
_ALONE = (_ACTS | _CALLS) - frozenset(("DataLoader", "BatchSampler", "manual_seed", "random_split"))

# What is judged where somebody who runs in a job calls it, and by nothing where nobody does.
_FILES = frozenset(
    "save load download download_url download_and_extract_archive extract_archive urlretrieve save_file "
    "save_model SummaryWriter wandb start_run".split()
)

_FOLLOWED = _WORDS | _CALLS | _FILES

# What makes the import of a module more than a definition of names.
_EFFECTS = frozenset("environ putenv init_process_group spawn start_processes Process".split())
_EFFECT_BYTES = re.compile("|".join(sorted(_EFFECTS)).encode())

# What the bytes of a module must hold for it to be worth a parse when a followed script imports it.
_RANKS = re.compile(
    rb"rank|download|SummaryWriter|wandb|torch\.(save|load)\b|world_size|torch\.distributed|environ|nnodes|num_nodes|master_addr|MASTER_|argparse|ngpus|local|device_count|parser|add_argument|Namespace|HParams|DistributedSampler|set_epoch"
)

# A package's __init__.py up to this many bytes is parsed for what it re-exports.
_FRONT = 16_000

# How many folders above a script may be the root that its absolute imports start from.
_ROOTS = 5


class Project:
    """All modules known so far, by file; the programs are the linted files among them.

    ``problems`` holds the linted files that do not parse. Imported modules that do not parse are unknown.
    """

    def __init__(self, sources: Sequence[Source], settings: Settings) -> None:
        self.settings = settings
        self.problems: list[SyntaxProblem] = []
        self._files: dict[str, ModuleFile] = {}
        self._found: dict[tuple[str, str], str | None] = {}
        self._relevant: dict[int, set[str]] = {}
        linted: list[Module] = []
        for source in sources:
            try:
                module = parse(source)
            except SyntaxProblem as problem:
                self.problems.append(problem)
                continue
            linted.append(module)
            if source.file is not None:
                self._files[str(source.file)] = ModuleFile(str(source.file), module)
        self.programs = tuple(Program(self, module) for module in linted)

    # -- changing -----------------------------------------------------------------------------------------------

    def module_at(self, path: str) -> Module | None:
        """The module of a file by how it is shown, if anything needed it so far."""
        for program in self.programs:
            if program.path == path:
                return program.module
        for file in self._files.values():
            module = file.__dict__.get("module")  # never a reason to read and parse it
            if module is not None and module.path == path:
                return file.module
        return None

    def after(self, changed: Sequence[Module]) -> Project:
        """The same files with other content in some. What executes none of them is taken over as it is."""
        new = copy(self)
        new._files, new._relevant = dict(self._files), dict(self._relevant)
        by_path = {module.path: module for module in changed}
        before = [module for path in by_path if (module := self.module_at(path)) is not None]
        for old in before:
            new._relevant.pop(id(old), None)
        for module in changed:
            if module.source.file is not None:
                file = str(module.source.file)
                new._files[file] = ModuleFile(file, module)
        # Importing a module without effects does not execute it; now that it has some, anybody may.
        anybody = any(bool(old.top_words & _EFFECTS) != bool(by_path[old.path].top_words & _EFFECTS) for old in before)
        new.programs = tuple(
            Program(new, by_path.get(program.path, program.module)) if anybody or program.executes(by_path) else program
            for program in self.programs
        )
        return new

    # -- executing ----------------------------------------------------------------------------------------------

    def executed_elsewhere(self, facts: FunctionFacts) -> bool:
        """Whether some linted script really calls a function: then its callers tell what it is given."""
        return any(id(facts.node) in other.entry_run.executed for other in self.programs)

    def new_run(self, module: Module, started: bool = True) -> Run:
        """A fresh execution; ``started``: with ``module`` as the script that is started."""
        return Run(self, module, started)

    # -- relevance ----------------------------------------------------------------------------------------------

    def matters(self, facts: FunctionFacts) -> bool:
        """Whether a function, or one it names, may be about ranks, devices or the environment."""
        words = _real_words(facts)
        return bool(words & _FOLLOWED) or bool(words & self._relevant_names(facts.module))

    def acts(self, facts: FunctionFacts) -> bool:
        """Whether a function starts a group or processes, or touches the environment or a device, by itself."""
        words = _real_words(facts)
        if words & _ALONE or ("get_rank" in words and words & {"cuda", "device", "to"}):
            return True
        return any(together <= words for together in _TOGETHER)

    def _relevant_names(self, module: Module) -> set[str]:
        """The functions and methods of a module that matter, through any number of calls."""
        known = self._relevant.get(id(module))
        if known is not None:
            return known
        names = {facts.name for facts in module.functions.values() if facts.words & (_WORDS | _FILES)}
        names |= {facts.cls.name for facts in module.functions.values() if facts.cls and facts.name in names}
        while True:
            more = {facts.name for facts in module.functions.values() if facts.words & names} - names
            if not more:
                break
            names |= more
        names -= {"__init__", "__call__", "forward", "main"}
        self._relevant[id(module)] = names
        return names

    # -- imports ------------------------------------------------------------------------------------------------

    def find(self, importer: Module, dotted: str, level: int = 0) -> ModuleFile | None:
        """The project module that ``import dotted`` means in ``importer``; None for anything installed."""
        if importer.source.file is None or (level == 0 and dotted.partition(".")[0] in _INSTALLED):
            return None
        folder = str(importer.source.file.parent)
        if level:
            for _ in range(level - 1):
                folder = os.path.dirname(folder)
            return self._file(self._locate(folder, dotted))
        for _ in range(_ROOTS):
            found = self._locate(folder, dotted)
            if found is not None:
                return self._file(found)
            above = os.path.dirname(folder)
            if above == folder or os.path.exists(os.path.join(folder, ".git")):
                break
            folder = above
        return None

    def _locate(self, root: str, dotted: str) -> str | None:
        key = (root, dotted)
        if key not in self._found:
            base = os.path.join(root, *dotted.split(".")) if dotted else root
            candidates = [os.path.join(base, "__init__.py")]
            if dotted:
                candidates.append(base + ".py")
            self._found[key] = next((path for path in candidates if os.path.isfile(path)), None)
        return self._found[key]

    def _file(self, path: str | None) -> ModuleFile | None:
        if path is None:
            return None
        path = os.path.realpath(path)
        if path not in self._files:
            self._files[path] = ModuleFile(path)
        return self._files[path]

    def package_of(self, file: ModuleFile, depth: int) -> ModuleFile | None:
        """The top package of ``import a.b.c``, ``depth`` names above the file: also one without ``__init__.py``."""
        folder = file.path
        for _ in range(depth + (os.path.basename(folder) == "__init__.py")):
            folder = os.path.dirname(folder)
        return self._file(os.path.join(folder, "__init__.py"))

    def submodule(self, package: ModuleFile, name: str) -> ModuleFile | None:
        """``package.name`` as a module below a package."""
        folder, base = os.path.split(package.path)
        return self._file(self._locate(folder, name)) if base == "__init__.py" else None


class ModuleFile:
    """A module of the source tree that may never be needed: read and parsed when somebody uses what is in it."""

    def __init__(self, path: str, module: Module | None = None) -> None:
        self.path = path
        if module is not None:
            self.module = module

    @cached_property
    def _source(self) -> Source | None:
        try:
            return read(Path(self.path), _shown(self.path))
        except SourceError:
            return None

    @cached_property
    def module(self) -> Module | None:
        """The module; None if it cannot be read or parsed, or has nothing in it that could matter."""
        source = self._source
        if source is not None and (_RANKS.search(source.data) or _re_exports(source)):
            with suppress(SyntaxProblem):
                return parse(source)
        return None

    @property
    def has_effects(self) -> bool:
        """Whether importing it may touch the environment or the process group."""
        if "module" not in self.__dict__ and (self._source is None or not _EFFECT_BYTES.search(self._source.data)):
            return False  # known without a parse
        return self.module is not None and bool(self.module.top_words & _EFFECTS)


def _real_words(facts: FunctionFacts) -> set[str]:
    """The identifiers of a function, import aliases by their real names too."""
    aliases = facts.module.aliases
    used = facts.words & aliases.keys()
    return facts.words | {aliases[word] for word in used} if used else facts.words


def _re_exports(source: Source) -> bool:
    """Whether a file is a package's front: it mostly hands on names of the modules below it."""
    is_front = source.file is not None and source.file.name == "__init__.py"
    return is_front and len(source.data) < _FRONT and b"import" in source.data


def _shown(path: str) -> str:
    relative = os.path.relpath(path)
    return (path if relative.startswith("..") else relative).replace(os.sep, "/")


# Never project modules; asking the disk for them in every folder would cost more than it finds.
_INSTALLED = frozenset(
    "os sys re io json math time random logging argparse functools itertools collections dataclasses typing pathlib "
    "subprocess socket shutil copy warnings contextlib datetime enum abc pickle glob tempfile traceback signal "
    "multiprocessing threading queue inspect types string torch torchvision numpy scipy pandas PIL cv2 tqdm yaml "
    "matplotlib __future__".split()
)


def load_project(sources: Sequence[Source], settings: Settings) -> Project:
    """Parse the linted files; everything else is computed when a rule asks."""
    return Project(sources, settings)
