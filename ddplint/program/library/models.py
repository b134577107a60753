"""The table of library functions that the model knows, by full dotted name."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import libcst as cst

from ddplint.program.events import Arguments
from ddplint.program.values import (
    Value,
)

if TYPE_CHECKING:
    from ddplint.program.run import Run


Model = Callable[["Run", Arguments, cst.CSTNode], Value]
MODELS: dict[str, Model] = {}


def models(*names: str) -> Callable[[Model], Model]:
    def register(model: Model) -> Model:
        for name in names:
            MODELS[name] = model
        return model

    return register
