"""Where things are written: what is around an expression, and where an option's default stands."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import libcst as cst

from ddplint.program.module import Module
from ddplint.program.values import Input, Origin
from ddplint.program.walk import children

_SUITES = (cst.BaseSuite, cst.Else, cst.Finally, cst.ExceptHandler, cst.ExceptStarHandler, cst.MatchCase)


def around(origin: Origin) -> tuple[cst.CSTNode, ...]:
    """The nodes that hold an expression within its statement, innermost first; empty if it stands in none."""
    piece = origin.module.positions.statement_line(origin.node)
    if piece is None:
        return ()
    found = _way(piece.root, origin.node)
    return tuple(reversed(found)) if found is not None else ()


def _way(root: cst.CSTNode, node: cst.CSTNode) -> list[cst.CSTNode] | None:
    if root is node:
        return []
    for part in children(root):
        if isinstance(part, _SUITES) and not isinstance(part, cst.SimpleStatementSuite):
            continue
        rest = _way(part, node)
        if rest is not None:
            return [root, *rest]
    return None


@dataclass(frozen=True, slots=True)
class Declaration:
    """The declaration of an option: the call that makes it, if one does, and its default, if it has one.

    ``call`` is ``parser.add_argument(...)``, ``click.option(...)``, ``typer.Option(...)``, ``field(...)``; a plain
    field of a dataclass or a parameter has none.
    """

    module: Module
    call: cst.Call | None
    default: cst.BaseExpression | None

    def argument(self, keyword: str) -> cst.BaseExpression | None:
        """A keyword argument of the call."""
        return _keyword(self.call, keyword) if self.call is not None else None

    def flags(self) -> Iterator[cst.SimpleString]:
        """The names of the option, where they are written in the call."""
        for arg in self.call.args if self.call is not None else ():
            if arg.keyword is None and not arg.star and isinstance(arg.value, cst.SimpleString):
                yield arg.value

    @property
    def readable(self) -> bool:
        """Whether all arguments of the call are written out."""
        return self.call is None or not any(arg.star for arg in self.call.args)


def declaration(option: Input) -> Declaration | None:
    """Where an option is declared; None for one that is not, or in a way that is not understood.

    ``set_defaults`` may say something else later: no default is where it seems to be then.
    """
    spec = option.spec
    if spec is None or "set_defaults" in spec.origin.module.words:
        return None
    module, node = spec.origin
    found: Declaration | None = None
    if isinstance(node, cst.Call):
        default = _keyword(node, "default")
        if spec.parser == "absl" and default is None and len(node.args) > 1 and node.args[1].keyword is None:
            default = node.args[1].value
        found = Declaration(module, node, default)
    elif isinstance(node, cst.AnnAssign):
        found = _assigned(module, node.value)
    elif isinstance(node, cst.Param):
        found = _assigned(module, node.default)
    return found if found is not None and found.readable else None


def _assigned(module: Module, value: cst.BaseExpression | None) -> Declaration | None:
    """``field(default=1)``, ``typer.Option(1, ...)``, or the default itself."""
    if not isinstance(value, cst.Call):
        return Declaration(module, None, value)
    name = value.func.attr if isinstance(value.func, cst.Attribute) else value.func
    if not (isinstance(name, cst.Name) and name.value in ("field", "Field", "Option", "Argument", "arg")):
        return Declaration(module, None, value)
    default = _keyword(value, "default")
    if default is None and name.value != "field" and value.args and value.args[0].keyword is None:
        default = value.args[0].value
    return Declaration(module, value, default)


def _keyword(call: cst.Call, name: str) -> cst.BaseExpression | None:
    return next((arg.value for arg in call.args if arg.keyword is not None and arg.keyword.value == name), None)
