"""The functions of an app, as the host sees them: names, triggers and bindings.

Only what the azure-functions library hands to every host is read: each function's name, callable and the JSON of
its bindings.
"""

from __future__ import annotations

import inspect
import json
import re
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from perdure.local.app_loading import describe_user_error
from perdure.local.errors import HostError

RETURN = "$return"
CONTEXT = "context"

# rules of the Functions host; names are compared regardless of case
_FUNCTION_NAME = re.compile(r"(?!host$)[a-z][a-z0-9_-]{0,127}", re.IGNORECASE)
_BINDING_NAME = re.compile(r"[a-z][a-z0-9]{0,127}", re.IGNORECASE)


@dataclass(frozen=True)
class Binding:
    """One binding of a function, in the words of function.json."""

    name: str
    type: str
    is_output: bool
    fields: Mapping[str, Any] = field(default_factory=dict)
    """The binding's JSON: `queueName`, `route`, `schedule` ..."""


@dataclass(frozen=True)
class LocalFunction:
    """A function of the app."""

    name: str
    call: Callable[..., Any]
    trigger: Binding
    bindings: tuple[Binding, ...]
    """All of them, the trigger included."""
    annotations: Mapping[str, Any]
    """The callable's resolved type hints; `return` among them."""
    takes_context: bool
    internal: bool = False
    """One of the app's own making (`app.internal_functions`): its runs are of no interest to the user."""
    disabled: bool = False

    @property
    def is_async(self) -> bool:
        """Whether it runs on the event loop."""
        return inspect.iscoroutinefunction(self.call)

    @property
    def outputs(self) -> tuple[Binding, ...]:
        """Output bindings with a parameter of their own."""
        return tuple(binding for binding in self.bindings if binding.is_output and binding.name != RETURN)

    @property
    def return_binding(self) -> Binding | None:
        """The `$return` binding."""
        return next((binding for binding in self.bindings if binding.name == RETURN), None)


def read_functions(app: Any, app_dir: Path, environ: Mapping[str, str]) -> list[LocalFunction]:
    """Return the app's functions in the order of their definition.

    Calls `app.get_functions()`, which the library allows once per app.

    Raises:
        HostError: A function breaks a rule that Azure would enforce when it indexes the app.
    """
    try:
        indexed = app.get_functions()
    except Exception as error:
        described = describe_user_error(error, app_dir)
        raise HostError(str(error) if isinstance(error, ValueError) else str(described)) from error
    internal = frozenset(getattr(app, "internal_functions", frozenset()))
    functions: dict[str, LocalFunction] = {}
    for item in indexed:
        function = _read_function(item, internal, environ)
        other = functions.setdefault(function.name.lower(), function)
        if other is not function:
            raise HostError(
                f"Two functions are named {other.name} and {function.name}: names must differ in more than "
                "case. Rename one, or give it a name with @app.function_name."
            )
    return list(functions.values())


def _read_function(item: Any, internal: frozenset[str], environ: Mapping[str, str]) -> LocalFunction:
    name = str(item.get_function_name())
    if _FUNCTION_NAME.fullmatch(name) is None:
        raise HostError(
            f"{name!r} can't be a function's name: it must begin with a letter, have letters, digits, _ and - "
            "only, and at most 128 characters."
        )
    call = item.get_user_function()
    if not inspect.isroutine(call):
        raise HostError(
            f"Function {name} is {type(call).__name__}, a callable object. Azure indexes only functions: "
            "wrap it in a def."
        )
    bindings = tuple(_read_binding(name, json.loads(raw)) for raw in item.get_raw_bindings())
    trigger_name = item.get_trigger().name
    parameters = inspect.signature(call).parameters
    bound = {binding.name for binding in bindings} - {RETURN}
    _check_parameters(name, set(parameters), bound)
    return LocalFunction(
        name=name,
        call=call,
        trigger=next(binding for binding in bindings if binding.name == trigger_name),
        bindings=bindings,
        annotations=_type_hints(name, call),
        takes_context=CONTEXT in parameters and CONTEXT not in bound,
        internal=name in internal,
        disabled=environ.get(f"AzureWebJobs.{name}.Disabled", "").lower() in {"true", "1"},
    )


def _read_binding(function: str, fields: dict[str, Any]) -> Binding:
    name = str(fields["name"])
    if name != RETURN and _BINDING_NAME.fullmatch(name) is None:
        raise HostError(
            f"Function {function} has a binding named {name!r}: a binding's name, and so its parameter's, has "
            "letters and digits only, no underscore."
        )
    return Binding(name, str(fields["type"]), str(fields["direction"]).upper() == "OUT", fields)


def _check_parameters(function: str, declared: set[str], bound: set[str]) -> None:
    unbound = declared - bound - {CONTEXT}
    if unbound:
        raise HostError(
            f"Function {function} has parameters that no binding fills: {', '.join(sorted(unbound))}. Name them "
            "as in the decorators, or remove them."
        )
    missing = bound - declared
    if missing:
        raise HostError(
            f"Function {function} has bindings without a parameter: {', '.join(sorted(missing))}. Add the "
            "parameters, or correct the names in the decorators."
        )


def _type_hints(function: str, call: Callable[..., Any]) -> dict[str, Any]:
    try:
        return typing.get_type_hints(call)
    except (NameError, TypeError, AttributeError) as error:
        raise HostError(f"The type hints of function {function} can't be resolved: {error}.") from error
