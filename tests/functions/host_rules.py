"""What only Azure's Functions host enforces: an app that breaks one of these rules is refused there, or misbehaves."""

from __future__ import annotations

import inspect
import json
import re
from types import ModuleType
from typing import Any

from azure.functions import FunctionRegister

FUNCTION_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,127}")
OUR_FUNCTION_NAME = re.compile(r"[a-z][a-z0-9_-]{0,127}")
BINDING_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]{0,127}|\$return")
RESERVED_ROUTES = ("admin", "runtime")
LONGEST_MESSAGE = 48 * 1024
"""Bytes, before base64 makes 64 KiB of them."""


def broken_by(name: str, raw_bindings: list[str], function: Any, *, ours: bool) -> list[str]:
    """Return the rules that a function breaks.

    Args:
        name: what the host knows it by.
        raw_bindings: its bindings as the host is told of them.
        function: what the worker calls.
        ours: whether Perdure has added it.
    """
    bindings = [json.loads(raw) for raw in raw_bindings]
    broken = [] if (OUR_FUNCTION_NAME if ours else FUNCTION_NAME).fullmatch(name) else [f"function name {name}"]
    broken += [f"binding name {each['name']}" for each in bindings if not BINDING_NAME.fullmatch(each["name"])]
    routes = [each["route"] for each in bindings if each.get("route")]
    broken += [f"route {route}" for route in routes if route.strip("/").casefold().split("/")[0] in RESERVED_ROUTES]
    if not inspect.isfunction(function):
        return [*broken, f"{function!r} is no function"]
    bound = {each["name"] for each in bindings if each["name"] != "$return"}
    parameters = set(inspect.signature(function).parameters) - ({"context"} - bound)
    broken += [] if parameters == bound else [f"parameters {parameters}, but bindings {bound}"]
    returns = inspect.signature(function).return_annotation
    if any(each["type"] == "queueTrigger" for each in bindings) and returns not in (
        None,
        "None",
        inspect.Signature.empty,
    ):
        broken.append(f"a queue function that returns {returns}")
    return broken


def names_taken_twice(names: list[str]) -> set[str]:
    """Return the names that differ by their case only."""
    folded = [name.casefold() for name in names]
    return {name for name in names if folded.count(name.casefold()) > 1}


def names_of_apps(module: ModuleType) -> list[str]:
    """Return the module-level names that are bound to an app; Azure's worker takes exactly one."""
    return [name for name, value in vars(module).items() if isinstance(value, FunctionRegister)]


def broken_by_message(body: str) -> list[str]:
    """Return the rules that a queue message breaks: the host would shred an object into trigger metadata."""
    broken = [] if len(body.encode()) <= LONGEST_MESSAGE else [f"a message of {len(body.encode())} bytes"]
    try:
        content = json.loads(body)
    except ValueError:
        return broken
    return [*broken, "a message that is a JSON object"] if isinstance(content, dict) else broken
