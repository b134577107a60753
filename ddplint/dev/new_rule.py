"""The skeleton of a new rule. The self-tests then say what is still to be written: cases, fixture, page."""

from __future__ import annotations

import re
from pathlib import Path

from ddplint import __version__
from ddplint.rules import registry

_MODULE = '''"""{code}: {summary}."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ddplint.findings import Finding, Severity
from ddplint.rules import Rule

if TYPE_CHECKING:
    from ddplint.program import Program


class {class_name}(Rule):
    """{summary}."""

    code = "{code}"
    name = "{name}"
    severity = Severity.WARNING
    since = "{version}"
    summary = "{summary}"
    preview = True

    def check(self, program: Program) -> Iterable[Finding]:
        """TODO: ask the program."""
        return ()
'''

_PAGE = """# {name} ({code})

*Severity: warning. Fix: none. Since {version}.*

## What it does

{summary}.

## Why is this bad?

TODO: what the user sees, on which topology, with numbers.

## Example

```python
import torch.distributed as dist

TODO = "at fault"
```

Use instead:

```python
import torch.distributed as dist

TODO = "right"
```

## Fix safety

There is no fix.

## Known problems

TODO

## References

- TODO: https://...

## Cases

TODO: at least three that fire and three that stay silent, the traps among them. A comment names a finding on its line:

```python case="todo"
import torch.distributed as dist

dist.init_process_group("gloo")  # warning: {code}
```
"""

_FIXTURE = '''"""TODO: a whole script at fault, as somebody would write it; fixed.py beside it is its repaired twin."""

import torch.distributed as dist

dist.init_process_group("gloo")  # expect: {code} warning
'''


class NewRuleError(Exception):
    """The rule cannot be made under this code or name; the text says why."""


def write(root: Path, code: str, name: str, summary: str) -> list[Path]:
    """Write module, page, fixture and changelog line into the checkout ``root``; the files written."""
    if not re.fullmatch(r"DDP\d{3}", code):
        raise NewRuleError(f"{code!r} is no code: DDP and three digits, such as DDP999")
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name):
        raise NewRuleError(f"{name!r} is no name: lower-case words joined by hyphens, such as some-name")
    for rule in registry().values():
        if code == rule.code or name == rule.name:
            raise NewRuleError(f"{code} {name} is taken: there is {rule.code} {rule.name}")
    changelog = root / "CHANGELOG.md"
    changed = _with_line(changelog.read_text(encoding="utf-8"), f"  - `{code}` {name}: {summary}", code)
    module = name.replace("-", "_")
    words = {
        "code": code,
        "name": name,
        "summary": summary,
        "version": __version__,
        "class_name": "".join(word.capitalize() for word in name.split("-")),
    }
    texts = {
        root / "ddplint" / "rules" / f"{module}.py": _MODULE.format(**words),
        root / "ddplint" / "rules" / f"{module}.md": _PAGE.format(**words),
        root / "tests" / "fixtures" / module / "broken.py": _FIXTURE.format(**words),
    }
    for path in texts:
        if path.exists():
            raise NewRuleError(f"{path.relative_to(root).as_posix()} is there already")
    for path, text in texts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    changelog.write_text(changed, encoding="utf-8")
    return [*texts, changelog]


def _with_line(changelog: str, line: str, code: str) -> str:
    """The changelog with ``line`` in its newest list of rules, in the order of the codes."""
    lines = changelog.splitlines()
    try:
        place = lines.index("- Rules:") + 1
    except ValueError:
        raise NewRuleError('CHANGELOG.md has no list "- Rules:" for the new rule') from None
    while place < len(lines) and (entry := re.match(r"  - `(DDP\d{3})`", lines[place])) and entry[1] < code:
        place += 1
    return "\n".join([*lines[:place], line, *lines[place:]]) + "\n"
