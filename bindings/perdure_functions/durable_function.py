"""What the decorators make of orchestrators, activities and entities: objects to call like the function itself, and to
hand to `context.call_activity`, `client.start_new` and the like in place of a name.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, Generic, ParamSpec, Protocol, Self, TypeVar, overload

from perdure.core.entities.durable_entity import DurableEntity
from perdure.core.entity_id import MARK, EntityId
from perdure.core.naming import check_text

P = ParamSpec("P")
R = TypeVar("R")
E = TypeVar("E", bound=DurableEntity)


class DurableFunction(Generic[P, R]):
    """A function that the engine runs. The Functions host knows nothing of it.

    Args:
        function: the user's function.
        name: what it is called by.
        fixed: whether the name was given to the trigger, and so prevails over `function_name`.
    """

    kind = "durable"

    def __init__(self, function: Callable[P, R], name: str, *, fixed: bool) -> None:
        functools.update_wrapper(self, function)
        self.function = function
        self.durable_name = self._checked(name)
        self._fixed = fixed

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the user's function."""
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<{self.kind} function '{self.durable_name}'>"

    def rename(self, name: str) -> None:
        """Take the name that `function_name` gives, unless the trigger names the function itself. Raises TypeError and
        ValueError for what can't be a name.
        """
        checked = self._checked(name)
        if not self._fixed:
            self.durable_name = checked

    def _checked(self, name: object) -> str:
        what = f"the name of the {self.kind} function"
        if not check_text(name, what, 200):
            raise ValueError(f"{what} can't be empty")
        return str(name)

    def build(self, auth_level: object = None) -> Self:  # noqa: ARG002 - a Functions builder has it
        """Return this object, so that a unit test written for Durable Functions finds what it looks for."""
        return self

    def get_function_name(self) -> str:
        """Return what it is called by."""
        return self.durable_name

    def get_user_function(self) -> Any:
        """Return what Durable Functions' unit tests expect."""
        return self.function


class OrchestratorFunction(DurableFunction[P, R]):
    """An orchestrator.

    Args:
        function: the user's function.
        name: what it is called by.
        fixed: see `DurableFunction`.
        input_type: what its input is to be read as.
    """

    kind = "orchestrator"

    def __init__(self, function: Callable[P, R], name: str, *, fixed: bool, input_type: type | None = None) -> None:
        super().__init__(function, name, fixed=fixed)
        self.input_type = input_type

    @property
    def orchestrator_function(self) -> Callable[P, R]:
        """The user's function."""
        return self.function

    def get_user_function(self) -> Self:
        """Return this object: `orchestrator_function` is one further, as in Durable Functions."""
        return self


class ActivityFunction(DurableFunction[P, R]):
    """An activity."""

    kind = "activity"

    @property
    def activity_function(self) -> Callable[P, R]:
        """The user's function."""
        return self.function


class EntityFunction(DurableFunction[P, R]):
    """An entity.

    Args:
        function: the user's function or class.
        name: what it is called by.
        fixed: see `DurableFunction`.
        expires_after: an entity that nothing is asked of for so long is deleted.
    """

    kind = "entity"

    def __init__(
        self, function: Callable[P, R], name: str, *, fixed: bool, expires_after: timedelta | None = None
    ) -> None:
        super().__init__(function, name, fixed=fixed)
        self.expires_after = expires_after
        self.before_expiry: Callable[[EntityId], Awaitable[bool]] | None = None
        """See `EntityDefinition`; for extensions of `DFApp`."""

    def _checked(self, name: object) -> str:
        checked = super()._checked(name)
        if MARK in checked:
            raise ValueError(f"the name of the entity function can't have an '{MARK}', as {checked!r} has")
        return checked

    @property
    def entity_function(self) -> Callable[P, R]:
        """The user's function."""
        return self.function

    def get_user_function(self) -> Self:
        """Return this object: `entity_function` is one further, as in Durable Functions."""
        return self


class EntityDecorator(Protocol):
    """What `entity_trigger` returns. To type checkers, too, a class stays the class that it is."""

    @overload
    def __call__(self, function: type[E], /) -> type[E]: ...  # type: ignore[overload-overlap] # a class can be called, too

    @overload
    def __call__(self, function: Callable[P, R], /) -> EntityFunction[P, R]: ...


class Orchestrator:
    """The classic way to write an orchestrator; `orchestration_trigger` takes what `create` returns."""

    @staticmethod
    def create(fn: Callable[P, R]) -> Callable[P, R]:
        """Return a function like `fn` that has it as its attribute `orchestrator_function`."""

        @functools.wraps(fn)
        def handle(*args: P.args, **kwargs: P.kwargs) -> R:
            return fn(*args, **kwargs)

        vars(handle)["orchestrator_function"] = fn
        return handle


