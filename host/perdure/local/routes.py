"""Route templates of HTTP triggers: ASP.NET Core's, which the Functions host uses.

https://learn.microsoft.com/aspnet/core/fundamentals/routing#route-templates
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from urllib.parse import unquote

from perdure.local.route_constraints import Constraint, parse_constraints


@dataclass(frozen=True)
class Parameter:
    """A `{name}` of a template."""

    name: str
    constraints: tuple[Constraint, ...] = ()
    optional: bool = False
    default: str | None = None
    catch_all: bool = False

    @property
    def may_be_missing(self) -> bool:
        """Whether a path without it still matches."""
        return self.optional or self.catch_all or self.default is not None

    def accepts(self, value: str) -> bool:
        """Whether the value meets all constraints."""
        return all(constraint.accepts(value) for constraint in self.constraints)


@dataclass(frozen=True)
class Segment:
    """What stands between two slashes: literals and parameters in turn."""

    parts: tuple[str | Parameter, ...]

    @property
    def sole_parameter(self) -> Parameter | None:
        """The parameter, if the segment is nothing else."""
        first = self.parts[0]
        return first if len(self.parts) == 1 and isinstance(first, Parameter) else None

    @property
    def rank(self) -> int:
        """How general the segment is: a lower rank wins (ASP.NET's order of precedence)."""
        parameter = self.sole_parameter
        if parameter is None:
            return 0 if all(isinstance(part, str) for part in self.parts) else 1
        return 2 + 2 * parameter.catch_all + (not parameter.constraints)

    @property
    def shape(self) -> tuple[str, ...]:
        """Its parts, literals in lower case, parameters as their constraints."""
        return tuple(
            part.lower() if isinstance(part, str) else f"{{{':'.join(item.text for item in part.constraints)}}}"
            for part in self.parts
        )

    def match(self, value: str) -> dict[str, str] | None:
        """Return the parameters of a decoded segment, or None if it does not fit."""
        found = self._pattern.fullmatch(value)
        if found is None:
            return None
        parameters = [part for part in self.parts if isinstance(part, Parameter)]
        if not all(parameter.accepts(text) for parameter, text in zip(parameters, found.groups(), strict=True)):
            return None
        return {parameter.name: text for parameter, text in zip(parameters, found.groups(), strict=True)}

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        texts = ("(.+)" if isinstance(part, Parameter) else re.escape(part) for part in self.parts)
        return re.compile("".join(texts), re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True)
class RouteTemplate:
    """A parsed template, without the route prefix."""

    text: str
    segments: tuple[Segment, ...]

    @property
    def precedence(self) -> tuple[int, ...]:
        """Sort key: of two templates that match a path, the lower one wins."""
        return tuple(segment.rank for segment in self.segments)

    @property
    def shape(self) -> tuple[tuple[str, ...], ...]:
        """The template without the names of its parameters: two of the same shape match the same paths."""
        return tuple(segment.shape for segment in self.segments)

    def match(self, path: Sequence[str]) -> dict[str, str] | None:
        """Return the route parameters for the decoded segments of a path, or None if it does not fit."""
        values: dict[str, str] = {}
        for place, segment in enumerate(self.segments):
            parameter = segment.sole_parameter
            if parameter is not None and parameter.catch_all:
                return _with(values, parameter, "/".join(path[place:]))
            if place >= len(path):
                if parameter is None or not parameter.may_be_missing:
                    return None
                values.update({parameter.name: parameter.default} if parameter.default is not None else {})
                continue
            found = segment.match(path[place])
            if found is None:
                return None
            values.update(found)
        return values if len(path) <= len(self.segments) else None


def _with(values: dict[str, str], parameter: Parameter, rest: str) -> dict[str, str] | None:
    rest = rest or parameter.default or ""
    if not rest:
        return values
    return {**values, parameter.name: rest} if parameter.accepts(rest) else None


def split_path(raw_path: str) -> list[str]:
    """Split a percent-encoded path into decoded segments; an encoded slash stays inside its segment.

    Slashes at either end don't count.
    """
    stripped = raw_path.strip("/")
    return [unquote(segment, errors="replace") for segment in stripped.split("/")] if stripped else []


def parse_template(text: str) -> RouteTemplate:
    """Parse a template such as `orders/{id:int}/{*rest}`.

    Raises:
        ValueError: It is malformed; the message says how.
    """
    segments: list[list[str | Parameter]] = [[]]
    for piece in _TOKEN.findall(text.strip("/")):
        parts = segments[-1]
        if piece == "/":
            segments.append([])
        elif piece in {"{", "}"}:
            raise ValueError(f"a {piece} has no partner (write {piece * 2} for the character itself)")
        elif piece.startswith("{") and piece != "{{":
            parts.append(_parse_parameter(_undouble(piece[1:-1])))
        elif parts and isinstance(parts[-1], str):
            parts[-1] += _undouble(piece)
        else:
            parts.append(_undouble(piece))
    if segments == [[]]:
        return RouteTemplate(text, ())
    _check(segments)
    return RouteTemplate(text, tuple(Segment(tuple(parts)) for parts in segments))


_TOKEN = re.compile(r"\{\{|\}\}|\{(?:\{\{|\}\}|[^{}])*\}|.", re.DOTALL)
_PARAMETER_NAME = re.compile(r"(\*{0,2})([^:=?/*]+)")


def _undouble(text: str) -> str:
    return text.replace("{{", "{").replace("}}", "}")


def _check(segments: list[list[str | Parameter]]) -> None:
    names: set[str] = set()
    for parts in segments:
        if not parts:
            raise ValueError("two slashes follow each other")
        if any(type(left) is type(right) for left, right in pairwise(parts)):
            raise ValueError("two parameters need a character between them")
        for parameter in (part for part in parts if isinstance(part, Parameter)):
            if parameter.name.lower() in names:
                raise ValueError(f"the parameter {{{parameter.name}}} appears twice")
            names.add(parameter.name.lower())
            if (parameter.optional or parameter.catch_all) and (parts is not segments[-1] or len(parts) > 1):
                raise ValueError(f"{{{parameter.name}}} must be a segment of its own, the last one")


def _parse_parameter(text: str) -> Parameter:
    match = _PARAMETER_NAME.match(text)
    if match is None:
        raise ValueError(f"{{{text}}} has no name")
    constraints, rest = parse_constraints(text[match.end() :])
    if rest not in {"", "?"} and not rest.startswith("="):
        raise ValueError(f"{{{text}}} is no parameter: {rest!r} makes no sense there")
    return Parameter(
        name=match[2].strip(),
        constraints=constraints,
        optional=rest == "?",
        default=rest[1:] if rest.startswith("=") else None,
        catch_all=bool(match[1]),
    )
