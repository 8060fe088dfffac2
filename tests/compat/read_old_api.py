"""Writes old_api.json: the public names of azure-functions-durable, and the parameters of what can be called.

It was run once, in an environment of its own with version 1.7.0 installed (never a dependency of this project):

    python tests/compat/read_old_api.py > tests/compat/old_api.json
"""

from __future__ import annotations

import ast
import enum
import importlib
import inspect
import json
import sys
import textwrap
from importlib.metadata import version
from typing import Any

PACKAGE = "azure.durable_functions"
DISTRIBUTION = "azure-functions-durable"
BEYOND_ALL = {
    "models.DurableOrchestrationStatus": ["DurableOrchestrationStatus"],
    "models.PurgeHistoryResult": ["PurgeHistoryResult"],
    "models.EntityStateResponse": ["EntityStateResponse"],
    "models.TokenSource": ["TokenSource"],
    "models.FunctionContext": ["FunctionContext"],
    "models.history": ["HistoryEvent", "HistoryEventType"],
    "models.Task": [
        "TaskState",
        "TaskBase",
        "CompoundTask",
        "AtomicTask",
        "TimerTask",
        "WhenAllTask",
        "LongTimerTask",
        "WhenAnyTask",
        "RetryAbleTask",
    ],
    "testing": ["orchestrator_generator_wrapper"],
}
"""What is not in `__all__`, but is handed to users by what is."""


def main() -> None:
    package = importlib.import_module(PACKAGE)
    found = {name: getattr(package, name) for name in package.__all__}
    for module, names in BEYOND_ALL.items():
        loaded = importlib.import_module(f"{PACKAGE}.{module}")
        found |= {name: getattr(loaded, name) for name in names}
    names: dict[str, Any] = {}
    for name, value in found.items():
        others = {other for other in found.values() if inspect.isclass(other) and other is not value}
        names |= described(name, value, others)
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(called)}" for name, called in names.items())
    sys.stdout.write(f'{{"version": {json.dumps(version(DISTRIBUTION))}, "names": {{\n{lines}\n}}}}\n')


def described(name: str, value: Any, others: set[type]) -> dict[str, Any]:
    """Return the parameters by name; null for what can't be called. Members of `others` are not told again."""
    if not inspect.isclass(value):
        return {name: parameters(value) if callable(value) else None}
    if issubclass(value, enum.Enum):
        return {name: None} | {f"{name}.{member.name}": None for member in value}
    if issubclass(value, Exception):
        return {name: None}
    described = {name: parameters(value)}
    for cls in reversed(value.__mro__):
        if cls in others or not cls.__module__.startswith(PACKAGE):
            continue
        for member, found in vars(cls).items():
            if member.startswith("_"):
                continue
            bound = getattr(value, member)
            described[f"{name}.{member}"] = None if isinstance(found, property) else parameters(bound, found)
        for attribute in assigned(cls):
            described.setdefault(f"{name}.{attribute}", None)
    return described


def parameters(called: Any, found: Any = None) -> list[list[str]] | None:
    """Return `[name]` or `[name, default]` for each parameter."""
    if not callable(called):
        return None
    shown = list(inspect.signature(called).parameters.values())
    if found is not None and not isinstance(found, staticmethod | classmethod):
        shown = shown[1:]  # self
    stars = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
    return [
        [stars.get(each.kind, "") + each.name, *([] if each.default is each.empty else [default(each.default)])]
        for each in shown
    ]


def default(value: Any) -> str:
    return f"{type(value).__name__}.{value.name}" if isinstance(value, enum.Enum) else type_of_large(value)


def type_of_large(value: Any) -> str:
    text = repr(value)
    return type(value).__name__ if " object at " in text else text


def assigned(cls: type) -> list[str]:
    """Return the public attributes that a class's own methods give to its objects."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(cls)))
    targets = [
        target
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign | ast.AnnAssign)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
    ]
    return [
        target.attr
        for target in targets
        if isinstance(target, ast.Attribute)
        and isinstance(target.value, ast.Name)
        and target.value.id == "self"
        and not target.attr.startswith("_")
    ]


if __name__ == "__main__":
    main()
