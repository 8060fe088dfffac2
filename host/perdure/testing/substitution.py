"""Putting what a test gives in the place of functions."""

from __future__ import annotations

import inspect
from typing import Any

from perdure.testing.functions import Function, is_decorated_orchestrator, plain
from perdure.testing.stubs import stub_function


def stand_in(answer: Any) -> Function:
    """Return the function that answers in an activity's place: a stub's, or an activity itself."""
    function = stub_function(plain(answer))
    if inspect.isroutine(function):
        return function

    def call(value: Any) -> Any:  # whatever else can be called (a mock, a class) declares no types
        return function(value)

    return call


def is_orchestrator(answer: Any) -> bool:
    """Whether what is given in an orchestrator's place is to be run as one, and is no stub."""
    return is_decorated_orchestrator(answer) or inspect.isgeneratorfunction(answer)
