"""What users hand over as functions: plain ones, decorated ones, whole apps, registries."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from perdure.core.entities.durable_entity import DurableEntity
from perdure.core.entities.performing import EntityDefinition
from perdure.core.http_calls import HTTP_ACTIVITY
from perdure.core.naming import name_of
from perdure.engine.registry import Registry

_HTTP = "call_http"

Function = Callable[..., Any]
Functions = Mapping[Any, Any] | Iterable[Function]
"""Functions by name (or by the functions whose places they take), or functions under their own names."""


def registry_of(app: Any) -> Registry:
    """Return a registry of its own with the functions of an app; what is built in, such as `call_http`, is left out: it
    would reach outside.

    Args:
        app: an app or blueprint (anything whose method `registry` returns one), a registry, or None for no functions.
    """
    if app is None:
        return Registry()
    if isinstance(app, Registry):
        return app.copy()
    registry = app.registry() if callable(getattr(app, "registry", None)) else None
    if not isinstance(registry, Registry):
        raise TypeError(f"an app is a DFApp, a Blueprint or a Registry, not {type(app).__name__}")
    return registry.copy()


def plain(function: Function) -> Function:
    """Return the user's function that a decorated one stands for."""
    for attribute in ("orchestrator_function", "activity_function", "entity_function"):
        if _has(function, attribute):
            inner: Function = getattr(function, attribute)
            return plain(inner)
    return function


def is_decorated_orchestrator(function: Any) -> bool:
    """Whether an orchestrator's decorator has made it."""
    return _has(function, "orchestrator_function")


def is_entity(function: Any) -> bool:
    """Whether this is an entity class, or what an entity's decorator has made."""
    if isinstance(function, type):
        return issubclass(function, DurableEntity)
    return _has(function, "entity_function")


def entity_definition(entity: Any) -> EntityDefinition:
    """Return what a function, decorated or not, or a class says of its entities. Raises TypeError for anything else."""
    function = plain(entity)
    if isinstance(function, type) and not issubclass(function, DurableEntity):
        raise TypeError(f"an entity class is made of DurableEntity, and '{function.__name__}' is not")
    if not callable(function):
        raise TypeError(f"an entity is a function or a class, not {type(function).__name__}")
    return EntityDefinition(function, None if isinstance(entity, type) else getattr(entity, "expires_after", None))


def add_entity(registry: Registry, name: str, entity: Any) -> None:
    """Have a function or class answer to an entity's name; what was there before it keeps its expiry."""
    definition = entity_definition(entity)
    if name in registry.entities and definition.expires_after is None:
        definition = EntityDefinition(definition.function, registry.entities.get(name).expires_after)
    registry.entities.replace(name, definition)


def _has(function: Any, attribute: str) -> bool:
    """Whether a decorator has given it the attribute; a mock has all attributes that it is asked for."""
    return inspect.getattr_static(function, attribute, None) is not None


def add_orchestrator(registry: Registry, name: str, function: Function) -> None:
    """Have a function, decorated or not, answer to an orchestrator's name."""
    if name in registry.orchestrators:
        registry.orchestrators.replace(name, plain(function))
    else:
        registry.orchestrators.add(name, plain(function), getattr(function, "input_type", None))


def activity_name(function: str | Function) -> str:
    """Return the registered name of an activity that a test names."""
    name = name_of(function, "activity")
    return HTTP_ACTIVITY if name == _HTTP else name


def shown_name(activity: str) -> str:
    """Return how a test names an activity."""
    return _HTTP if activity == HTTP_ACTIVITY else activity


def named(functions: Functions | None, kind: str) -> list[tuple[str, Function | None, Any]]:
    """Return the name, the function that a name was given as (if it was), and what is to answer to it.

    Args:
        functions: what the user gave.
        kind: "activity", "orchestrator" or "entity", for errors.
    """
    if functions is None:
        return []
    if isinstance(functions, Mapping):
        name = activity_name if kind == "activity" else partial(name_of, what=kind)
        return [(name(key), None if isinstance(key, str) else key, answer) for key, answer in functions.items()]
    if isinstance(functions, str) or not isinstance(functions, Iterable):
        raise TypeError(f"give {kind} functions as a dictionary by name, or as a list, not {functions!r}")
    return [(name_of(each, kind), each, each) for each in functions]