class Entity:
    """The classic way to write an entity; `entity_trigger` takes what `create` returns."""

    @staticmethod
    def create(fn: Callable[P, R]) -> Callable[P, R]:
        """Return a function like `fn` that has it as its attribute `entity_function`."""

        @functools.wraps(fn)
        def handle(*args: P.args, **kwargs: P.kwargs) -> R:
            return fn(*args, **kwargs)

        vars(handle)["entity_function"] = fn
        return handle


def check_entity(function: Callable[..., Any], context_name: str, expires_after: timedelta | None) -> None:
    """Raise TypeError unless the function takes the context, and at most the input besides; or is an entity class."""
    if expires_after is not None and not (isinstance(expires_after, timedelta) and expires_after > timedelta(0)):
        raise TypeError(f"entity '{_name(function)}': expires_after is a positive timedelta, not {expires_after!r}")
    if isinstance(function, type):
        if not issubclass(function, DurableEntity):
            raise TypeError(f"entity class '{_name(function)}' has to be made of df.DurableEntity")
        return
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError(f"entity '{_name(function)}' can't yield: only orchestrators wait for durable tasks")
    positional, required = _parameters(function)
    first = positional[0] if positional else None
    if first != context_name:
        has = f"but it is '{first}'" if first else "but it has none"
        raise TypeError(
            f"entity '{_name(function)}': its first parameter must be '{context_name}', as "
            f"entity_trigger(context_name='{context_name}') says, {has}"
        )
    surplus = required - set(positional[:2])
    if surplus:
        raise TypeError(
            f"entity '{_name(function)}' takes more than the context and the input: {_listed(surplus)}. Put them into "
            f"the input."
        )


def check_orchestrator(function: Callable[..., Any], context_name: str) -> None:
    """Raise TypeError unless the function takes the context, and at most the input besides."""
    positional, required = _parameters(function)
    first = positional[0] if positional else None
    if first != context_name:
        has = f"but it is '{first}'" if first else "but it has none"
        raise TypeError(
            f"orchestrator '{_name(function)}': its first parameter must be '{context_name}', as "
            f"orchestration_trigger(context_name='{context_name}') says, {has}"
        )
    surplus = required - set(positional[:2])
    if surplus:
        raise TypeError(
            f"orchestrator '{_name(function)}' takes more than the context and the input: {_listed(surplus)}. Put "
            f"them into the input."
        )


def check_activity(function: Callable[..., Any], input_name: str) -> None:
    """Raise TypeError unless the function takes the input and nothing else that it insists on."""
    positional, required = _parameters(function)
    first = positional[0] if positional else None
    if first != input_name:
        has = f"but it is '{first}'" if first else "but it has none"
        raise TypeError(
            f"activity '{_name(function)}': its first parameter must be '{input_name}', as "
            f"activity_trigger(input_name='{input_name}') says, {has}"
        )
    surplus = required - {input_name}
    if surplus:
        raise TypeError(
            f"activity '{_name(function)}' takes more than its one input: {_listed(surplus)}. Put them into the input; "
            f"activity_context() tells which call it serves."
        )


def check_callable(function: object, kind: str) -> None:
    """Raise TypeError unless what was decorated is something to call, with parameters that can be read."""
    try:
        inspect.signature(function)  # type: ignore[arg-type] # it says so itself if it is nothing to call
    except (TypeError, ValueError) as error:
        raise TypeError(f"{function!r} can't be an {kind} function: decorate a function of your own") from error


def no_client_for(orchestrator: str) -> str:
    """Return why an orchestrator can't have a durable client."""
    return (
        f"orchestrator '{orchestrator}' can't have a durable client: what it does must depend on its history alone. "
        f"Its context starts children and sends events; or use an activity."
    )


def _parameters(function: Callable[..., Any]) -> tuple[list[str], set[str]]:
    """Return the names of the positional parameters, and of all that have no default."""
    parameters = inspect.signature(function).parameters.values()
    positional = [each.name for each in parameters if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)]
    optional = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    required = {each.name for each in parameters if each.default is each.empty and each.kind not in optional}
    return positional, required


def _name(function: Callable[..., Any]) -> str:
    return getattr(function, "__name__", repr(function))


def _listed(names: set[str]) -> str:
    return ", ".join(f"'{name}'" for name in sorted(names))
