"""`# perdure: ignore[rule]`: comments that silence findings on their line."""

from __future__ import annotations

import io
import re
import tokenize
from dataclasses import dataclass, field

from perdure.checking.codebase import Module
from perdure.checking.finding import Finding
from perdure.checking.rules import RULES

_COMMENT = re.compile(r"#\s*perdure:\s*ignore\b(?:\[(?P<rules>[^\]]*)\])?")
_NEVER_SILENCED = frozenset({"unreadable", "unused-ignore"})


@dataclass
class Ignore:
    """One comment."""

    line: int
    column: int
    rules: tuple[str, ...] | None
    """None: all of them."""
    used: set[str] = field(default_factory=set)
    """Rules that it has silenced."""


class Ignores:
    """The comments of a module."""

    def __init__(self, module: Module) -> None:
        self._module = module
        self._by_line = {each.line: each for each in _read(module.text)}

    def silences(self, rule: str, first_line: int, last_line: int) -> bool:
        """Whether a comment on the first or the last line of what was found silences it; it counts as used then."""
        for line in {first_line, last_line}:
            ignore = self._by_line.get(line)
            if ignore is not None and (ignore.rules is None or rule in ignore.rules):
                ignore.used.add(rule)
                return True
        return False

    def unused(self, spans: list[tuple[int, int]] | None) -> list[Finding]:
        """Return findings for what was of no use.

        Args:
            spans: the first and last lines that were looked at; None if that was everything.
        """
        seen = [
            ignore
            for ignore in self._by_line.values()
            if spans is None or any(first <= ignore.line <= last for first, last in spans)
        ]
        return [self._finding(ignore, text) for ignore in seen for text in _complaints(ignore)]

    def _finding(self, ignore: Ignore, text: str) -> Finding:
        return Finding(self._module.file, ignore.line, ignore.column, "unused-ignore", text)


def _complaints(ignore: Ignore) -> list[str]:
    if ignore.rules is None:
        return [] if ignore.used else ["this ignore silences nothing: remove it."]
    if not ignore.rules:
        return ["this ignore names no rule: name one, or remove the brackets to silence all."]
    return [_complaint(rule) for rule in ignore.rules if rule not in ignore.used]


def _complaint(rule: str) -> str:
    if rule in RULES and rule not in _NEVER_SILENCED:
        return f"this ignore of '{rule}' silences nothing: remove it."
    known = ", ".join(name for name in RULES if name not in _NEVER_SILENCED)
    return f"there is no rule '{rule}' to silence; there are {known}."


def _read(text: str) -> list[Ignore]:
    found: list[Ignore] = []
    if not _COMMENT.search(text):
        return found  # tokenizing costs more than all the rest
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        match = _COMMENT.search(token.string) if token.type == tokenize.COMMENT else None
        if match is not None:
            named = match["rules"]
            rules = None if named is None else tuple(part.strip() for part in named.split(",") if part.strip())
            line, column = token.start
            found.append(Ignore(line, column + match.start() + 1, rules))
    return found
