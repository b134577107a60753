"""The rules, one module and one page (``.md``) each; :data:`RULES` is the registry."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable, Mapping
from functools import cache
from typing import TYPE_CHECKING, ClassVar

from ddplint.findings import Applicability, Finding, Severity

if TYPE_CHECKING:
    from ddplint.program import Program


class Rule:
    """One known problem. A subclass names it and asks the program model for it; it never walks a tree.

    ``severity`` is the one it usually has: :meth:`check` grades every finding by the project's evidence.
    """

    code: ClassVar[str]
    name: ClassVar[str]
    severity: ClassVar[Severity]
    since: ClassVar[str] = "0.1.0"
    summary: ClassVar[str]
    fix: ClassVar[Applicability | None] = None
    preview: ClassVar[bool] = False

    def check(self, program: Program) -> Iterable[Finding]:
        """Yield the findings of this rule in one linted file and what it runs."""
        raise NotImplementedError


@cache
def registry() -> Mapping[str, Rule]:
    """Every rule by its code, in the order of the codes. Imports the rule modules, but not libcst."""
    found: list[Rule] = []
    for module in pkgutil.iter_modules(__path__):
        loaded = importlib.import_module(f"{__name__}.{module.name}")
        found += [
            member()
            for member in vars(loaded).values()
            if isinstance(member, type) and issubclass(member, Rule) and member.__module__ == loaded.__name__
        ]
    return {rule.code: rule for rule in sorted(found, key=lambda rule: rule.code)}
