"""Performing operations: one after the other, each on the state that the one before it has left."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import msgspec

from perdure.core.entities.context import DurableEntityContext
from perdure.core.entities.durable_entity import DurableEntity, class_operation_hints, operation_of, perform_on
from perdure.core.entities.effects import Effect
from perdure.core.entity_id import EntityId
from perdure.core.failure import Failure, failure_of
from perdure.core.hints import Hints, orchestrator_hints
from perdure.errors import UnknownOperationError

EntityFunction = Callable[..., Any]
"""A function of `(context)` or `(context, input)`, `async def` or not, or a class made of `DurableEntity`."""


@dataclass(frozen=True, slots=True)
class EntityDefinition:
    """What an app says of its entities of one name."""

    function: EntityFunction | type[DurableEntity]
    expires_after: timedelta | None = None
    """An entity of this name that nothing is asked of for so long is deleted."""
    before_expiry: Callable[[EntityId], Awaitable[bool]] | None = None
    """Awaited before that, and deletes what belongs to the entity, perhaps more than once; False if there is some left:
    it is awaited again a second later.
    """

    def hints(self, operation: str) -> Hints:
        """Return the types that an operation declares."""
        if isinstance(self.function, type):
            return class_operation_hints(self.function, operation)
        return orchestrator_hints(self.function)

    def is_async(self, operation: str) -> bool:
        """Whether an operation is an `async def` one."""
        function: Any = self.function
        if isinstance(function, type):
            try:
                function = getattr(function, operation_of(function, operation, function.__name__))
            except UnknownOperationError:
                return False
        return inspect.iscoroutinefunction(function)


class Outcome(msgspec.Struct, frozen=True):
    """What has become of an operation."""

    state: str | None
    """JSON text of the entity's state afterwards."""
    result: str | None = None
    failure: Failure | None = None
    effects: list[Effect] = []


class Performance:
    """Performs one operation.

    Args:
        definition: the entity's.
        context: what the operation works with.
        state: JSON text of the state before it.
    """

    def __init__(self, definition: EntityDefinition, context: DurableEntityContext, state: str | None) -> None:
        self._definition = definition
        self._context = context
        self._state = state

    def begin(self) -> Outcome | Awaitable[Outcome]:
        """Perform it, at least up to where it has to be awaited."""
        try:
            returned = self._call()
        except BaseException as error:  # noqa: BLE001 - whatever user code raises fails the operation
            return self._failed(error)
        if inspect.isawaitable(returned):
            return self._finish(returned)
        return self._ended(returned)

    async def _finish(self, returned: Awaitable[Any]) -> Outcome:
        try:
            return self._ended(await returned)
        except Exception as error:  # noqa: BLE001 - as above
            return self._failed(error)

    def _call(self) -> Any:
        function = self._definition.function
        if isinstance(function, type):
            return perform_on(function, self._context)
        required = [
            parameter
            for parameter in inspect.signature(function).parameters.values()
            if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
            and parameter.default is parameter.empty
        ]
        if len(required) > 1:
            return function(self._context, self._context.get_input())
        return function(self._context)

    def _ended(self, returned: Any) -> Outcome:
        try:
            context = self._context
            return Outcome(context.written_state(), context.written_result(returned), effects=context.effects)
        except Exception as error:  # noqa: BLE001 - what has no JSON form fails the operation
            return self._failed(error)

    def _failed(self, error: BaseException) -> Outcome:
        return Outcome(self._state, failure=failure_of(error))
