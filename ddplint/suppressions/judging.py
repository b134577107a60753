"""Findings against suppressions: which are hidden, and which suppressions hide nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace

from ddplint.findings import Finding, Severity
from ddplint.settings.selectors import Named, Selector, UnknownRuleError, resolve
from ddplint.suppressions.comments import Item, Suppression, Suppressions
from ddplint.suppressions.removal import removals

_OWN = "DDP001"


def apply(
    findings: Iterable[Finding],
    suppressions: Suppressions,
    rules: Mapping[str, Named],
    path: str,
    judged: Callable[[str], bool] = lambda code: True,
) -> list[Finding]:
    """The findings of the file shown as ``path``, marked where they are hidden, and DDP001 for what hides nothing.

    ``judged`` tells which rules ran: whether a suppression is needed cannot be said of the others.
    """
    known = _Resolved(suppressions, rules)
    result = [known.judge(finding) for finding in findings]
    unused = [
        (item, f'"{item.text}" suppresses nothing: {_nothing(selector, rules)}')
        for item, selector in known.unused()
        if selector != _OWN and any(code.startswith(selector) and judged(code) for code in rules)
    ]
    own = [(item, known.judge(_unused(item, message, path), only=_OWN)) for item, message in unused]
    # These a person must correct: nobody knows what they were to suppress.
    wrong = [(item, str(error)) for item, error in known.unknown]
    directives = [(Item("", span), text) for span, text in suppressions.misspelt]
    misspelt = [known.judge(_unused(item, message, path), only=_OWN) for item, message in (*wrong, *directives)]
    if judged(_OWN):
        own += [
            (item, _unused(item, f'"{item.text}" suppresses nothing: every suppression here is in use', path))
            for item, selector in known.unused()
            if selector == _OWN
        ]
    fixes = removals({item for item, finding in own if not finding.suppressed}, suppressions)
    return [*result, *(replace(finding, fix=fixes.get(item)) for item, finding in own), *misspelt]


class _Resolved:
    """The suppressions of one file against the rules that there are, and which of them were of use."""

    def __init__(self, suppressions: Suppressions, rules: Mapping[str, Named]) -> None:
        self.known: list[tuple[Suppression, Item, Selector]] = []
        self.unknown: list[tuple[Item, UnknownRuleError]] = []
        self.used: set[Item] = set()
        self.skip = any(directive.form == "skip-file" for directive in suppressions.directives)
        for directive in suppressions.directives:
            for item in directive.items:
                try:
                    self.known.append((directive, item, resolve(item.text, rules)))
                except UnknownRuleError as error:
                    self.unknown.append((item, error))

    def judge(self, finding: Finding, only: Selector = "") -> Finding:
        """The finding, marked if it is hidden; with ``only``, by items that name just this."""
        line = finding.span.start.line
        hiding: list[Item] = []
        ranged: Item | None = None
        for directive, item, selector in self.known:
            first, last = directive.lines
            if not (first <= line <= last and finding.code.startswith(selector) and selector.startswith(only)):
                continue
            if directive.form in ("noqa", "ignore"):
                hiding.append(item)
            else:
                # In the order of the file: the last word on a line counts.
                ranged = item if directive.form == "disable" else None
        if ranged is not None:
            hiding.append(ranged)
        self.used.update(hiding)
        return replace(finding, suppressed=True) if hiding or self.skip else finding

    def unused(self) -> Iterator[tuple[Item, Selector]]:
        """What could have hidden a finding and did not."""
        for directive, item, selector in self.known:
            if directive.form != "enable" and item not in self.used and not self.skip:
                yield item, selector


def _nothing(selector: Selector, rules: Mapping[str, Named]) -> str:
    rule = rules.get(selector)
    return f"{rule.name} ({selector}) reports nothing here" if rule else "none of these rules reports anything here"


def _unused(item: Item, message: str, path: str) -> Finding:
    return Finding(
        _OWN, "unused-suppression", Severity.WARNING, message, path, item.span, help="remove it, or correct the name"
    )
