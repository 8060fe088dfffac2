"""What a user's function declares: the types of its input and of what it returns."""

from __future__ import annotations

import inspect
import typing
from collections import abc
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple, Protocol, get_args, get_origin

from perdure.core.typed import problem_with

_PRODUCERS = {
    abc.Generator: 2,
    abc.Coroutine: 2,
    abc.Awaitable: 0,
}
"""Which argument of these annotations is the type of what comes out in the end."""
_EMPTY_OF_ORIGIN = {abc.Iterator, abc.Iterable, abc.AsyncGenerator, abc.AsyncIterator}


class Hints(NamedTuple):
    """Types to read data as; None reads plain JSON."""

    input: Any = None
    output: Any = None
    problems: tuple[str, ...] = ()
    """Why hints that the function has can't be used, for people."""


class FunctionTypes(Protocol):
    """Knows the functions of an app by name."""

    def activity(self, name: str) -> Hints:
        """Return the hints of an activity; empty ones for one that it does not know."""

    def orchestrator(self, name: str) -> Hints:
        """Return the hints of an orchestrator; empty ones for one that it does not know."""

    def entity_operation(self, name: str, operation: str) -> Hints:
        """Return the hints of an operation of an entity class; empty ones for what it does not know."""


class NoTypes:
    """Knows no functions."""

    def activity(self, _name: str) -> Hints:
        """Return no hints."""
        return Hints()

    def orchestrator(self, _name: str) -> Hints:
        """Return no hints."""
        return Hints()

    def entity_operation(self, _name: str, _operation: str) -> Hints:
        """Return no hints."""
        return Hints()


def activity_hints(function: Callable[..., Any]) -> Hints:
    """Return what an activity declares: its input is its first parameter."""
    return _hints(inspect.unwrap(function), 0)


def orchestrator_hints(function: Callable[..., Any], input_type: Any = None) -> Hints:
    """Return what an orchestrator declares: its input is its second parameter, if it has one.

    Args:
        function: a generator function, an `async def` function or a plain one; or one that is decorated.
        input_type: what its trigger says of its input.
    """
    hints = _hints(inspect.unwrap(function), 1)
    if input_type is None:
        return hints
    why = problem_with(input_type)
    if why is None:
        return hints._replace(input=input_type)
    return hints._replace(problems=(*hints.problems, f"input_type: {why}"))


def operation_hints(method: Callable[..., Any]) -> Hints:
    """Return what an operation declares, given as it stands in its class: its input comes after the object."""
    return _hints(inspect.unwrap(method), 1)


@lru_cache(maxsize=10_000)
def _hints(function: Callable[..., Any], position: int) -> Hints:
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return Hints()
    problems: list[str] = []
    annotations = _resolved(function, problems)
    input_ = annotations.get(parameters[position].name) if len(parameters) > position else None
    output = _produced(annotations.get("return"))
    usable: list[Any] = []
    for what, hint in ("input", input_), ("result", output):
        why = problem_with(hint)
        usable.append(hint if why is None else None)
        if why is not None:
            problems.append(f"the hint of its {what}: {why}")
    return Hints(usable[0], usable[1], tuple(problems))


def _resolved(function: Callable[..., Any], problems: list[str]) -> dict[str, Any]:
    """Return the annotations; those that can't be resolved are left out, and named in `problems`."""
    try:
        return typing.get_type_hints(function, include_extras=True)
    except Exception:  # noqa: BLE001 - annotations are user code: the loop below says what is wrong with which
        resolved: dict[str, Any] = {}
    for name, annotation in getattr(function, "__annotations__", {}).items():
        try:
            single = type("_Single", (), {"__annotations__": {name: annotation}, "__module__": function.__module__})
            hints = typing.get_type_hints(single, globalns=getattr(function, "__globals__", {}), include_extras=True)
        except Exception as error:  # noqa: BLE001 - as above
            what = "result" if name == "return" else f"parameter '{name}'"
            problems.append(f"the hint of its {what}, {annotation!r}, can't be resolved: {error}")
        else:
            resolved[name] = hints[name]
    return resolved


def _produced(hint: Any) -> Any:
    """Return what a function gives out in the end, if this is what it is annotated to return."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in _PRODUCERS:
        position = _PRODUCERS[origin]
        return arguments[position] if len(arguments) > position else None
    bare = hint if isinstance(hint, type) else None
    if origin in _EMPTY_OF_ORIGIN or bare in _EMPTY_OF_ORIGIN or bare in _PRODUCERS:
        return None
    return hint
