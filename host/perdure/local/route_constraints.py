"""Constraints of route parameters, such as `int` in `{id:int}`.

https://learn.microsoft.com/aspnet/core/fundamentals/routing#route-constraints
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from uuid import UUID

Check = Callable[[str], bool]


@dataclass(frozen=True)
class Constraint:
    """A condition on the text of a parameter."""

    text: str
    """As written in the template."""
    accepts: Check


def parse_constraints(text: str) -> tuple[tuple[Constraint, ...], str]:
    """Read a run of `:constraint` at the start of `text`; return them and what follows.

    Raises:
        ValueError: A constraint is unknown or has the wrong arguments.
    """
    constraints = []
    while text.startswith(":"):
        written, text = _take_one(text[1:])
        constraints.append(Constraint(written, _check_for(written)))
    return tuple(constraints), text


def _take_one(text: str) -> tuple[str, str]:
    """Split off one constraint: a name and, in brackets that may nest, its arguments."""
    depth = 0
    for place, character in enumerate(text):
        if depth == 0 and character in ":=?":
            return text[:place], text[place:]
        depth += (character == "(") - (character == ")")
    if depth != 0:
        raise ValueError(f"the brackets of the constraint {text!r} don't match")
    return text, ""


def _check_for(written: str) -> Check:
    name, bracket, rest = written.partition("(")
    arguments = rest.removesuffix(")") if bracket else None
    try:
        if arguments is None:
            return _PLAIN[name.lower()]
        if name.lower() == "regex":
            pattern = re.compile(arguments, re.IGNORECASE)
            return lambda value: pattern.search(value) is not None
        return _WITH_NUMBERS[name.lower()](*(int(argument) for argument in arguments.split(",")))
    except KeyError:
        known = ", ".join(sorted([*_PLAIN, *_WITH_NUMBERS, "regex"]))
        raise ValueError(f"the constraint {written!r} is unknown (known: {known})") from None
    except (TypeError, ValueError, re.error) as error:
        raise ValueError(f"the constraint {written!r} has wrong arguments: {error}") from error


def _parses(parse: Callable[[str], object]) -> Check:
    def check(value: str) -> bool:
        try:
            parse(value)
        except (ValueError, InvalidOperation):
            return False
        return True

    return check


def _whole(bits: int) -> Check:
    limit = 2 ** (bits - 1)
    return lambda value: re.fullmatch(r"[+-]?[0-9]{1,20}", value) is not None and -limit <= int(value) < limit


def _whole_where(condition: Callable[[int], bool]) -> Check:
    is_long = _whole(64)
    return lambda value: is_long(value) and condition(int(value))


def _length(low: int, high: int | None = None) -> Check:
    top = low if high is None else high
    return lambda value: low <= len(value) <= top


_PLAIN: dict[str, Check] = {
    "int": _whole(32),
    "long": _whole(64),
    "bool": lambda value: value.lower() in {"true", "false"},
    "datetime": _parses(datetime.fromisoformat),
    "decimal": _parses(Decimal),
    "double": _parses(float),
    "float": _parses(float),
    "guid": _parses(UUID),
    "alpha": lambda value: re.fullmatch(r"[A-Za-z]*", value) is not None,
    "required": bool,
}

_WITH_NUMBERS: dict[str, Callable[..., Check]] = {
    "minlength": lambda low: lambda value: len(value) >= low,
    "maxlength": lambda high: lambda value: len(value) <= high,
    "length": _length,
    "min": lambda low: _whole_where(lambda number: number >= low),
    "max": lambda high: _whole_where(lambda number: number <= high),
    "range": lambda low, high: _whole_where(lambda number: low <= number <= high),
}
