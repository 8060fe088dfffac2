"""What the check reports."""

from __future__ import annotations

import ast
from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Finding:
    """A place in orchestrator code that breaks replay."""

    file: str
    """Relative to the current folder if it is below that."""
    line: int
    """From 1."""
    column: int
    """From 1, in characters."""
    rule: str
    message: str
    """One sentence: what is wrong, and what to use instead."""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.rule}: {self.message}"


@dataclass(frozen=True)
class Problem:
    """What a rule has found in a function's body."""

    node: ast.expr | ast.stmt | ast.excepthandler
    rule: str
    message: str
