"""One fix in the making: its edits, written in the words and the layout of the files that they change."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import libcst as cst

from ddplint.findings import Applicability, Edit, Fix, Position, Span
from ddplint.program import Program
from ddplint.program.module import FunctionFacts, Module
from ddplint.program.values import Origin
from ddplint.program.walk import children
from ddplint.repairs import imports
from ddplint.repairs.declarations import around
from ddplint.repairs.layout import Layout


class NoPlaceError(Exception):
    """The layout of a file has no place where the code of a repair could stand; there is no fix then."""


class Draft:
    """Collects the edits of one fix. Code is given with double quotes and four spaces, and comes out as the file has
    it; a place is any node of the module in an :class:`Origin`.

    Every method that writes raises :class:`NoPlaceError` where that would break the file or lose a comment.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self._edits: list[Edit] = []
        self._layouts: dict[int, Layout] = {}
        self._imported: dict[int, list[imports.Bound]] = {}

    def fix(self, applicability: Applicability, title: str) -> Fix | None:
        """The fix, if there is anything in it to do."""
        edits = sorted(dict.fromkeys(self._edits), key=lambda edit: (edit.path or "", edit.span))
        if not edits or _overlapping(edits):
            return None
        return Fix(applicability, title, tuple(edits))

    # -- reading ------------------------------------------------------------------------------------------------

    def layout(self, module: Module) -> Layout:
        """How the file of a module is laid out."""
        known = self._layouts.get(id(module))
        if known is None:
            known = self._layouts[id(module)] = Layout(module)
        return known

    def text(self, origin: Origin) -> str:
        """The source of a node."""
        span = self.program.span(origin)
        return self._slice(origin.module, span)

    def _slice(self, module: Module, span: Span) -> str:
        lines = self.layout(module).lines[span.start.line - 1 : span.end.line]
        if len(lines) == 1:
            return lines[0][span.start.column - 1 : span.end.column - 1]
        return "\n".join([lines[0][span.start.column - 1 :], *lines[1:-1], lines[-1][: span.end.column - 1]])

    # -- names --------------------------------------------------------------------------------------------------

    def name(self, at: Origin, dotted: str, imported: str | None = None) -> str:
        """How the code at a place says ``os.environ`` or ``torch.distributed.get_rank``.

        If nothing there leads to it, ``import imported`` (default: all but the last part of ``dotted``) is added to
        the file. Raises NoPlaceError where the name is taken.
        """
        module = at.module
        piece = module.positions.statement_line(at.node)
        around = piece.around if piece is not None else ()
        functions = [node for node in around if isinstance(node, cst.FunctionDef)]
        local = {name for function in functions for name in names_bound_in(function)}
        known = [one for one in self._imports(module) if imports.leads_to(one, dotted)]
        if not functions:
            known = [one for one in known if self._before(one, at)]
        inner = [one for function in functions for one in imports.bound(function.body.body)]
        known += [one for one in inner if imports.leads_to(one, dotted) and self._before(one, at)]
        own = {one.name for one in inner}
        spelled = imports.spelled([one for one in known if one.name not in local or one.name in own], dotted)
        if spelled is not None:
            return spelled
        wanted = imported or dotted.rpartition(".")[0]
        top = wanted.partition(".")[0]
        if top in local:
            raise NoPlaceError(f"the name {top} is taken")
        self._import(module, wanted, at, inside=bool(functions))
        return dotted

    def _imports(self, module: Module) -> Sequence[imports.Bound]:
        """What the top level of a module imports."""
        known = self._imported.get(id(module))
        if known is None:
            known = self._imported[id(module)] = list(imports.bound(module.tree.body))
        return known

    def _before(self, one: imports.Bound, at: Origin) -> bool:
        line = at.module.positions.line
        return line(one.node) < line(at.node)

    def _import(self, module: Module, wanted: str, at: Origin, inside: bool) -> None:
        place = imports.place_for(module, wanted)
        if place is None or (not inside and place.position.line > module.positions.line(at.node)):
            raise NoPlaceError("there is no place for an import")
        text = f"import {wanted}\n" + ("\n" if place.spaced else "")
        self._insert(module, place.position, text)

    # -- writing ------------------------------------------------------------------------------------------------

    def replace(self, origin: Origin, code: str) -> None:
        """Write ``code`` in place of a node."""
        span = self.program.span(origin)
        old = self._slice(origin.module, span)
        if "\n" in old and "#" in old:
            raise NoPlaceError("a comment would be lost")
        new = self.layout(origin.module).requoted(code)
        if '"' in new or "'" in new:
            new = _within(around(origin), new)
        if new != old:
            self._edits.append(Edit(span, new, origin.module.path))

    def replace_text(self, origin: Origin, text: str) -> None:
        """Write ``text``, taken from the file itself, in place of a node: it keeps its quotes and its comments."""
        span = self.program.span(origin)
        old = self._slice(origin.module, span)
        if "\n" in old and text.count("#") < old.count("#"):
            raise NoPlaceError("a comment would be lost")
        if text != old:
            self._edits.append(Edit(span, text, origin.module.path))

    def rename_strings(self, module: Module, old: str, new: str) -> None:
        """Write ``new`` in every string of a file that says ``old`` and nothing else."""
        pattern = re.compile(rf"""(?<=['"]){re.escape(old)}(?=['"])""")
        for number, line in enumerate(self.layout(module).lines, start=1):
            for found in pattern.finditer(line):
                start, end = Position(number, found.start() + 1), Position(number, found.end() + 1)
                self._edits.append(Edit(Span(start, end), new, module.path))

    def append_argument(self, call: Origin, code: str) -> None:
        """One more argument at the end of a call."""
        node = call.node
        assert isinstance(node, cst.Call)
        code = self.layout(call.module).requoted(code)
        if not node.args:
            end = self.program.span(call).end
            self._insert(call.module, Position(end.line, end.column - 1), code)
            return
        last = node.args[-1]
        span = self.program.span(Origin(call.module, last.value))
        layout = self.layout(call.module)
        begins = self.program.span(Origin(call.module, last)).start
        alone = not layout.lines[begins.line - 1][: begins.column - 1].strip()
        if alone and self.program.span(call).start.line != begins.line:
            # one argument on each line: this one gets its own
            indent = layout.indentation(begins.line) or ""
            self._insert(call.module, span.end, f",\n{indent}{code}")
        elif len(layout.lines[span.end.line - 1]) + len(code) + 2 > layout.width:
            first = self.program.span(Origin(call.module, node.args[0])).start
            self._insert(call.module, span.end, f",\n{' ' * (first.column - 1)}{code}")
        else:
            self._insert(call.module, span.end, f", {code}")

    def before(self, origin: Origin, *code: str) -> None:
        """Insert lines before the statement that holds a node."""
        line, indent = self._line_of(origin)
        self._insert_lines(origin.module, line, indent, code)

    def after(self, origin: Origin, *code: str) -> None:
        """Insert lines after the line of the (simple) statement that holds a node."""
        _, indent = self._line_of(origin)
        piece = origin.module.positions.statement_line(origin.node)
        assert piece is not None
        if not isinstance(piece.root, cst.SimpleStatementLine):
            raise NoPlaceError("nothing can stand after the header of a compound statement")
        end = origin.module.positions.span(piece.root).end.line
        self._insert_lines(origin.module, end + 1, indent, code)

    def below(self, header: str, first: Origin, last: Origin) -> None:
        """Put statements of the top level, from one to another with all between, below a header one step deeper."""
        module, layout = first.module, self.layout(first.module)
        start, end = self._line_of(first)[0], self.program.span(last).end.line
        lines = layout.lines[start - 1 : end]
        text = "\n".join(lines)
        if '"""' in text or "'''" in text:
            raise NoPlaceError("a string of several lines would change")
        for number, line in enumerate(lines, start=start):
            above = f"{layout.requoted(header)}\n" if number == start else ""
            if line.strip():
                self._insert(module, Position(number, 1), above + layout.indent)

    def first(self, facts: FunctionFacts, *code: str) -> None:
        """Insert lines at the top of a function, after its docstring."""
        body = facts.node.body
        if not isinstance(body, cst.IndentedBlock):
            raise NoPlaceError("the function is written on one line")
        start = body.body[0]
        if facts.node.get_docstring() is not None:
            if len(body.body) == 1:
                self.after(Origin(facts.module, start), *code)
                return
            start = body.body[1]
        self.at_top(Origin(facts.module, start), *code)

    def at_top(self, origin: Origin, *code: str) -> None:
        """Insert lines before a statement and the comments above it: at the top of the block that it begins."""
        line, indent = self._line_of(origin)
        comments = len(getattr(origin.node, "leading_lines", ()))
        self._insert_lines(origin.module, line - comments, indent, code)

    def guard(self, origin: Origin, condition: str) -> None:
        """Put the (simple) statement that holds a node below ``if condition:``."""
        line, indent = self._line_of(origin)
        piece = origin.module.positions.statement_line(origin.node)
        assert piece is not None
        layout = self.layout(origin.module)
        if not isinstance(piece.root, cst.SimpleStatementLine) or len(piece.root.body) > 1:
            raise NoPlaceError("only a statement of its own can be guarded")
        end = origin.module.positions.span(piece.root).end.line
        rest = layout.lines[line:end]
        if any('"""' in one or "'''" in one or one.endswith("\\") for one in (layout.lines[line - 1], *rest)):
            raise NoPlaceError("the text of a string would be moved")
        head = f"if {layout.requoted(condition)}:\n{indent}{layout.indent}"
        self._insert(origin.module, Position(line, len(indent) + 1), head)
        for number, one in enumerate(rest, start=line + 1):
            if one.strip():
                self._insert(origin.module, Position(number, 1), layout.indent)

    def _line_of(self, origin: Origin) -> tuple[int, str]:
        piece = origin.module.positions.statement_line(origin.node)
        if piece is None or piece.elif_ or isinstance(piece.root, (cst.Else, cst.Finally, cst.ExceptHandler)):
            raise NoPlaceError("no line can stand before this clause")
        span = origin.module.positions.span(piece.root)
        before = self.layout(origin.module).lines[span.start.line - 1][: span.start.column - 1]
        if before.strip():
            raise NoPlaceError("the statement does not start its line")
        if not isinstance(piece.root, cst.BaseCompoundStatement) or origin.node is piece.root:
            return span.start.line, before
        if isinstance(getattr(piece.root, "body", None), cst.SimpleStatementSuite):
            raise NoPlaceError("the statement stands behind a colon")
        return span.start.line, before

    def _insert_lines(self, module: Module, line: int, indent: str, code: Sequence[str]) -> None:
        if not code:
            return
        layout = self.layout(module)
        lines: list[str] = []
        for one in code:
            depth = len(one) - len(one.lstrip(" "))
            text = indent + layout.indent * (depth // 4) + layout.requoted(one.lstrip(" "))
            lines += layout.folded(text) if one.strip() else [""]
        if line > len(layout.lines):
            last = layout.lines[-1] if layout.lines else ""
            if not layout.text.endswith(("\n", "\r")):
                position = Position(max(len(layout.lines), 1), len(last) + 1)
                self._insert(module, position, "".join(f"\n{one}" for one in lines))
                return
        self._insert(module, Position(line, 1), "".join(f"{one}\n" for one in lines))

    def _insert(self, module: Module, position: Position, text: str) -> None:
        self._edits.append(Edit(Span(position, position), text, module.path))


# isinstance() is slow on LibCST's nodes, whose classes are abstract: sets of types answer at once.
_BINDING = frozenset((cst.AssignTarget, cst.AnnAssign, cst.AugAssign, cst.For, cst.NamedExpr))
_IMPORTING = frozenset((cst.Import, cst.ImportFrom))
_DEFINING = frozenset((cst.FunctionDef, cst.ClassDef))
_SCOPES = frozenset((cst.Lambda, cst.ListComp, cst.SetComp, cst.DictComp, cst.GeneratorExp))


@lru_cache(maxsize=64)
def names_bound_in(function: cst.FunctionDef) -> frozenset[str]:
    """The names that are local to a function: parameters and what is assigned in it."""
    params = function.params
    found = {param.name.value for param in (*params.posonly_params, *params.params, *params.kwonly_params)}
    found |= {one.name.value for one in (params.star_arg, params.star_kwarg) if isinstance(one, cst.Param)}
    stack: list[Any] = list(function.body.body)
    while stack:
        node = stack.pop()
        kind = type(node)
        if kind in _BINDING:
            found.update(_targets(node.target))
        elif kind is cst.AsName:
            found.update(_targets(node.name))
        elif kind in _IMPORTING:
            found.update(one.name for one in imports.bound([cst.SimpleStatementLine([node])]))
        elif kind in _DEFINING:
            found.add(node.name.value)
            continue
        elif kind in _SCOPES:
            continue
        stack.extend(children(node))
    return frozenset(found)


@lru_cache(maxsize=64)
def names_in(function: cst.FunctionDef) -> frozenset[str]:
    """Every variable that a function mentions, its own and others; not the names of fields and keywords."""
    found = set(names_bound_in(function))
    stack: list[Any] = [function]
    while stack:
        node = stack.pop()
        kind = type(node)
        if kind is cst.Name:
            found.add(node.value)
        elif kind is cst.Attribute or kind is cst.Arg:
            stack.append(node.value)
        else:
            stack.extend(children(node))
    return frozenset(found)


def _within(nodes: Sequence[cst.CSTNode], code: str) -> str:
    """Code with the quotes that it may have inside an f-string (before Python 3.12: not those of the string)."""
    outer = next((node for node in nodes if isinstance(node, cst.FormattedString)), None)
    if outer is None or len(outer.end) > 1 or outer.end not in code:
        return code
    other = "'" if outer.end == '"' else '"'
    if other in code:
        raise NoPlaceError("both quotes are in use inside an f-string")
    return code.replace(outer.end, other)


def _targets(node: cst.CSTNode) -> list[str]:
    if isinstance(node, cst.Name):
        return [node.value]
    if isinstance(node, (cst.Tuple, cst.List)):
        return [name for element in node.elements for name in _targets(element.value)]
    return []


def _overlapping(edits: Sequence[Edit]) -> bool:
    return any(one.path == two.path and two.span.start < one.span.end for one, two in itertools.pairwise(edits))
