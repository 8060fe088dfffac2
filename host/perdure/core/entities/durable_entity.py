"""Class entities: public methods are the operations."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable
from copy import deepcopy
from datetime import datetime
from typing import Any, ClassVar, TypeVar, cast

from perdure.core.aliases import also_named
from perdure.core.entities.context import DurableEntityContext
from perdure.core.entity_id import EntityId
from perdure.core.hints import Hints, operation_hints
from perdure.errors import DataError, UnknownOperationError

S = TypeVar("S")

DELETE = "delete"


class DurableEntity:
    """Base of entity classes.

    Each public method, inherited ones included, is an operation with at most one input; its result is what the method
    returns. For each operation an object is made, so what it keeps elsewhere than in its state is lost.

    There are two ways to have a state. Annotate `state` in the class, with a default unless the type can be made
    without arguments, and change `self.state`:

        class Counter(df.DurableEntity):
            state: int = 0

            def add(self, amount: int) -> int:
                self.state += amount
                return self.state

    Or call `get_state` and `set_state`. `delete` deletes the entity, unless the class has one of its own.
    """

    entity_context: DurableEntityContext
    """What the operation may know and do besides."""

    durable_name: ClassVar[str]
    """What it is called by: the name of the class, unless its trigger says otherwise."""
    _declares_state: ClassVar[bool] = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.durable_name = cls.__name__
        cls._declares_state = any("state" in vars(base).get("__annotations__", {}) for base in cls.__mro__)
        for name in operations_of(cls):
            if name == DELETE:
                continue
            method = getattr(cls, name)
            if any(each.kind is each.KEYWORD_ONLY and each.default is each.empty for each in _all_parameters(method)):
                raise TypeError(
                    f"operation '{name}' of entity class '{cls.__name__}' takes its input by name only: an input is "
                    f"handed over by position"
                )
            if len(_required(method)) > 1:
                raise TypeError(
                    f"operation '{name}' of entity class '{cls.__name__}' takes more than one input: give it one that "
                    f"holds them all"
                )

    @typing.overload
    def get_state(self, intended_type: type[S], default: S) -> S: ...

    @typing.overload
    def get_state(self, intended_type: type[S]) -> S | None: ...

    @typing.overload
    def get_state(self, intended_type: None = None, default: Any = None) -> Any: ...

    def get_state(self, intended_type: Any = None, default: Any = None) -> Any:
        """Return the state, read as a type; `default` if there is none."""
        return self.entity_context.get_state(intended_type=intended_type, default=default)

    def set_state(self, state: Any) -> None:
        """Set the state, anything that has a JSON form; None deletes the entity."""
        self.entity_context.set_state(state)

    def signal_entity(
        self,
        entity_instance_id: EntityId | str,
        operation: str,
        input: Any = None,  # noqa: A002 - as the Durable Task SDK calls it
        signal_time: datetime | None = None,
    ) -> None:
        """Have an entity perform an operation, at `signal_time` at the earliest."""
        self.entity_context.signal_entity(entity_instance_id, operation, input, signal_time)

    @also_named(name="orchestration_name")
    def schedule_new_orchestration(
        self,
        orchestration_name: str | Callable[..., Any],
        input: Any = None,  # noqa: A002 - as the Durable Task SDK calls it
        instance_id: str | None = None,
    ) -> str:
        """Start an orchestration, by its name or the decorated function, and return its instance id."""
        return self.entity_context.start_new_orchestration(orchestration_name, input, instance_id)

    start_new_orchestration = schedule_new_orchestration

    def delete(self) -> None:
        """Delete the entity."""
        if self._declares_state:
            cast("Any", self).state = None
        else:
            self.set_state(None)

    @property
    def entity_id(self) -> EntityId:
        """Which entity this is."""
        return self.entity_context.entity_id


_NOT_OPERATIONS = frozenset(vars(DurableEntity)) - {DELETE}


def operations_of(cls: type) -> list[str]:
    """Return the names of the operations of an entity class."""
    return sorted(
        name
        for name in dir(cls)
        if not name.startswith("_")
        and name not in _NOT_OPERATIONS
        and inspect.isroutine(inspect.getattr_static(cls, name))
    )


def operation_of(cls: type, operation: str, entity_name: str) -> str:
    """Return the name of the method that performs an operation; its case matters only if two differ in nothing else.

    Raises:
        UnknownOperationError: there is none.
    """
    names = operations_of(cls)
    if operation in names:
        return operation
    folded = [name for name in names if name.casefold() == operation.casefold()]
    if not folded:
        known = ", ".join(f"'{name}'" for name in names)
        raise UnknownOperationError(f"entity '{entity_name}' has no operation '{operation}'; it has: {known}")
    return folded[0]


def class_operation_hints(cls: type, operation: str) -> Hints:
    """Return what an operation of an entity class declares; nothing for one that there is not."""
    try:
        return operation_hints(getattr(cls, operation_of(cls, operation, cls.__name__)))
    except UnknownOperationError:
        return Hints()


def perform_on(cls: type[DurableEntity], context: DurableEntityContext) -> Any:
    """Perform an operation on an object made for it. Returns what the method returns: it may have to be awaited."""
    name = operation_of(cls, context.operation_name, context.entity_name)
    entity = cls()
    entity.entity_context = context
    method = getattr(entity, name)
    if cls._declares_state and getattr(cls, name) is not DurableEntity.delete:  # what no longer fits can be deleted
        _load_state(entity, context)
    takes_input = bool(_parameters(method)) and (_required(method) or context.has_input)
    outcome = method(context.get_input()) if takes_input else method()
    if not cls._declares_state:
        return outcome
    if inspect.isawaitable(outcome):
        return _then_keep(entity, context, outcome)
    context.set_state(cast("Any", entity).state)
    return outcome


async def _then_keep(entity: DurableEntity, context: DurableEntityContext, outcome: Any) -> Any:
    result = await outcome
    context.set_state(cast("Any", entity).state)
    return result


def _load_state(entity: DurableEntity, context: DurableEntityContext) -> None:
    hint = typing.get_type_hints(type(entity), include_extras=True)["state"]
    if not context.is_newly_constructed:
        state = context.get_state(expected_type=hint)
    elif hasattr(type(entity), "state"):
        state = deepcopy(cast("Any", type(entity)).state)
    else:
        state = _first_state(entity, hint)
    cast("Any", entity).state = state


def _first_state(entity: DurableEntity, hint: Any) -> Any:
    if type(None) in typing.get_args(hint):
        return None
    try:
        return hint()
    except Exception as error:
        raise DataError(
            f"entity '{entity.entity_id}' has no state yet, and its type can't be made without arguments: give 'state' "
            f"of class '{type(entity).__name__}' a default"
        ) from error


def _all_parameters(method: Any) -> list[inspect.Parameter]:
    return [parameter for name, parameter in inspect.signature(method).parameters.items() if name != "self"]


def _parameters(method: Any) -> list[inspect.Parameter]:
    return [
        parameter
        for parameter in _all_parameters(method)
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    ]


def _required(method: Any) -> list[inspect.Parameter]:
    return [parameter for parameter in _parameters(method) if parameter.default is parameter.empty]
