"""One parsed file and the facts about it that a single walk collects."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass, field

import libcst as cst

from ddplint.findings import Position
from ddplint.program.positions import Positions
from ddplint.program.walk import walk
from ddplint.sources import Source
from ddplint.sources.nesting import too_deep


class SyntaxProblem(Exception):
    """A file that does not parse; becomes DDP000."""

    def __init__(self, path: str, message: str, position: Position) -> None:
        super().__init__(message)
        self.path = path
        self.message = message
        self.position = position


@dataclass(slots=True, eq=False)
class FunctionFacts:
    """A ``def``: where it stands, and every identifier in it (to know cheaply what it cannot be about)."""

    module: Module
    node: cst.FunctionDef
    name: str
    cls: ClassFacts | None
    outer: FunctionFacts | None
    words: set[str] = field(default_factory=set)
    statements: int = 0
    yields: bool = False
    returns: set[str] = field(default_factory=set)  # the names it returns; "" for anything else

    @property
    def qualified(self) -> str:
        """``Trainer.fit``, ``setup``: the name as a reader would say it."""
        return f"{self.cls.name}.{self.name}" if self.cls else self.name


@dataclass(slots=True, eq=False)
class ClassFacts:
    """A ``class`` with its methods."""

    module: Module
    node: cst.ClassDef
    name: str
    methods: dict[str, FunctionFacts] = field(default_factory=dict)


class _Collector(cst.CSTVisitor):
    """Functions, classes and the words used in each function."""

    def __init__(self, module: Module) -> None:
        super().__init__()
        self.module = module
        self.scopes: list[FunctionFacts | ClassFacts] = []
        self.functions: list[FunctionFacts] = []

    def visit_FunctionDef(self, node: cst.FunctionDef) -> None:
        parent = self.scopes[-1] if self.scopes else None
        cls = parent if isinstance(parent, ClassFacts) else None
        outer = self.functions[-1] if self.functions else None
        facts = FunctionFacts(self.module, node, node.name.value, cls, outer)
        self.module.functions[id(node)] = facts
        if cls is not None:
            cls.methods[facts.name] = facts
        self.functions.append(facts)
        self.scopes.append(facts)

    def leave_FunctionDef(self, original_node: cst.FunctionDef) -> None:
        self.scopes.pop()
        done = self.functions.pop()
        if self.functions:
            self.functions[-1].words |= done.words
            self.functions[-1].statements += done.statements
        else:
            self.module.words |= done.words

    def visit_ClassDef(self, node: cst.ClassDef) -> None:
        facts = ClassFacts(self.module, node, node.name.value)
        self.module.classes[id(node)] = facts
        self.scopes.append(facts)

    def leave_ClassDef(self, original_node: cst.ClassDef) -> None:
        self.scopes.pop()

    def visit_Name(self, node: cst.Name) -> None:
        word = node.value
        (self.functions[-1].words if self.functions else self.module.top_words).add(word)

    def visit_Return(self, node: cst.Return) -> None:
        if self.functions:
            name = node.value.value if isinstance(node.value, cst.Name) else ""
            self.functions[-1].returns.add(name)

    def visit_ImportAlias(self, node: cst.ImportAlias) -> None:
        if node.asname is not None and isinstance(node.asname.name, cst.Name):
            name = node.name.attr if isinstance(node.name, cst.Attribute) else node.name
            self.module.aliases[node.asname.name.value] = name.value

    def visit_Yield(self, node: cst.Yield) -> None:
        if self.functions:
            self.functions[-1].yields = True

    def visit_SimpleStatementLine(self, node: cst.SimpleStatementLine) -> None:
        if self.functions:
            self.functions[-1].statements += 1


class Module:
    """A file of the project, parsed. Positions are computed only when somebody asks."""

    __slots__ = ("aliases", "classes", "functions", "positions", "source", "top_words", "tree", "words")

    def __init__(self, source: Source, tree: cst.Module) -> None:
        self.source = source
        self.tree = tree
        self.functions: dict[int, FunctionFacts] = {}
        self.classes: dict[int, ClassFacts] = {}
        self.aliases: dict[str, str] = {}  # `from x import Process as P`: P -> Process
        self.words: set[str] = set()  # every identifier in the file
        self.top_words: set[str] = set()  # those outside functions: what importing the module may touch
        self.positions = Positions(tree, source.text)

    @property
    def path(self) -> str:
        """The path as it is shown."""
        return self.source.path


def parse(source: Source) -> Module:
    """Parse a file and collect its facts.

    Raises:
        SyntaxProblem: the file is not Python that LibCST reads.
    """
    deep = too_deep(source.text)
    if deep is not None:
        # LibCST's parser recurses natively: it would end the process, not raise
        position, what = deep
        message = f"{what}: Python does not run such code, and ddplint cannot parse it"
        raise SyntaxProblem(source.path, message, position)
    try:
        tree = cst.parse_module(source.text)
    except cst.ParserSyntaxError as error:
        raise _syntax_problem(source, error) from None
    except RecursionError:
        raise SyntaxProblem(source.path, "the code is nested too deeply to parse", Position(1, 1)) from None
    module = Module(source, tree)
    walk(tree, [_Collector(module)])
    module.words |= module.top_words
    return module


def _syntax_problem(source: Source, error: cst.ParserSyntaxError) -> SyntaxProblem:
    """The compiler's own words and place, which are better than LibCST's, where it refuses the file as well."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            compile(source.text, source.path, "exec", dont_inherit=True)
        except SyntaxError as refused:
            place = Position(refused.lineno or 1, max(refused.offset or 1, 1))
            return SyntaxProblem(source.path, refused.msg, place)
        except (ValueError, RecursionError, MemoryError):
            pass
    text = " ".join(error.message.split())
    found = re.match(r"(?:parser|tokenizer) error: (?:error at (\d+):(\d+): )?", text)
    if found is None or found.group(1) is None:
        return SyntaxProblem(source.path, text, Position(max(error.raw_line, 1), error.raw_column + 1))
    return SyntaxProblem(source.path, text[found.end() :], Position(int(found.group(1)), int(found.group(2)) + 1))
