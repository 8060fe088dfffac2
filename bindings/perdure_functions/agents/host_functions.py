"""The functions of the Functions host that an agent gets."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from perdure_functions.app import DFApp

Decorator = Callable[[Any], Any]


def function_name(agent: str, purpose: str) -> str:
    """Name of one of an agent's host functions: the host takes letters, digits, hyphens and underscores."""
    return f"{purpose}-{re.sub(r'[^A-Za-z0-9_-]', '-', agent)}"


def add_function(app: DFApp, name: str, trigger: Decorator, function: Callable[..., Any]) -> None:
    """Add a function that receives the durable client in its parameter `client`.

    Args:
        app: the Function app.
        name: the function's name.
        trigger: decorator that gives it its trigger.
        function: the function.
    """
    app.function_name(name)(trigger(app.durable_client_input(client_name="client")(function)))
