"""Parameters that go by several names: those of Durable Functions, of the Durable Task SDK, and of our documents."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


def also_named(**names: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let a function take arguments under other names, too: `also_named(other="own")`.

    Raises:
        TypeError: (from the function) an argument is given under two of its names.
    """

    def decorator(function: Callable[P, R]) -> Callable[P, R]:
        @wraps(function)
        def taking(*args: P.args, **kwargs: P.kwargs) -> R:
            given: dict[str, Any] = {}
            for name, value in kwargs.items():
                own = names.get(name, name)
                if own in given:
                    raise TypeError(f"{function.__name__}() got two values for '{own}', one of them as '{name}'")
                given[own] = value
            return function(*args, **given)

        return taking

    return decorator
