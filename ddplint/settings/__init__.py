"""``[tool.ddplint]``: what to look for, where, and how to report it, with the place every value came from."""

from ddplint.settings.loading import load, override
from ddplint.settings.model import DEFAULT_EXCLUDE, OUTPUT_FORMATS, Settings, SettingsError
from ddplint.settings.selectors import Known, Named, Selector, UnknownRuleError, resolve, suggestion

__all__ = [
    "DEFAULT_EXCLUDE",
    "OUTPUT_FORMATS",
    "Known",
    "Named",
    "Selector",
    "Settings",
    "SettingsError",
    "UnknownRuleError",
    "load",
    "override",
    "resolve",
    "suggestion",
]
