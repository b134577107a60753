"""The settings of one run."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ddplint.settings.selectors import Selector, specificity
from ddplint.severity import Severity

if TYPE_CHECKING:
    from ddplint.findings import Applicability

# Folders that hold other people's or generated code, or none at all. The patterns are those of .gitignore.
DEFAULT_EXCLUDE = (
    ".bzr/",
    ".direnv/",
    ".eggs/",
    ".git/",
    ".hg/",
    ".ipynb_checkpoints/",
    ".mypy_cache/",
    ".nox/",
    ".pyenv/",
    ".pytest_cache/",
    ".ruff_cache/",
    ".svn/",
    ".tox/",
    ".venv/",
    ".vscode/",
    "__pycache__/",
    "__pypackages__/",
    "_build/",
    "build/",
    "dist/",
    "node_modules/",
    "site-packages/",
    "venv/",
)

OUTPUT_FORMATS = ("text", "concise", "json", "json-lines", "github")


class SettingsError(Exception):
    """A setting that cannot be used. The text names the file (or the option), the key and the nearest right word."""


@dataclass(frozen=True)
class Settings:
    """Every setting, resolved: rules are selectors (see ``selectors``), paths are as the user wrote them.

    ``exclude``, ``extend_exclude``, ``per_file_ignores`` and ``cache_dir`` are relative to ``root``, the folder of the
    settings file, or the working directory (None) without one. ``multi_node`` None means: judge by the evidence
    ("auto"). ``severity`` holds the rules whose findings get another severity than the rule's own. ``origins`` says
    for every key of the settings file where its value came from ("default", the file, the command-line option).
    """

    select: tuple[Selector, ...] = ("",)
    ignore: tuple[Selector, ...] = ()
    extend_select: tuple[Selector, ...] = ()
    extend_ignore: tuple[Selector, ...] = ()
    per_file_ignores: Mapping[str, tuple[Selector, ...]] = field(default_factory=dict)
    severity: Mapping[str, Severity] = field(default_factory=dict)
    fixable: tuple[Selector, ...] = ("",)
    unfixable: tuple[Selector, ...] = ()
    extend_safe_fixes: tuple[Selector, ...] = ()
    extend_unsafe_fixes: tuple[Selector, ...] = ()
    exclude: tuple[str, ...] = DEFAULT_EXCLUDE
    extend_exclude: tuple[str, ...] = ()
    respect_gitignore: bool = True
    fail_on: Severity = Severity.WARNING
    multi_node: bool | None = None
    target_torch: str | None = None
    preview: bool = False
    output_format: str = "text"
    cache_dir: str | None = None
    root: str | None = None
    file: str | None = None
    origins: Mapping[str, str] = field(default_factory=dict)

    def enabled(self, code: str, path: str | None = None, *, preview: bool = False) -> bool:
        """Whether a rule runs, and with ``path`` (as shown, relative to the working directory): runs on that file.

        The closest selector decides, ``DDP101`` before ``DDP1`` before ``ALL``; at the same closeness ignoring wins.
        A ``preview`` rule also needs the ``preview`` setting, or to be selected by its own code or name.
        """
        wanted = max(specificity(code, self.select), specificity(code, self.extend_select))
        if wanted <= max(specificity(code, self.ignore), specificity(code, self.extend_ignore)):
            return False
        if preview and not self.preview and wanted < len(code):
            return False
        return path is None or not self._ignored_in(code, path)

    def may_fix(self, code: str) -> bool:
        """Whether the fixes of a rule may be applied, by ``fixable`` and ``unfixable``."""
        return specificity(code, self.fixable) > specificity(code, self.unfixable)

    def applicability_of(self, code: str, graded: Applicability) -> Applicability:
        """What the fixes of a rule count as; one that is only to be shown stays that.

        The closest of ``extend_safe_fixes`` and ``extend_unsafe_fixes`` decides; at the same closeness it is unsafe.
        """
        safe, unsafe = specificity(code, self.extend_safe_fixes), specificity(code, self.extend_unsafe_fixes)
        if safe == unsafe == -1:
            return graded
        from ddplint.findings import Applicability

        if graded is Applicability.DISPLAY:
            return graded
        return Applicability.SAFE if safe > unsafe else Applicability.UNSAFE

    def severity_of(self, code: str, graded: Severity) -> Severity:
        """The severity to report for a finding that the rule itself graded ``graded``."""
        return self.severity.get(code, graded)

    def _ignored_in(self, code: str, path: str) -> bool:
        if not self.per_file_ignores:
            return False
        root = self.root or os.getcwd()
        try:
            below = os.path.relpath(os.path.abspath(path), root).replace(os.sep, "/")
        except ValueError:
            # Another drive: no pattern of this settings file speaks of it.
            return False
        return any(
            specificity(code, selectors) >= 0 and _matches(pattern, below)
            for pattern, selectors in self.per_file_ignores.items()
        )


def _matches(pattern: str, path: str) -> bool:
    """Like a .gitignore pattern: without a slash inside, it names a file or a folder at any depth."""
    from fnmatch import fnmatchcase  # few runs have per-file ignores

    wanted = pattern.removesuffix("/")
    parts = path.split("/")
    if "/" not in wanted:
        return any(fnmatchcase(part, wanted) for part in parts)
    wanted = wanted.removeprefix("/")
    upto = ["/".join(parts[: end + 1]) for end in range(len(parts))]
    anywhere = wanted.removeprefix("**/")
    return any(fnmatchcase(part, wanted) or (anywhere != wanted and fnmatchcase(part, anywhere)) for part in upto)
